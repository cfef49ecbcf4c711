"""The command line of `fuzz`."""

import argparse
import sys

import fuzz
from common.failure import Failure
from fuzz.build import build, targets
from fuzz.run import run


def arguments():
    parser = argparse.ArgumentParser(
        prog="fuzz", description=fuzz.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each fuzzer (60)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(targets()))
    options = parser.parse_args()
    if unknown := set(options.targets) - set(targets()):
        parser.error(f"there is no {', '.join(sorted(unknown))}, only {', '.join(targets())}")
    return options


def main():
    options = arguments()
    chosen = options.targets or targets()
    failures = []
    try:
        folder = build()
        for target in chosen:
            try:
                run(folder / target, options.seconds)
            except Failure as failure:
                print(f"{target:<20}FAILED", flush=True)
                failures.append(str(failure))
    except Failure as failure:
        failures.append(str(failure))
    except KeyboardInterrupt:
        sys.exit(130)
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
