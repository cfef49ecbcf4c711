"""The settings of a running stack: the file DIR/env, which `stack up` writes for shells and for these commands."""

import shlex

from common.failure import Failure
from common.paths import shown


UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN")
"""What would lead a client of AWS elsewhere."""


def write(file, settings):
    lines = [f"export {name}={shlex.quote(str(value))}\n" for name, value in settings.items()]
    file.write_text(f"unset {' '.join(UNSET)}\n" + "".join(lines))


def read(file):
    try:
        text = file.read_text()
    except FileNotFoundError:
        raise Failure(f"{shown(file)} is not there: start the stack first, with `make up`") from None
    assignments = (line.removeprefix("export ") for line in text.splitlines() if line.startswith("export "))
    return dict("".join(shlex.split(assignment)).split("=", 1) for assignment in assignments)


def environment(file, env):
    """An environment with the settings of the file, as `. DIR/env` makes it."""
    return {**{name: value for name, value in env.items() if name not in UNSET}, **read(file)}
