"""That the page of the measurements keeps what a run has not measured."""

import unittest

from bench.page import page, page_with, section_of
from bench.table import Row, Table
from bench.terabytes import TITLE

SHORT = Table("A slot handed on", [Row("median", "1 ms")])


def long(number):
    return Table(TITLE, [Row("slices", number)])


class PageTest(unittest.TestCase):
    def test_the_long_measurement_has_a_section_of_its_own(self):
        text = page_with([long("70")], page([SHORT], ""))
        self.assertIn("| slices | 70 |", section_of(text, TITLE))
        self.assertLess(text.index("| median | 1 ms |"), text.index(f"## {TITLE}"))

        again = page_with([long("71")], text)
        self.assertEqual(again, text.replace("| slices | 70 |", "| slices | 71 |"))

    def test_a_run_of_all_others_keeps_it(self):
        text = page_with([long("70")], page([SHORT], ""))
        rewritten = page([SHORT._replace(rows=[Row("median", "2 ms")])], text)
        self.assertEqual(rewritten, text.replace("1 ms", "2 ms"))


if __name__ == "__main__":
    unittest.main()
