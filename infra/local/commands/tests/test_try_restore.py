import unittest

from try_restore.guide import Guide, blocks

PAGE = """\
# Page

## One

    not this

## Two

Text,

    first \\
        goes on

- a list

      second

## Three

    nor this
"""


class GuideTest(unittest.TestCase):
    def test_the_commands_of_a_section_are_its_indented_lines(self):
        self.assertEqual(blocks(PAGE, "Two"), ["first \\\n    goes on\n", "  second\n"])

    def test_the_page_has_what_is_tried(self):
        guide = Guide()
        self.assertIn('aws dynamodb scan --table-name "$JobsTable"', guide.to_file)
        self.assertIn("--restore-date-time 2026-11-27T10:00:00Z", guide.restore)
        self.assertIn("<jobs.json", guide.copy)
        self.assertEqual(guide.delete, "aws dynamodb delete-table --table-name restored\n")


if __name__ == "__main__":
    unittest.main()
