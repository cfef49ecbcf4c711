"""The command line of `release`."""

import argparse
import os
import sys
from pathlib import Path

import release
from common.failure import Failure
from common.paths import COMMANDS, TARGET, shown
from needs.table import ARCHITECTURES
from stack import tools


def arguments():
    parser = argparse.ArgumentParser(
        prog="release", description=release.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--architecture", choices=sorted(ARCHITECTURES), default="arm64", help="of the functions (arm64)"
    )
    parser.add_argument("--functions", type=Path, default=TARGET / "lambda", metavar="DIR", help="built functions")
    parser.add_argument("--tag", help="the release's tag, vVERSION")
    parser.add_argument("--out", type=Path, default=TARGET / "release-files", metavar="DIR", help="for the files")
    return parser.parse_args()


def main():
    options = arguments()
    try:
        (home,) = tools.install("release")
        if Path(sys.prefix) != home.parent:
            # For a YAML parser and for CycloneDX.
            os.execv(home / "python", [str(home / "python"), str(COMMANDS), "release", *sys.argv[1:]])
        from release.files import write

        folder = write(options.architecture, options.functions.resolve(), options.out.resolve(), options.tag)
    except Failure as failure:
        sys.exit(f"release: {failure}")
    print(f"The release is in {shown(folder)}, and in {shown(folder)}.tar.")


if __name__ == "__main__":
    main()
