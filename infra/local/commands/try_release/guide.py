"""The commands that DEPLOY.md tells, as somebody types them who follows it."""

import re


def commands(text, words):
    """The indented lines, with the guide's words in capitals replaced. A backslash at a line's end goes on."""
    lines = re.findall(r"^ {7}(\S.*|  .*)$", text, re.MULTILINE)
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    pattern = re.compile(rf"\b({'|'.join(words)})\b")
    return [pattern.sub(lambda word: words[word[0]], command) for command in joined]
