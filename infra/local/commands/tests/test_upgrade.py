import unittest

from upgrade.outcome import LOG_OF_KILL, LOG_OF_SUCCESS, problems_of


class FakeJob:
    def __init__(self, end, state, details, log):
        self.end, self.fields, self.lines = end, {"state": state, "details": details}, log

    def status(self):
        return self.fields

    def log(self):
        return "\n".join(self.lines)


class OutcomeTest(unittest.TestCase):
    def test_a_job_has_to_end_as_it_is_meant_to(self):
        self.assertEqual(problems_of(FakeJob("succeeded", "succeeded", "ami-1", LOG_OF_SUCCESS)), [])
        self.assertEqual(problems_of(FakeJob("killed", "failed", "killed", LOG_OF_KILL)), [])
        self.assertEqual(problems_of(FakeJob("succeeded", "failed", "no", LOG_OF_SUCCESS)), ["it is failed: no"])
        self.assertEqual(problems_of(FakeJob("killed", "succeeded", "ami-1", LOG_OF_KILL)), ["it is succeeded: ami-1"])

    def test_its_log_has_to_tell_the_whole_story(self):
        self.assertEqual(
            problems_of(FakeJob("succeeded", "succeeded", "ami-1", LOG_OF_SUCCESS[:-1])),
            ["its log lacks 'Upload took:'"],
        )


if __name__ == "__main__":
    unittest.main()
