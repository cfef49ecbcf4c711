"""What osc loads: `osc cloudupload` and its subcommands.

osc takes only classes that the loaded module defines, so they are made here. The wheel has this file at both places
where osc looks: the folder of the package `osc.commands`, the only one in a virtual environment, and `osc-plugins`.
"""

from osc_cloudupload import commands

globals().update(commands.classes(__name__))
