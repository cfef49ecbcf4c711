"""The command line of `stack`."""

import argparse
import os
import sys
from pathlib import Path

import stack
from common.failure import Failure
from common.paths import BINARIES, COMMANDS, TARGET, TOP
from stack import running, tools


def up(options):
    _, sam_tools = tools.install("emulator", "sam")
    if Path(sys.prefix) != sam_tools.parent:
        # Deploying needs a YAML parser that knows CloudFormation's tags, and a client of AWS: SAM has both.
        os.execv(sam_tools / "python", [str(sam_tools / "python"), str(COMMANDS), "stack", *sys.argv[1:]])
    running.up(options)


def down(options):
    running.down(options.dir.resolve(), options.clean)


def install(options):
    tools.install(*options.names)


def parameter(text):
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"not NAME=VALUE: {text}")
    return name, value


def arguments():
    parser = argparse.ArgumentParser(
        prog="stack", description=stack.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument("--dir", type=Path, default=TARGET / "local", help="logs, data and env (target/local)")
    verb = verbs.add_parser("up", parents=[folder], help="start and deploy")
    verb.add_argument("--port", type=int, default=4566, help="the AWS endpoint (4566)")
    verb.add_argument("--api-port", type=int, default=4580, help="the cloud uploader (4580)")
    verb.add_argument("--obs-port", type=int, default=4582, help="the stand-in for OBS (4582)")
    verb.add_argument("--faults-port", type=int, help="a proxy before AWS that can be told to fail (none)")
    verb.add_argument("--import-seconds", type=float, help="how long an import task takes (4)")
    verb.add_argument(
        "--parameter", type=parameter, action="append", default=[], metavar="NAME=VALUE", help="of infra/template.yaml"
    )
    verb.add_argument("--sources", type=Path, default=TOP, metavar="DIR", help="checkout with the templates (this one)")
    verb.add_argument("--functions", type=Path, default=BINARIES, metavar="DIR", help="built functions (target/quick)")
    verb.set_defaults(run=up)
    verb = verbs.add_parser("down", parents=[folder], help="end what up has started")
    verb.add_argument("--clean", action="store_true", help="remove what emulator and OBS have stored")
    verb.set_defaults(run=down)
    verb = verbs.add_parser("tools", help="install environments of tools")
    verb.add_argument("names", nargs="+", metavar="NAME")
    verb.set_defaults(run=install)
    return parser.parse_args()


def main():
    options = arguments()
    try:
        options.run(options)
    except Failure as failure:
        sys.exit(f"stack: {failure}")


if __name__ == "__main__":
    main()
