import json
import unittest
from types import SimpleNamespace

from acceptance import counting
from acceptance.tests.stubs import StubbedAccount, target


def event(**line):
    return {"message": json.dumps(line)}


class CountingTest(unittest.TestCase):
    def setUp(self):
        self.service = StubbedAccount()
        self.target = target(service=self.service)
        self.deployed = SimpleNamespace(resources={"FunctionLogs": "logs", "UploadMachine": "arn:machine"})

    def test_blocks_are_those_that_the_logs_of_jobs_tell(self):
        self.assertEqual(counting.written("Wrote 53 blocks of a disk of 67108864 bytes: snap-1\nCreated image\n"), 53)
        self.assertEqual(counting.written("Killed.\n"), 0)

    def test_transitions_are_the_states_that_were_entered(self):
        states = self.service.stub("stepfunctions")
        arn = "arn:execution"
        execution = {"executionArn": arn, "stateMachineArn": "arn:machine", "name": "job-1", "status": "SUCCEEDED"}
        states.add_response("list_executions", {"executions": [{**execution, "startDate": 0}]})
        kinds = ["ExecutionStarted", "TaskStateEntered", "TaskSucceeded", "TaskStateExited", "MapStateEntered"]
        events = [{"timestamp": 0, "id": id, "type": kind} for id, kind in enumerate(kinds)]
        states.add_response("get_execution_history", {"events": events}, {"executionArn": arn})
        with self.service.stubbed():
            self.assertEqual(counting.transitions(self.target, self.deployed), 2)

    def test_functions_are_what_lambda_reports_among_other_lines(self):
        logs = self.service.stub("logs")
        metrics = {"billedDurationMs": 1500, "memorySizeMB": 512}
        events = [
            event(type="platform.report", record={"metrics": metrics}),
            event(type="platform.start", record={}),
            {"message": "no JSON, but with platform.report"},
        ]
        logs.add_response("filter_log_events", {"events": events})
        with self.service.stubbed():
            (report,) = counting.reports_of(self.target, self.deployed)
        self.assertEqual(counting.gb_seconds(report), 0.75)


if __name__ == "__main__":
    unittest.main()
