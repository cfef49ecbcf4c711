"""The commands of docs/operators.md."""

import re

from common.failure import Failure
from common.paths import TOP

PAGE = TOP / "docs" / "operators.md"
SECTION = "Back up and restore"


def blocks(page, section):
    """The code blocks of a section: its indented lines."""
    (text,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    found = re.findall(r"(?:^ {4,}\S.*\n)+", text, re.MULTILINE)
    # Lines of a list go on with less.
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in found]


class Guide:
    """What is to be typed, in the order of the page."""

    def __init__(self):
        found = blocks(PAGE.read_text(), SECTION)
        if len(found) != 4:
            raise Failure(f"{PAGE.name} has {len(found)} blocks of commands where 4 were: to a file, restore, copy, delete")
        self.to_file, self.restore, self.copy, self.delete = found
