"""The virtual environments of the tools, below target/tools."""

import concurrent.futures
import fcntl
import hashlib
import shutil
import sys

from common.paths import LOCAL, TARGET, shown
from common.process import run_logged
from stack.steps import step

TOOLS = TARGET / "tools"

PIP_OPTIONS = ("--disable-pip-version-check", "--no-deps", "--no-compile")
"""The requirements name all there is to install, so there is nothing to resolve. Of what is installed only a small part
is ever imported: Python compiles that when it is."""


def install(*names):
    """Makes the environments that are missing or have other requirements now, all at the same time.

    Returns their bin folders.
    """
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(install_one, names))


def install_one(name):
    requirements = LOCAL / f"requirements-{name}.txt"
    home = TOOLS / name
    stamp = home / "installed"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    TOOLS.mkdir(parents=True, exist_ok=True)
    # Two commands may want the same environment at the same time.
    with (TOOLS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            with step(f"{name}: installed into {shown(home)}"):
                shutil.rmtree(home, ignore_errors=True)
                log = TOOLS / f"{name}.log"
                run_logged([base_python(), "-m", "venv", home], log)
                run_logged([home / "bin" / "pip", "install", *PIP_OPTIONS, "-r", requirements], log)
                stamp.write_text(wanted)
    return home / "bin"


def base_python():
    """The Python outside of any virtual environment: what is made inside of one dies with it."""
    return getattr(sys, "_base_executable", sys.executable)
