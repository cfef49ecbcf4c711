"""Questions to the user. They go to standard error, as standard output is for results."""

import sys

from osc import oscerr


def is_there():
    return sys.stdin.isatty() and sys.stderr.isatty()


def tell(text=""):
    print(text, file=sys.stderr)


def confirms(question):
    """Whether the user answers with yes."""
    return ask(f"{question} (yes or no)", "no").lower() in ("y", "yes")


def ask(question, default=None):
    """What the user answers. There is no empty answer; Ctrl-D ends the command."""
    prompt = f"{question} [{default}]: " if default else f"{question}: "
    while True:
        print(prompt, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise oscerr.UserAbort()
        if line.strip() or default:
            return line.strip() or default
