"""Runs that do not come to their end, on the emulator. ACCEPTANCE_RELEASE is the folder of a release, ACCEPTANCE_DIR one
for the stack.

    python -m unittest acceptance.tests.on_emulator
"""

import os
import re
import signal
import subprocess
import unittest
from pathlib import Path
from types import SimpleNamespace

from acceptance import jobs, local
from acceptance.accounts import Account
from acceptance.costs import Guard
from acceptance.course import Course
from acceptance.disk import SLOW
from acceptance.local import Emulator
from acceptance.removal import Removal
from acceptance.report import Report
from acceptance.target import Names, new_name
from common.paths import LOCAL

RELEASE, FOLDER = Path(os.environ["ACCEPTANCE_RELEASE"]), Path(os.environ["ACCEPTANCE_DIR"])
END_TIMEOUT = 180


class Died(Exception):
    """As if the machine had lost its power."""


class Dying(Course):
    """Dies while one job has ended, one imports and one is receiving, and removes nothing."""

    def upload(self):
        uploads, role = jobs.Uploads(self.target, self.deployed.uploader), self.roles["RoleArn"]
        uploads.start("receives", role, file=SLOW)
        imports = uploads.start("imports", role, route="import")
        uploads.start("ends", role).wait_for_end()
        imports.wait_until(lambda _: jobs.IMPORTING in imports.log(), "importing")
        raise Died

    def remove(self):
        pass


def quiet(_line):
    pass


class UnfinishedRuns(unittest.TestCase):
    def test_what_a_run_left_that_died_is_removed_by_its_name_alone(self):
        options = SimpleNamespace(port=5266, api_port=5280, import_seconds=600, dir=FOLDER)
        guard = Guard(1)
        with local.emulator(options, new_name()) as target:
            with self.assertRaises(Died):
                Dying(target, RELEASE, FOLDER, Report("emulator", quiet), guard).run()
            accounts = [Account(account.session, account.endpoint) for account in (target.service, target.user)]
            again = Emulator(Names(target.names.run), *accounts, target.encrypted_region).at(options, target.data)
            removal = Removal(again, guard, quiet)
            left = removal.left()
            for kind in ("stacks", "tables", "buckets", "AMIs of the user", "import tasks of the user"):
                self.assertTrue(any(found.startswith(kind) for found in left), f"no {kind} in {left}")
            removal.all()
            self.assertEqual((removal.problems, removal.left()), ([], {}))

    def test_a_run_that_is_ended_in_the_middle_removes_everything(self):
        command = [LOCAL / "acceptance", "--local", "--release", RELEASE, "--dir", FOLDER]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
            for line in run.stdout:
                if "kill a job that is created" in line:
                    break
            run.send_signal(signal.SIGTERM)
            run.stdout.read()
            self.assertEqual(run.wait(END_TIMEOUT), 143)
        report = (FOLDER / "report.md").read_text()
        self.assertTrue("- course: it ended early: 143" in report)
        self.assertTrue(re.search(r"with everything removed, in both accounts \| nothing \| left: nothing \| ok", report))


if __name__ == "__main__":
    unittest.main()
