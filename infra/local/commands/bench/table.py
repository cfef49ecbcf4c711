"""What a measurement returns: rows of a table, and the limits that it kept or not."""

import sys
import time
from typing import NamedTuple

from common.units import MIB


class Row(NamedTuple):
    what: str
    number: str
    beside: str = ""


class Table(NamedTuple):
    title: str
    rows: list
    """Each a Row, or as many texts as the head has."""
    head: tuple = ("", "", "")


class Limits:
    def __init__(self):
        self.exceeded = []

    def keep(self, what, value, limit):
        if value > limit:
            self.exceeded.append(f"{what}: {value}, the limit is {limit}")

    def reach(self, what, value, least):
        if value < least:
            self.exceeded.append(f"{what}: {value}, which should be {least} at least")


def note(text):
    """Tells what is being measured now. Standard output is for the numbers."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def mib(size):
    return f"{size / MIB:.1f} MiB" if size < 100 * MIB else f"{size / MIB:.0f} MiB"


def ms(seconds):
    return f"{seconds * 1000:.2f} ms"


def seconds(number):
    return f"{number:.1f} s"
