import tempfile
import unittest
from pathlib import Path
from unittest import mock

from acceptance import course
from acceptance.course import Course
from acceptance.report import Finding, Report
from acceptance.tests.stubs import Free, StubbedAccount, target
from common.failure import Failure

STEPS = ("deploy", "upload", "compare", "boot", "ask", "count_leftovers", "count_cost", "count_functions")


class CourseTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        both = target(service=StubbedAccount("000000000000"), user=StubbedAccount())
        self.report = Report("emulator", lambda _line: None)
        self.course = Course(both, Path(folder.name), Path(folder.name), self.report, Free())
        self.done = []
        for step in STEPS:
            setattr(self.course, step, self.step(step))
        self.course.remove = lambda: self.done.append("remove")
        patch = mock.patch.multiple(course, released=mock.DEFAULT, disk=mock.DEFAULT, require_no_role=mock.DEFAULT)
        self.parts = patch.start()
        self.addCleanup(patch.stop)

    def step(self, name, error=None):
        def do():
            self.done.append(name)
            if error:
                raise error
            return Finding(True, name)

        return do

    def test_everything_is_removed_at_the_end(self):
        self.course.run()
        self.assertEqual(self.done, [*STEPS, "remove"])

    def test_everything_is_removed_whatever_ends_the_run(self):
        for step in ("deploy", "upload"):
            for error in (Failure("broken"), KeyboardInterrupt(), SystemExit(143)):
                with self.subTest(step=step, error=error):
                    self.done.clear()
                    setattr(self.course, step, self.step(step, error))
                    with self.assertRaises(type(error)):
                        self.course.run()
                    self.assertEqual(self.done[-1], "remove")
                    self.assertTrue(self.course.stop.is_set())
            setattr(self.course, step, self.step(step))

    def test_nothing_is_made_in_an_account_that_has_the_roles_already(self):
        self.parts["require_no_role"].side_effect = Failure("it has the role obs-cloudupload already")
        with self.assertRaises(Failure):
            self.course.run()
        self.assertEqual(self.done, [])

    def test_two_profiles_of_one_account_are_refused(self):
        self.course.target.service = StubbedAccount()
        with self.assertRaisesRegex(Failure, "both profiles are of account"):
            self.course.run()
        self.assertEqual(self.done, [])


if __name__ == "__main__":
    unittest.main()
