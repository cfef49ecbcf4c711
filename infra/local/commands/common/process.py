"""Other programs, run to their end."""

import shlex
import subprocess
from pathlib import Path

from common.failure import Failure
from common.paths import shown


def output(*command, env=None):
    """What a command prints. Its errors go where ours go."""
    done = subprocess.run(command, stdout=subprocess.PIPE, env=env, check=False)
    if done.returncode != 0:
        raise Failure(f"{shlex.join(map(str, command))} ended with {done.returncode}")
    return done.stdout.decode()


def run_logged(command, log, env=None, cwd=None):
    """Runs a command with its output in a log, of which a failure shows the end."""
    with log.open("wb") as file:
        code = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env, cwd=cwd, check=False
        ).returncode
    if code:
        raise Failure(f"{Path(command[0]).name} {command[1]} … ended with {code}.\n{tail(log)}")


def tail(log, lines=30):
    text = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([f"The end of {shown(log)}:", *(f"    {line}" for line in text[-lines:])])
