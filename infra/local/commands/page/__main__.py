"""The command line of `page`."""

import argparse
import os
import subprocess
import sys
import unittest
from pathlib import Path

import page
from common import node
from common.failure import Failure
from common.paths import COMMANDS, TARGET, TOP
from common.process import run_logged
from stack import tools

LOG = TARGET / "tools" / "page.log"


def in_environment():
    """Goes on in the environment of tools that has Playwright."""
    (binaries,) = tools.install("browser")
    if Path(sys.prefix) == binaries.parent:
        return
    node.install(lambda *command, env: run_logged(command, LOG, env=env))
    env = {**os.environ, "AXE": str(node.MODULES / "axe-core" / "axe.min.js"), "PYTHONDONTWRITEBYTECODE": "1"}
    python = str(binaries / "python")
    os.execve(python, [python, str(COMMANDS), "page", *sys.argv[1:]], env)


def test(options):
    from page.browser import Browser
    from page.tests.visit import BrowserTest

    tests = unittest.defaultTestLoader.discover(COMMANDS / "page" / "tests", top_level_dir=COMMANDS)
    if options.names:
        tests = unittest.defaultTestLoader.loadTestsFromNames([f"page.tests.{name}" for name in options.names])
    with Browser() as BrowserTest.browser:
        outcome = unittest.TextTestRunner().run(tests)
    sys.exit(not outcome.wasSuccessful())


def screenshots(options):
    from page.screenshots import take

    folder = TOP / "docs" / "page" if options.write else TARGET / "page"
    folder.mkdir(parents=True, exist_ok=True)
    take(folder)


def main():
    parser = argparse.ArgumentParser(
        prog="page", description=page.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verb = verbs.add_parser("test", help="test the page")
    verb.add_argument("names", nargs="*", metavar="NAME", help="only such as test_jobs.JobsTest (all)")
    verb.set_defaults(run=test)
    verb = verbs.add_parser("screenshots", help="take pictures of the page")
    verb.add_argument("--write", action="store_true", help="into docs/page")
    verb.set_defaults(run=screenshots)
    options = parser.parse_args()
    try:
        in_environment()
        options.run(options)
    except (Failure, subprocess.SubprocessError) as failure:
        sys.exit(f"page: {failure}")


if __name__ == "__main__":
    main()
