import unittest

from check.counts import Counts, count, total


class CountsTest(unittest.TestCase):
    def test_closing_lines_of_cargo_add_up(self):
        text = (
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n"
            "running 2 tests\n"
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n"
        )
        self.assertEqual(count(text), Counts(13, 2, 1))

    def test_skipped_tests_of_unittest_have_not_passed(self):
        self.assertEqual(count("Ran 95 tests in 61.2s\n\nOK (skipped=2)\n"), Counts(93, 0, 2))
        self.assertEqual(count("Ran 1 test in 0.1s\n\nOK\n"), Counts(1, 0, 0))

    def test_the_total_is_the_closing_line_of_the_check(self):
        self.assertEqual(str(total([Counts(1, 0, 2), Counts(3, 4, 0)])), "4 passed, 4 failed, 2 ignored")


if __name__ == "__main__":
    unittest.main()
