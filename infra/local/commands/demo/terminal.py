"""What the demo prints."""

import os
import shlex
import sys

from common.paths import TOP


def heading(text):
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}== {text}{plain}", flush=True)


def show(command):
    """Prints a command as one would type it: long ones in several lines, files from here."""
    words = [shlex.quote(os.path.relpath(word) if word.startswith(str(TOP)) else word) for word in command]
    line = "$ " + " ".join(words)
    if len(line) > 120:
        line = (
            "$ " + words[0] + "".join(f" {word}" if word.startswith("-") else f" {word} \\\n   " for word in words[1:])
        )
        line = line.removesuffix(" \\\n   ")
    print(line, flush=True)


def indented(text):
    print("".join(f"    {line}\n" for line in text.splitlines()), end="", flush=True)
