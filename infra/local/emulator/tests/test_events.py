"""Rules of EventBridge, deployed from a SAM template."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError
from harness import emulator, zipped
from workflows import ACCOUNT, BOOTSTRAP, Function, Notes, WorkflowCase

STACK = "events"


def template(notes: Notes) -> dict[str, Any]:
    ended = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {
            "status": ["FAILED", "TIMED_OUT", "ABORTED"],
            "stateMachineArn": [{"Fn::Sub": "arn:aws:states:${AWS::Region}:${AWS::AccountId}:stateMachine:watched"}],
        },
    }
    which = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.fail", "BooleanEquals": True, "Next": "Fail"}],
        "Default": "Wait",
    }
    definition = {
        "StartAt": "Which",
        "TimeoutSeconds": 5,
        "States": {
            "Which": which,
            "Fail": {"Type": "Fail", "Error": "Boom", "Cause": "why"},
            "Wait": {"Type": "Wait", "SecondsPath": "$.wait", "End": True},
        },
    }
    function = {
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "CodeUri": {"Bucket": "events-code", "Key": "code.zip"},
        "Environment": {"Variables": {"NOTES": str(notes.folder)}},
        "Events": {
            "Tick": {"Type": "Schedule", "Properties": {"Schedule": "rate(1 minute)"}},
            "Ended": {"Type": "EventBridgeRule", "Properties": {"Pattern": ended}},
        },
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Watch": {"Type": "AWS::Serverless::Function", "Properties": function},
            "Machine": {
                "Type": "AWS::Serverless::StateMachine",
                "Properties": {"Name": "watched", "Definition": definition},
            },
        },
        "Outputs": {"Machine": {"Value": {"Ref": "Machine"}}, "Watch": {"Value": {"Fn::GetAtt": ["Watch", "Arn"]}}},
    }


class Rules(WorkflowCase):
    notes: Notes
    outputs: dict[str, str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.notes = Notes("watch")
        s3, stacks = emulator.client("s3", ACCOUNT), emulator.client("cloudformation", ACCOUNT)
        s3.create_bucket(Bucket="events-code")
        s3.put_object(Bucket="events-code", Key="code.zip", Body=zipped(BOOTSTRAP))
        stacks.create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(template(cls.notes)),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        stacks.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
        (stack,) = stacks.describe_stacks(StackName=STACK)["Stacks"]
        cls.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def test_executions_that_end_badly(self) -> None:
        machine = self.outputs["Machine"]
        for value in ({"fail": True}, {"fail": False, "wait": 60}, {"fail": False, "wait": 0}):
            self.end(self.start(machine, value))
        aborted = self.start(machine, {"fail": False, "wait": 60})
        self.states.stop_execution(executionArn=aborted, error="Killed")
        events = self.notes.calls(3)
        self.assertEqual({event["detail"]["status"] for event in events}, {"FAILED", "TIMED_OUT", "ABORTED"})
        for event in events:
            detail = event["detail"]
            execution = self.states.describe_execution(executionArn=detail["executionArn"])
            self.assertEqual((event["source"], event["account"], event["region"]), ("aws.states", ACCOUNT, "us-east-1"))
            self.assertEqual(event["resources"], [detail["executionArn"]])
            for name in ("executionArn", "stateMachineArn", "name", "status", "input"):
                self.assertEqual(detail[name], execution[name])
            for name in ("startDate", "stopDate"):
                self.assertEqual(detail[name], int(execution[name].timestamp() * 1000))
            self.assertIsNone(detail["output"])
        (failed,) = (event["detail"] for event in events if event["detail"]["status"] == "FAILED")
        self.assertEqual((failed["error"], failed["cause"]), ("Boom", "why"))

    def test_the_schedule_is_there(self) -> None:
        """Its first tick comes a minute after the deployment, which no test waits for."""
        rules = emulator.client("events", ACCOUNT)
        (rule,) = (rule for rule in rules.list_rules()["Rules"] if rule.get("ScheduleExpression"))
        self.assertEqual((rule["ScheduleExpression"], rule["State"]), ("rate(1 minute)", "ENABLED"))
        (target,) = rules.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        self.assertEqual(target["Arn"], self.outputs["Watch"])

    def put(self, *entries: dict[str, Any]) -> list[dict[str, str]]:
        put = emulator.client("events", ACCOUNT).put_events(Entries=list(entries))
        self.assertEqual(put["FailedEntryCount"], sum("ErrorCode" in result for result in put["Entries"]))
        return put["Entries"]

    def test_entries_that_are_not_taken_keep_back_no_other(self) -> None:
        entry = {"Source": "obs", "DetailType": "build", "Detail": "{}"}
        lacking = [{**entry, name: ""} for name in entry]
        malformed = [{**entry, "Detail": detail} for detail in ("{", "[]")]
        results = self.put(*lacking, *malformed, {**entry, "Source": "aws.obs"}, entry)
        self.assertEqual(
            [result.get("ErrorCode") for result in results],
            ["InvalidArgument"] * 3 + ["MalformedDetail"] * 2 + ["NotAuthorizedForSourceException", None],
        )
        self.assertIn("EventId", results[-1])

    def test_requests_that_are_too_large(self) -> None:
        entry = {"Source": "obs", "DetailType": "build", "Detail": "{}"}
        large = {**entry, "Detail": json.dumps({"text": "x" * 130_000})}
        (taken,) = self.put(large)
        self.assertIn("EventId", taken)
        for entries in ([entry] * 11, [large] * 3):
            with self.assertRaises(ClientError) as refused:
                self.put(*entries)
            self.assertEqual(refused.exception.response["Error"]["Code"], "ValidationException")

    def test_a_queue_gets_events_if_its_policy_lets_it(self) -> None:
        rules, queues = emulator.client("events", ACCOUNT), emulator.client("sqs", ACCOUNT)
        rule = rules.put_rule(Name="queued", EventPattern=json.dumps({"source": ["obs.queued"]}))["RuleArn"]
        urls = {}
        for name, source in (("open", rule), ("other", rule + "-not"), ("closed", None)):
            urls[name] = queues.create_queue(QueueName=f"events-{name}")["QueueUrl"]
            arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:events-{name}"
            if source:
                statement = {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": source}},
                }
                policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
                queues.set_queue_attributes(QueueUrl=urls[name], Attributes={"Policy": policy})
            rules.put_targets(Rule="queued", Targets=[{"Id": name, "Arn": arn}])
        self.put({"Source": "obs.queued", "DetailType": "build", "Detail": '{"a": 1}', "Time": 1795445844})
        got = {name: queues.receive_message(QueueUrl=url).get("Messages", []) for name, url in urls.items()}
        self.assertEqual({name: len(messages) for name, messages in got.items()}, {"open": 1, "other": 0, "closed": 0})
        event = json.loads(got["open"][0]["Body"])
        self.assertEqual((event["detail"], event["time"]), ({"a": 1}, "2026-11-23T14:57:24Z"))

    def test_a_function_that_fails_is_invoked_again(self) -> None:
        rules, failing = emulator.client("events", ACCOUNT), Function("retried")
        rules.put_rule(Name="own", EventPattern=json.dumps({"source": ["obs"]}))
        rules.put_targets(Rule="own", Targets=[{"Id": "one", "Arn": failing.arn, "Input": '{"fail": "Boom"}'}])
        rules.put_events(Entries=[{"Source": "obs", "DetailType": "build", "Detail": "{}"}])
        self.assertEqual(failing.calls(3), [{"fail": "Boom"}] * 3)
