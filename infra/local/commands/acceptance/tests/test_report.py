import unittest

from acceptance.page import page
from acceptance.report import Finding, NotTried, Outcome, Report, Stop


def silent(where="emulator"):
    return Report(where, lambda _line: None)


def raising(error):
    def probe():
        raise error

    return probe


class ReportTest(unittest.TestCase):
    def test_what_a_check_raises_is_its_failure_and_the_next_one_is_made(self):
        report = silent()
        self.assertFalse(report.check("A", "first", "x", raising(ValueError("broken"))))
        self.assertTrue(report.check("A", "second", "x", lambda: Finding(True, "x")))
        self.assertEqual([check.outcome for check in report.checks], [Outcome.FAILED, Outcome.OK])
        self.assertEqual(report.checks[0].found, "ValueError: broken")

    def test_what_was_not_tried_is_neither_ok_nor_failed(self):
        report = silent()
        self.assertFalse(report.check("A", "boot", "a line", raising(NotTried("emulator: it boots no instances"))))
        self.assertEqual(report.summary(), "0 ok, 0 failed, 1 not tried")

    def test_what_ends_the_run_is_not_kept_in_a_check(self):
        with self.assertRaises(Stop):
            silent().check("A", "dear", "x", raising(Stop("too dear")))

    def test_every_line_of_the_page_says_where_it_was_tried(self):
        report = silent()
        report.check("Uploads", "upload | by direct", "an AMI", lambda: Finding(True, "ami-1\nin 3 s"))
        report.check("Boot", "boot", "a line", raising(NotTried("emulator: it boots no instances")))
        text = page(report, [("run", "name")], [("blocks", "3", 0.5)])
        rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
        heads = [line for line in rows if line.startswith("| where ")]
        self.assertEqual(len(rows) - len(heads), 4)
        for line in rows:
            if line not in heads:
                self.assertTrue(line.startswith("| emulator | "), line)
        self.assertIn(r"| emulator | upload \| by direct | an AMI | ami-1 in 3 s | ok |", text)
        self.assertIn("| emulator | boot | a line | emulator: it boots no instances | not tried |", text)
        self.assertIn("| emulator | all |  | 0.5000 |", text)


if __name__ == "__main__":
    unittest.main()
