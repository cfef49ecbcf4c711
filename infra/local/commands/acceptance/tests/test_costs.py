import re
import unittest

from acceptance import costs
from acceptance.report import Stop
from common.failure import Failure
from common.paths import TOP


class CostsTest(unittest.TestCase):
    def test_a_run_with_everything_costs_less_than_a_dollar(self):
        self.assertLess(costs.dollars(costs.plan(encrypted=True, boot=True)), 1)

    def test_a_plan_beyond_the_limit_is_refused(self):
        with self.assertRaises(Failure):
            costs.Guard(0.01).allow(costs.plan(encrypted=False, boot=False))

    def test_a_run_that_gets_too_dear_ends(self):
        guard = costs.Guard(0.01)
        guard.spend("blocks written (PutSnapshotBlock)", 1000)
        with self.assertRaises(Stop):
            guard.spend("blocks written (PutSnapshotBlock)", 1000)

    def test_numbers_that_are_counted_at_the_end_replace_those_before(self):
        guard = costs.Guard(1)
        guard.spend("state transitions", 10)
        guard.set("state transitions", 400)
        self.assertEqual(guard.bill(), [("state transitions", "400", 400 * costs.PRICES["state transitions"])])

    def test_the_plan_has_all_alarms_of_the_template(self):
        template = (TOP / "infra" / "template.yaml").read_text()
        self.assertLessEqual(len(re.findall("Type: AWS::CloudWatch::Alarm", template)), costs.ALARMS)


if __name__ == "__main__":
    unittest.main()
