"""How many requests a second an account may make. No second, wherever it begins, has more."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from threading import Lock
from typing import Any


class Rates:
    def __init__(self) -> None:
        self.times: defaultdict[Any, deque[float]] = defaultdict(deque)
        self.lock = Lock()

    def take(self, key: Any, per_second: float) -> bool:
        """Whether one more request is within the rate. One that is refused does not count."""
        with self.lock:
            now, times = time.monotonic(), self.times[key]
            while times and times[0] <= now - 1:
                times.popleft()
            if len(times) >= per_second:
                return False
            times.append(now)
            return True
