"""The part of CHANGELOG.md that is about one version."""

import re

from common.failure import Failure

UNRELEASED = "Unreleased"


def part(text, version, released):
    """The section of a version, with its heading. A version that is not `released` yet may have the unreleased one."""
    sections = dict(re.findall(r"^## (\S+)([^\n]*\n.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    titles = [version] if released else [version, UNRELEASED]
    for title in titles:
        if title in sections:
            return f"## {title}{sections[title].rstrip()}\n"
    raise Failure(f"CHANGELOG.md has no section {' or '.join(titles)}")
