"""The tools that are written for Node.js: infra/local/package.json names them."""

import filecmp
import os
import shutil

from common.paths import LOCAL, TARGET

# npm takes a folder that is reached by a link for a package of its own.
HOME = (TARGET / "tools" / "asl").resolve()
PROGRAM = HOME / "bin" / "node"
MODULES = HOME / "node_modules"


def install(run, env=os.environ):
    """Installs them, if that was not done. `run(*command, env=…)` runs a command."""
    run(LOCAL / "stack", "tools", "asl", env=env)
    lock = "package-lock.json"
    installed = HOME / "installed-lock.json"
    if installed.exists() and filecmp.cmp(LOCAL / lock, installed, shallow=False):
        return
    shutil.copy2(LOCAL / "package.json", HOME)
    shutil.copy2(LOCAL / lock, HOME)
    path = {"PATH": f"{HOME / 'bin'}:{env['PATH']}"}
    run("npm", "ci", "--prefix", HOME, "--ignore-scripts", "--no-audit", "--no-fund", env={**env, **path})
    # Copied last: whoever was interrupted begins again.
    shutil.copy2(LOCAL / lock, installed)
