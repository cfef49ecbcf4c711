"""A stack of a command's own, by `infra/local/stack`."""

import contextlib
import os
import subprocess
import sys

from common import settings
from common.failure import Failure
from common.paths import LOCAL


def up(folder, *arguments):
    """Brings a stack up and returns its settings."""
    stack("up", "--dir", folder, *arguments)
    return settings.read(folder / "env")


@contextlib.contextmanager
def cleaned(folder):
    """Ends the stack of a folder and removes what it stored: what an earlier run left, and then this one's."""
    stack("down", "--dir", folder, "--clean")
    try:
        yield
    finally:
        stack("down", "--dir", folder, "--clean")


def stack(*arguments):
    # Neither the settings of another stack that the caller has in its environment, nor another OBS than the stand-in.
    env = {name: value for name, value in os.environ.items() if name != "OBS_URL"}
    command = [LOCAL / "stack", *map(str, arguments)]
    if subprocess.run(command, stdout=sys.stderr, env=env, check=False).returncode != 0:
        raise Failure(f"infra/local/stack {arguments[0]} failed")
