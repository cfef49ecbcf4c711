"""What was tried, and what came of it: one line for each check."""

import enum
import threading
import time
from dataclasses import dataclass

from common.failure import Failure


class Outcome(enum.Enum):
    OK = "ok"
    FAILED = "failed"
    NOT_TRIED = "not tried"


class NotTried(Exception):
    """Why a check cannot be made here."""


class Stop(Failure):
    """What ends the whole run, and not only a check."""


@dataclass(frozen=True)
class Finding:
    """What a check has found, and whether it is what was expected."""

    ok: bool
    found: str


@dataclass(frozen=True)
class Check:
    section: str
    tried: str
    expected: str
    found: str
    outcome: Outcome
    seconds: float


class Report:
    """Collects the checks, from several threads."""

    def __init__(self, where, show=print):
        """`where` is what the checks ran on: "AWS" or "emulator"."""
        self.where, self.show = where, show
        self.checks, self.lock = [], threading.Lock()

    def check(self, section, tried, expected, probe):
        """Makes a check: `probe` returns a Finding. What it raises is a failure of this check and of no other.

        Returns whether it is ok.
        """
        began = time.monotonic()
        try:
            finding = probe()
            outcome, found = (Outcome.OK if finding.ok else Outcome.FAILED), finding.found
        except Stop:
            raise
        except NotTried as reason:
            outcome, found = Outcome.NOT_TRIED, str(reason)
        except Exception as error:  # of whatever kind: the other checks go on
            outcome, found = Outcome.FAILED, f"{type(error).__name__}: {error}"
        self.add(Check(section, tried, expected, found, outcome, time.monotonic() - began))
        return outcome is Outcome.OK

    def add(self, check):
        with self.lock:
            self.checks.append(check)
            self.show(f"{self.where}  {check.outcome.value:<9} {check.seconds:6.1f} s  {check.section}: {check.tried}")
            if check.outcome is not Outcome.OK:
                self.show(f"          expected: {check.expected}\n          found:    {check.found}")

    def count(self, outcome):
        return sum(check.outcome is outcome for check in self.checks)

    def sections(self):
        return list(dict.fromkeys(check.section for check in self.checks))

    def of(self, section):
        return [check for check in self.checks if check.section == section]

    def summary(self):
        return ", ".join(f"{self.count(outcome)} {outcome.value}" for outcome in Outcome)
