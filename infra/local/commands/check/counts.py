"""What the closing lines of test runners come to."""

import re
from typing import NamedTuple

CARGO = re.compile(r"^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)
UNITTEST = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
UNITTEST_SKIPPED = re.compile(r"^OK .*skipped=(\d+)", re.MULTILINE)


class Counts(NamedTuple):
    passed: int = 0
    failed: int = 0
    ignored: int = 0

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.ignored} ignored"


def count(text):
    """The tests in an output of `cargo test`, or of Python's unittest that succeeded."""
    passed = failed = ignored = 0
    for line in CARGO.findall(text):
        numbers = list(map(int, line))
        passed, failed, ignored = passed + numbers[0], failed + numbers[1], ignored + numbers[2]
    skipped = sum(map(int, UNITTEST_SKIPPED.findall(text)))
    ran = sum(map(int, UNITTEST.findall(text)))
    return Counts(passed + ran - skipped, failed, ignored + skipped)


def total(counts):
    return Counts(*map(sum, zip(*counts)))
