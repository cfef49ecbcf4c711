"""The lines that docs/troubleshooting.md quotes are those of the sources."""

import re
import unittest

from tests.template import DOCS, TOP

GAP = "…"
"""What differs from line to line, in the page."""


def literals():
    """The texts of functions and workflow, with a gap for each {…}: as they read when they are printed."""
    sources = sorted((TOP / "functions").glob("*/src/**/*.rs"))
    for source in (*sources, TOP / "infra" / "upload.asl.json"):
        code = source.read_text().split("#[cfg(test)]\nmod tests {")[0]
        for text in re.findall(r'"((?:[^"\\]|\\.)*)"', code, re.DOTALL):
            text = re.sub(r"\\\n\s*", "", text).replace(r"\"", '"')
            yield re.sub(r"\{[^{}]*\}", GAP, text)


def quoted():
    """The lines in the page's first columns."""
    for row in re.findall(r"^\| `(.+?)` \|", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE):
        yield row


def reads(literal, line):
    """Whether a text has a line in it. A gap at the line's ends may stand for more than one."""
    return line.strip(GAP) in literal


class Troubleshooting(unittest.TestCase):
    def test_each_line_is_one_that_the_functions_write(self):
        known = list(literals())
        lines = list(quoted())
        self.assertGreater(len(lines), 40)
        for line in lines:
            with self.subTest(line):
                self.assertTrue(any(reads(literal, line) for literal in known), "no source has this text")

    def test_a_line_that_no_source_has_is_found(self):
        literal = f"the bucket {GAP} cannot be used ({GAP}): it belongs to another account than {GAP}, and so on"
        for line, there in (
            ("the bucket … cannot be used (…): it belongs to another account than …", True),
            ("the bucket … cannot be used (…): it belongs to somebody else", False),
            ("the bucket … cannot be written (…)", False),
            ("…: it belongs to another account", True),
            ("another account than …, the bucket", False),
        ):
            self.assertEqual(reads(literal, line), there, line)


if __name__ == "__main__":
    unittest.main()
