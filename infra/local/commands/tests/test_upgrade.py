import unittest

from upgrade.outcome import LOG, LOG_OF_KILL, LOG_OF_ROUTE, LOG_OF_SUCCESS, problems_of

OF_SUCCESS = (*LOG, *LOG_OF_ROUTE["import"], *LOG_OF_SUCCESS)
OF_KILL = (*LOG, *LOG_OF_ROUTE["import"], *LOG_OF_KILL)


class FakeJob:
    def __init__(self, end, state, details, log, route="import"):
        self.end, self.fields, self.lines, self.route = end, {"state": state, "details": details}, log, route

    def status(self):
        return self.fields

    def log(self):
        return "\n".join(self.lines)


class OutcomeTest(unittest.TestCase):
    def test_a_job_has_to_end_as_it_is_meant_to(self):
        self.assertEqual(problems_of(FakeJob("succeeded", "succeeded", "ami-1", OF_SUCCESS)), [])
        self.assertEqual(problems_of(FakeJob("killed", "failed", "killed", OF_KILL)), [])
        self.assertEqual(problems_of(FakeJob("succeeded", "failed", "no", OF_SUCCESS)), ["it is failed: no"])
        self.assertEqual(problems_of(FakeJob("killed", "succeeded", "ami-1", OF_KILL)), ["it is succeeded: ami-1"])

    def test_its_log_has_to_tell_the_whole_story(self):
        self.assertEqual(
            problems_of(FakeJob("succeeded", "succeeded", "ami-1", OF_SUCCESS[:-1])),
            ["its log lacks 'Upload took:'"],
        )

    def test_its_log_has_to_be_that_of_its_route(self):
        self.assertEqual(
            problems_of(FakeJob("succeeded", "succeeded", "ami-1", OF_SUCCESS, "copy")),
            ["its log lacks 'blocks of a disk of'", "its log lacks 'Copying into your account:'"],
        )


if __name__ == "__main__":
    unittest.main()
