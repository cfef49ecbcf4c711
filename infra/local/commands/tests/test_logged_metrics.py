import unittest

from check.logged_metrics import documents, names_in
from common.failure import Failure


def line(**changes):
    directive = {"Namespace": "cloudupload", "Dimensions": [["Step"]], "Metrics": [{"Name": "Bytes", "Unit": "Bytes"}]}
    return {"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, "Step": "receive", "Bytes": 7} | changes


class LoggedMetricsTest(unittest.TestCase):
    def test_metrics_are_told_from_other_lines(self):
        found = list(documents(['{"level": "INFO"}', '{"_aws": {}}', "START"]))
        self.assertEqual(found, [{"_aws": {}}])

    def test_a_document_has_what_it_names(self):
        self.assertEqual(names_in(line(), "cloudupload"), {"Bytes"})
        without = line()
        del without["Step"]
        for wrong, namespace in ((without, "cloudupload"), (line(), "another")):
            with self.assertRaises(Failure):
                names_in(wrong, namespace)


if __name__ == "__main__":
    unittest.main()
