"""A call that takes longer than a gateway waits: it starts with the first tests and is looked at with the last."""

from __future__ import annotations

import time
import unittest
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_outcome: Future[tuple[Any, float]]


def begin(call: Callable[[], Any]) -> None:
    """Starts the call, which the function would answer after 32 seconds."""
    global _outcome

    def timed() -> tuple[Any, float]:
        started = time.monotonic()
        return call(), time.monotonic() - started

    _outcome = ThreadPoolExecutor(1).submit(timed)


class Waiting(unittest.TestCase):
    def test_the_gateway_waits_thirty_seconds(self) -> None:
        (status, answer, _), seconds = _outcome.result()
        self.assertEqual((status, answer), (503, {"message": "Service Unavailable"}))
        self.assertGreaterEqual(seconds, 30)
