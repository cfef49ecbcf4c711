"""The command line of `needs`."""

import argparse
import sys

import needs
from needs.report import report
from needs.table import needs_of


def architecture(parameters):
    """The Architecture among the parameters of `sam build`: the template's default is arm64."""
    values = dict(word.partition("=")[::2] for word in parameters.split())
    return values.get("Architecture", "arm64")


def main():
    parser = argparse.ArgumentParser(
        prog="needs", description=needs.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parameters", default="", help="of `sam build`, for package: NAME=VALUE …")
    parser.add_argument("commands", metavar="COMMAND", nargs="*")
    options = parser.parse_args()
    chosen = [command for command in options.commands if needs_of(command, "")]
    wanted = dict.fromkeys(need for command in chosen for need in needs_of(command, architecture(options.parameters)))
    if missing := [need for need in wanted if not need.is_there()]:
        sys.exit(report(chosen, missing))


if __name__ == "__main__":
    main()
