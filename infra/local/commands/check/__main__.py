"""The command line of `check`."""

import argparse
import os
import signal
import subprocess
import sys
import time

import check
from check.counts import count, total
from check.lanes import Lanes, show
from check.steps import FOLDER, LINT, RELEASE, STACK, TESTS, doors_of_obs
from common.failure import Failure
from common.loopback import no_proxy
from common.paths import TARGET, TOP


def environment():
    """This machine is asked without a proxy, and what is built lies where the stack looks for it."""
    proxies = dict.fromkeys(("NO_PROXY", "no_proxy"), no_proxy())
    return {**os.environ, **proxies, "CARGO_TARGET_DIR": str(TARGET)}


def lint(lanes):
    lanes.run(*LINT)


def test(lanes):
    doors = doors_of_obs()
    if not doors:
        show("both doors of OBS", "skipped: make test-obs says what is missing")
    down()  # what an earlier run may have left
    with_cargo, without_cargo = (lint + tests for lint, tests in zip(LINT, TESTS))
    try:
        lanes.run(with_cargo, without_cargo + doors, RELEASE)
    finally:
        down()
    steps = [step for lane in TESTS for step in lane if step.name.startswith("tests ")]
    print(total(count(lanes.log(step).read_text(errors="replace")) for step in steps))


def down():
    subprocess.run([STACK, "down", "--dir", FOLDER, "--clean"], check=True)


def main():
    parser = argparse.ArgumentParser(
        prog="check", description=check.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["lint", "test"])
    options = parser.parse_args()
    began = time.monotonic()
    # So that what runs is ended whoever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.chdir(TOP)
    FOLDER.mkdir(parents=True, exist_ok=True)
    lanes = Lanes(FOLDER, environment())
    try:
        {"lint": lint, "test": test}[options.what](lanes)
    except Failure as failure:
        sys.exit(str(failure))
    except KeyboardInterrupt:
        sys.exit(130)
    show("all", f"ok {time.monotonic() - began:8.0f} s")


if __name__ == "__main__":
    main()
