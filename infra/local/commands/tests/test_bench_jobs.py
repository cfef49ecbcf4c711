import collections
import unittest
from unittest import mock

from bench import cost, jobs, prices


def job(**changes):
    fields = {
        "states": {},
        "calls": collections.Counter(),
        "transitions": 0,
        "invocations": 0,
        "gb_seconds": 0.0,
        "staged": 0,
        "written": 0,
        "stored": 0,
        "log": 0,
        "copied": 0,
    }
    return jobs.Job(**{**fields, **changes})


def entered(name, at):
    return {"type": "TaskStateEntered", "timestamp": at, "stateEnteredEventDetails": {"name": name}}


def exited(name, at):
    return {"type": "TaskStateExited", "timestamp": at, "stateExitedEventDetails": {"name": name}}


class StatesTest(unittest.TestCase):
    def test_slices_belong_to_transfer_and_waits_to_the_check(self):
        events = [entered("Begin", 101), entered("Receive", 102), entered("Received?", 105), entered("Transfer", 106)]
        events += [entered("TransferSlice", 106), entered("TransferSlice", 110), entered("Seal", 116)]
        events += [entered("Wait", 117), entered("Check", 118), entered("Imported?", 119), entered("Wait", 119)]
        events += [entered("Check", 124), entered("Register", 126), entered("Finish", 127), entered("Succeeded", 200)]
        spent = {"the call": 2, "Receive": 4, "Transfer": 10, "Seal": 1, "Check": 9, "Register": 1}
        self.assertEqual(jobs.states(100, events), spent)


class GbSecondsTest(unittest.TestCase):
    def test_slices_side_by_side_count_each(self):
        events = [entered("Wait", 0), entered("TransferSlice", 1), entered("TransferSlice", 2)]
        events += [exited("TransferSlice", 5), exited("TransferSlice", 8), exited("Wait", 9)]
        memory = mock.Mock()
        memory.of = {"TransferSlice": 2048}.get
        self.assertEqual(jobs.gb_seconds(memory, events), 20)


class CostTest(unittest.TestCase):
    def test_blocks_cost_most_of_a_job(self):
        calls = collections.Counter({"ebs:PutSnapshotBlock": 4096, "ebs:StartSnapshot": 1, "sts:AssumeRole": 9})
        parts = cost.price(job(calls=calls, gb_seconds=60, transitions=20))
        self.assertAlmostEqual(parts["EBS"], 0.024576)
        self.assertAlmostEqual(parts["Lambda"], 60 * prices.LAMBDA_GB_SECOND)
        self.assertAlmostEqual(parts["other"], 20 * prices.TRANSITION + prices.API_CALL)
        self.assertEqual(parts["S3"], 0)

    def test_a_snapshot_that_is_copied_costs_while_it_is_there(self):
        parts = cost.price(job(copied=730 << 30))
        self.assertAlmostEqual(parts["EBS"], 0.05 * cost.KEPT_HOURS)

    def test_a_job_that_is_not_run_is_on_the_line_through_the_others(self):
        small = job(calls=collections.Counter(a=10, b=1), staged=100)
        large = job(calls=collections.Counter(a=100, b=1), staged=1000)
        computed = jobs.on_the_line(small, large)
        self.assertEqual(computed.calls, {"a": 1000, "b": 1})
        self.assertEqual(computed.staged, 10_000)


if __name__ == "__main__":
    unittest.main()
