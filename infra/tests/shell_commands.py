"""The commands that pages tell their readers to type, word by word.

Code blocks are indented, as everywhere in this repository; commands in the text stand between backticks.
"""

import re
import shlex
from typing import NamedTuple

SUBSTITUTED = "SUBSTITUTED"
"""What stands in a word for the output of another command."""

ENDS = "|;&\n)"
"""What ends a command, outside of quotes."""

STARTS = r"^\s*|\$\(|[|;&]\s*|\bdo |\bsh -c '"
"""What stands before a command. That of `sh -c` must hold no single quote."""


class Command(NamedTuple):
    line: int
    """The line of the page on which it begins."""
    words: list


def commands_of(page, program):
    """The commands of a page that run a program, those within other commands included."""
    for block, offset in blocks(page):
        for start in re.finditer(rf"(?:{STARTS}){re.escape(program)} ", block, re.MULTILINE):
            at = start.end() - len(program) - 1
            text = Reader(block, at).command()
            yield Command(page.count("\n", 0, offset + at) + 1, shlex.split(text, comments=True))


def blocks(page):
    """Code blocks and code between backticks, each with its place in the page."""
    for block in re.finditer(r"(?:^ {4,}\S.*\n(?:\n(?= {4}))?)+", page, re.MULTILINE):
        yield block[0], block.start()
    for code in re.finditer(r"`([^`]+)`", page):
        # A line of the text may end within it.
        yield code[1].replace("\n", " "), code.start(1)


class Reader:
    """Reads a command from a text, with what a shell would put in for the commands within it left open."""

    def __init__(self, text, at):
        self.text, self.at = text, at

    def command(self):
        read = ""
        while self.at < len(self.text) and self.text[self.at] not in ENDS:
            read += self.word_part()
        return read

    def word_part(self):
        here = self.text[self.at :]
        if here.startswith("$("):
            return self.substitution()
        if here.startswith("\\\n"):
            self.at += 2
            return " "
        if here[0] == "\\":
            self.at += 2
            return here[:2]
        if here[0] == "'":
            quoted = here[: here.index("'", 1) + 1]
            self.at += len(quoted)
            return quoted
        if here[0] == '"':
            return self.double_quoted()
        if here[0] == "#" and self.text[self.at - 1].isspace():
            comment = here.partition("\n")[0]
            self.at += len(comment)
            return ""
        self.at += 1
        return here[0]

    def substitution(self):
        self.at += 2
        while self.text[self.at] != ")":
            self.command()
            if self.text[self.at] != ")":
                self.at += 1
        self.at += 1
        return SUBSTITUTED

    def double_quoted(self):
        read = '"'
        self.at += 1
        while self.text[self.at] != '"':
            read += self.word_part() if self.text[self.at] in "$\\" else self.plain()
        self.at += 1
        return read + '"'

    def plain(self):
        self.at += 1
        return self.text[self.at - 1]
