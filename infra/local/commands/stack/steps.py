"""What `up` tells about its progress."""

import contextlib
import time


@contextlib.contextmanager
def step(what):
    """Prints one line for a step, with the seconds that it took."""
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:7.1f} s  {what}", flush=True)
