"""The command line of `picture`."""

import argparse
import sys

import picture
from common.failure import Failure
from common.paths import shown
from common.process import output
from picture.drawing import PICTURES, SOURCE, command, stamped


def main():
    argparse.ArgumentParser(
        prog="picture", description=picture.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    try:
        for file, color in PICTURES.items():
            file.write_text(stamped(output(*command(color)), SOURCE.read_text()))
            print(shown(file))
    except Failure as failure:
        sys.exit(f"picture: {failure}")


if __name__ == "__main__":
    main()
