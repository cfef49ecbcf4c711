"""Who may start, stop, see and answer executions, and what a machine's role must be allowed to do."""

from __future__ import annotations

import time
from typing import Any

from botocore.client import BaseClient
from harness import emulator, policy, role, user
from workflows import ACCOUNT, Function, WorkflowCase, invoke

TOKEN = {"token.$": "$$.Task.Token"}


def states_of(*statements: dict[str, Any]) -> BaseClient:
    return emulator.client("stepfunctions", **user(*statements, account=ACCOUNT))


class Callers(WorkflowCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.asked = Function("asked")

    def setUp(self) -> None:
        super().setUp()
        self.of_machine = self.machine({"Wait": invoke(self.asked, TOKEN, token=True)})

    def waiting(self) -> tuple[str, str]:
        """An execution that waits, and its token."""
        before = self.asked.count()
        execution = self.start(self.of_machine)
        return execution, self.asked.calls(before + 1)[-1]["token"]

    def test_answers_need_permission_for_the_machine(self) -> None:
        execution, token = self.waiting()
        calls = {"SendTaskFailure": {}, "SendTaskSuccess": {"output": "{}"}}
        for action, arguments in calls.items():
            method = "send_task_" + action.removeprefix("SendTask").lower()
            for resource in (execution, f"{self.of_machine}-not"):
                denied = states_of({"Action": f"states:{action}", "Resource": resource})
                self.refused("AccessDeniedException", getattr(denied, method), action, taskToken=token, **arguments)
            for resource in (self.of_machine, "*"):
                _, token = self.waiting()
                allowed = states_of({"Action": f"states:{action}", "Resource": resource})
                getattr(allowed, method)(taskToken=token, **arguments)

    def test_executions(self) -> None:
        execution, _ = self.waiting()
        one = {"executionArn": execution}
        of_machine = {"stateMachineArn": self.of_machine}
        for action, method, resource, arguments in (
            ("StartExecution", "start_execution", self.of_machine, of_machine),
            ("ListExecutions", "list_executions", self.of_machine, of_machine),
            ("DescribeExecution", "describe_execution", execution, one),
            ("StopExecution", "stop_execution", execution, one),
        ):
            other = execution if resource == self.of_machine else self.of_machine
            denied = states_of({"Action": f"states:{action}", "Resource": other})
            self.refused("AccessDeniedException", getattr(denied, method), action, **arguments)
            allowed = states_of({"Action": f"states:{action}", "Resource": resource})
            getattr(allowed, method)(**arguments)
        self.assertEqual(self.states.describe_execution(**one)["status"], "ABORTED")


class Roles(WorkflowCase):
    def setUp(self) -> None:
        super().setUp()
        self.name = f"role-{time.monotonic_ns()}"
        self.arn = role(self.name, "states", account=ACCOUNT)

    def allow(self, *statements: dict[str, Any]) -> None:
        emulator.client("iam", ACCOUNT).put_role_policy(
            RoleName=self.name, PolicyName="all", PolicyDocument=policy(*statements)
        )

    def test_functions(self) -> None:
        called = Function("called")
        states = {"Call": invoke(called, {"job": "17"}, OutputPath="$.Payload")}
        machine = self.machine(states, self.arn)
        self.fails(self.end(self.start(machine)), "Lambda.AWSLambdaException", "lambda:InvokeFunction")
        self.allow({"Action": "lambda:InvokeFunction", "Resource": f"{called.arn}-not"})
        self.fails(self.end(self.start(machine)), "Lambda.AWSLambdaException", called.arn)
        self.assertEqual(called.count(), 0)
        self.allow({"Action": "lambda:InvokeFunction", "Resource": called.arn})
        self.succeeds(self.end(self.start(machine)), {"job": "17"})

    def test_tables(self) -> None:
        table, key = emulator.client("dynamodb", ACCOUNT), {"id": {"S": "17"}}
        arn = table.create_table(
            TableName=self.name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )["TableDescription"]["TableArn"]
        update = {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem",
            "Parameters": {
                "TableName": self.name,
                "Key": key,
                "UpdateExpression": "ADD calls :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            },
            "End": True,
        }
        machine = self.machine({"Update": update}, self.arn)
        self.fails(self.end(self.start(machine)), "DynamoDb.DynamoDbException", "dynamodb:UpdateItem")
        self.allow({"Action": "dynamodb:UpdateItem", "Resource": f"{arn}-not"})
        self.fails(self.end(self.start(machine)), "DynamoDb.DynamoDbException", arn)
        self.assertNotIn("Item", table.get_item(TableName=self.name, Key=key))
        self.allow({"Action": "dynamodb:UpdateItem", "Resource": arn})
        self.assertEqual(self.end(self.start(machine))["status"], "SUCCEEDED")
        self.assertEqual(table.get_item(TableName=self.name, Key=key)["Item"]["calls"], {"N": "1"})
