import re
import unittest

from tests.template import DOCS, of_type

ALARMS = of_type("AWS::CloudWatch::Alarm")


def sections():
    """The sections of docs/alarms.md: text by title."""
    parts = re.split(r"^## (\w+)\n", (DOCS / "alarms.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


class Alarms(unittest.TestCase):
    def test_each_alarm_goes_to_the_topic_and_names_its_section(self):
        for name, alarm in ALARMS.items():
            with self.subTest(name):
                self.assertEqual(alarm["AlarmActions"], [{"Ref": "AlarmTopic"}])
                self.assertTrue(alarm["AlarmDescription"].endswith(f"See docs/alarms.md#{name.lower()}"))

    def test_each_alarm_has_a_section_with_cause_and_what_to_do(self):
        self.assertEqual(set(sections()), set(ALARMS))
        for name, text in sections().items():
            for part in ("**Cause.**", "**What to look at", "hat to do.**"):
                self.assertIn(part, text, name)

    def test_numbers_in_the_text_are_those_of_the_alarm(self):
        for name, text in sections().items():
            cause = text.split("**What to look at")[0].replace(",", "")
            alarm = ALARMS[name]
            minutes = alarm["Period"] * alarm["EvaluationPeriods"] // 60
            with self.subTest(name):
                if alarm["Threshold"] > 1:
                    self.assertRegex(cause, rf"\b{alarm['Threshold']}\b")
                # That one tells the seven days of an execution instead.
                if name != "UploadTimedOut":
                    words = {10: "ten minutes", 60: "an hour", 26 * 60: "26 hours"}.get(minutes, f"{minutes} minutes")
                    self.assertIn(words, cause)


if __name__ == "__main__":
    unittest.main()
