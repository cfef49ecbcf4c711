"""Where things are in a clone."""

import os
from pathlib import Path

COMMANDS = Path(__file__).resolve().parents[1]
LOCAL = COMMANDS.parent
TOP = LOCAL.parents[1]
TARGET = TOP / "target"
BINARIES = TARGET / "quick"
"""The functions as `make build` builds them."""

SOURCE_SERVER = Path("/usr/lib/obs/server")
"""The modules of an OBS backend that is installed on this machine."""


def shown(path):
    """A path as one would type it from here."""
    return os.path.relpath(path, os.getcwd())
