"""What takes longer than a test should: it starts with earlier tests and is looked at with the last."""

from __future__ import annotations

import time
import unittest
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_outcome: Future[tuple[Any, float]]
_checks: list[tuple[float, Callable[[], None]]] = []


def begin(call: Callable[[], Any]) -> None:
    """Starts the call, which the function would answer after 32 seconds."""
    global _outcome

    def timed() -> tuple[Any, float]:
        started = time.monotonic()
        return call(), time.monotonic() - started

    _outcome = ThreadPoolExecutor(1).submit(timed)


def look_again(seconds: float, check: Callable[[], None]) -> None:
    """Has something checked again, so many seconds from now at the earliest."""
    _checks.append((time.monotonic() + seconds, check))


class Waiting(unittest.TestCase):
    def test_the_gateway_waits_thirty_seconds(self) -> None:
        (status, answer, _), seconds = _outcome.result()
        self.assertEqual((status, answer), (503, {"message": "Service Unavailable"}))
        self.assertGreaterEqual(seconds, 30)

    def test_what_was_right_stays_so(self) -> None:
        for earliest, check in _checks:
            time.sleep(max(0, earliest - time.monotonic()))
            check()
