"""What was recorded, as lines with the time at which each was there (asciicast v2, doc/asciicast-v2.md of asciinema)."""

import json
import re
from typing import NamedTuple

CONTROL = re.compile(r"\x1b\[(?P<codes>[0-9;?]*)(?P<kind>[A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()].")
SECRET = re.compile(r"(?<=//obs:)[^@\s]+(?=@)")


class Part(NamedTuple):
    text: str
    bold: bool


class Line(NamedTuple):
    at: float
    parts: tuple


def redacted(cast):
    """A recording without the secret of its stack."""
    head, *events = cast.splitlines()
    hidden = []
    for event in events:
        at, kind, data = json.loads(event)
        hidden.append(json.dumps([at, kind, SECRET.sub("SECRET", data)], ensure_ascii=False))
    return "\n".join([head, *hidden]) + "\n"


def lines_of(cast):
    """The lines that a terminal of the recording's width shows, with pauses no longer than it allows."""
    head, *events = map(json.loads, cast.splitlines())
    width, longest = head["width"], head["idle_time_limit"]
    lines, text, now, before = [], "", 0.0, 0.0
    for at, kind, data in events:
        now += min(at - before, longest)
        before = at
        if kind != "o":
            continue
        *whole, text = (text + data).split("\n")
        for line in whole:
            lines += [Line(now, parts) for parts in wrapped(styled(line), width)]
    return lines


def styled(line):
    """Text and bold text. What was written over (before a carriage return) is gone."""
    line = re.sub(r"\r+$", "", line).rpartition("\r")[2]
    parts, bold, end = [], False, 0
    for code in CONTROL.finditer(line):
        parts.append(Part(line[end : code.start()], bold))
        end = code.end()
        if code["kind"] == "m":
            for number in (code["codes"] or "0").split(";"):
                bold = {"0": False, "1": True, "22": False}.get(number, bold)
    parts.append(Part(line[end:], bold))
    return [part for part in parts if part.text]


def wrapped(parts, width):
    """The rows of a terminal that a line takes."""
    row, room = [], width
    for text, bold in parts:
        while len(text) > room:
            yield tuple([*row, Part(text[:room], bold)] if room else row)
            text, row, room = text[room:], [], width
        row.append(Part(text, bold))
        room -= len(text)
    yield tuple(row)
