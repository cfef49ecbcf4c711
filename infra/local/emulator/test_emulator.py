"""Shows each rule of the emulator through boto3, against an emulator of its own.

<venv>/bin/python infra/local/emulator/test_emulator.py
"""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

TESTS = Path(__file__).parent / "tests"
sys.path.insert(0, str(TESTS))


def main() -> None:
    from harness import emulator

    emulator.start()
    try:
        outcome = unittest.TextTestRunner().run(unittest.defaultTestLoader.discover(str(TESTS)))
    finally:
        emulator.stop()
    sys.exit(not outcome.wasSuccessful())


if __name__ == "__main__":
    main()
