"""Task states: tokens, timeouts, retries, errors."""

from __future__ import annotations

import time

from harness import PATIENCE, emulator
from states_tasks import delay
from workflows import ACCOUNT, Function, WorkflowCase, catch, invoke, pass_on

TOKEN = {"job.$": "$.job", "token.$": "$$.Task.Token"}


class Callbacks(WorkflowCase):
    """`.waitForTaskToken` on a function."""

    def test_a_callback_ends_the_task_while_its_function_runs(self) -> None:
        slow = Function("slow")
        execution = self.start(self.machine({"Wait": invoke(slow, {"sleep": 60, **TOKEN}, token=True)}), {"job": "17"})
        (event,) = slow.calls(1)
        self.assertEqual(event["job"], "17")
        self.assertGreater(len(event["token"]), 600)
        self.states.send_task_success(taskToken=event["token"], output='{"done": true}')
        self.succeeds(self.end(execution), {"done": True})
        self.refused("TaskTimedOut", self.states.send_task_success, taskToken=event["token"], output="{}")
        self.refused("TaskTimedOut", self.states.send_task_failure, taskToken=event["token"])

    def test_a_function_that_answers_leaves_the_task_waiting(self) -> None:
        quick = Function("quick")
        execution = self.start(self.machine({"Wait": invoke(quick, TOKEN, token=True)}), {"job": "17"})
        (event,) = quick.calls(1)
        time.sleep(0.3)
        self.assertEqual(self.states.describe_execution(executionArn=execution)["status"], "RUNNING")
        self.refused("InvalidOutput", self.states.send_task_success, taskToken=event["token"], output="{")
        self.states.send_task_failure(taskToken=event["token"], error="Refused", cause="by hand")
        self.fails(self.end(execution), "Refused", "by hand")

    def test_a_function_that_fails_fails_the_task(self) -> None:
        failing = Function("failing")
        task = invoke(
            failing,
            {"fail": "Boom", **TOKEN},
            token=True,
            Retry=[{"ErrorEquals": ["Boom"], "IntervalSeconds": 1, "MaxDelaySeconds": 1, "MaxAttempts": 1}],
            Catch=catch("Boom", "Caught"),
        )
        execution = self.end(self.start(self.machine({"Wait": task, "Caught": pass_on()}), {"job": "17"}))
        self.succeeds(execution, {"job": "17"})
        first, second = (event["token"] for event in failing.calls(2))
        self.assertNotEqual(first, second)
        self.refused("TaskTimedOut", self.states.send_task_success, taskToken=first, output="{}")

    def test_what_is_no_token(self) -> None:
        for token in ("nonsense", "AAAA" * 160):
            self.refused("InvalidToken", self.states.send_task_success, taskToken=token, output="{}")
            self.refused("InvalidToken", self.states.send_task_failure, taskToken=token)
        given = Function("given")
        execution = self.start(self.machine({"Wait": invoke(given, TOKEN, token=True)}), {"job": "17"})
        token = given.calls(1)[0]["token"]
        stranger = emulator.client("stepfunctions", "666677778888")
        self.refused("InvalidToken", stranger.send_task_success, taskToken=token, output="{}")
        self.states.stop_execution(executionArn=execution)
        self.refused("TaskTimedOut", self.states.send_task_success, taskToken=token, output="{}")

    def test_timeout_by_a_path(self) -> None:
        never = Function("never")
        task = invoke(never, TOKEN, token=True, TimeoutSecondsPath="$.budget", Catch=catch("States.Timeout", "Late"))
        began = time.monotonic()
        execution = self.run_machine({"Wait": task, "Late": pass_on()}, {"job": "17", "budget": 1})
        self.succeeds(execution, {"job": "17", "budget": 1})
        self.assertGreaterEqual(time.monotonic() - began, 1)
        token = never.calls(1)[0]["token"]
        self.refused("TaskTimedOut", self.states.send_task_success, taskToken=token, output="{}")
        for budget in (0, -1, 1.5, "1", True, None):
            execution = self.run_machine({"Wait": task, "Late": pass_on()}, {"job": "17", "budget": budget})
            self.fails(execution, "States.Runtime")

    def test_what_the_emulator_does_not_know(self) -> None:
        waiting = Function("unknown")
        task = invoke(waiting, TOKEN, token=True)
        activity = "arn:aws:states:us-east-1:555566667777:activity:any"
        for unknown in ({"HeartbeatSeconds": 2}, {"QueryLanguage": "JSONata"}, {"Resource": activity}):
            execution = self.run_machine({"Wait": {**task, **unknown}}, {"job": "17"})
            self.fails(execution, "States.Runtime", "The emulator does not know")
        self.assertEqual(waiting.count(), 0)


class TableCallbacks(WorkflowCase):
    """The SDK integration writes the token into a table."""

    def setUp(self) -> None:
        super().setUp()
        self.table = emulator.client("dynamodb", ACCOUNT)
        self.name = f"jobs-{time.monotonic_ns()}"
        self.table.create_table(
            TableName=self.name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.table.put_item(TableName=self.name, Item={"id": {"S": "17"}, "state": {"S": "waiting"}})
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
            "Parameters": {
                "TableName": self.name,
                "Key": {"id": {"S.$": "$.job"}},
                "UpdateExpression": "SET #token = :token",
                "ConditionExpression": "#state = :waiting",
                "ExpressionAttributeNames": {"#token": "token", "#state": "state"},
                "ExpressionAttributeValues": {":token": {"S.$": "$$.Task.Token"}, ":waiting": {"S": "waiting"}},
            },
            "TimeoutSecondsPath": "$.budget",
            "ResultPath": "$.result",
            "Catch": [
                *catch("DynamoDb.ConditionalCheckFailedException", "Gone"),
                *catch("States.Timeout", "Late"),
            ],
            "End": True,
        }
        self.states_of_it = {
            "Wait": task,
            "Gone": pass_on(Result="gone", ResultPath="$.end"),
            "Late": pass_on(Result="late", ResultPath="$.end"),
        }

    def token(self) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            item = self.table.get_item(TableName=self.name, Key={"id": {"S": "17"}})["Item"]
            if "token" in item:
                return item["token"]["S"]
            time.sleep(0.02)
        self.fail("no token was written")

    def test_the_token_comes_back(self) -> None:
        execution = self.start(self.machine(self.states_of_it), {"job": "17", "budget": 60})
        self.states.send_task_success(taskToken=self.token(), output='"ok"')
        self.succeeds(self.end(execution), {"job": "17", "budget": 60, "result": "ok"})

    def test_the_condition_fails(self) -> None:
        execution = self.run_machine(self.states_of_it, {"job": "18", "budget": 60})
        self.succeeds(execution, {"job": "18", "budget": 60, "end": "gone"})

    def test_nobody_answers(self) -> None:
        execution = self.run_machine(self.states_of_it, {"job": "17", "budget": 1})
        self.succeeds(execution, {"job": "17", "budget": 1, "end": "late"})
        self.refused("TaskTimedOut", self.states.send_task_success, taskToken=self.token(), output="{}")


class Tasks(WorkflowCase):
    def test_timeouts_of_a_function(self) -> None:
        lasting = Function("lasting")
        uncaught = self.start(self.machine({"Call": invoke(lasting, {"sleep": 60}, TimeoutSeconds=1)}))
        executions = []
        for limit in ({"TimeoutSeconds": 1}, {"TimeoutSecondsPath": "$.budget"}):
            task = invoke(lasting, {"sleep": 60}, **limit, Catch=catch("States.Timeout", "Late"))
            executions.append(self.start(self.machine({"Call": task, "Late": pass_on()}), {"budget": 1}))
        for execution in executions:
            self.succeeds(self.end(execution), {"budget": 1})
        self.fails(self.end(uncaught), "States.Timeout")
        self.succeeds(self.run_machine({"Call": invoke(lasting, {"sleep": 0}, OutputPath="$.Payload")}), {"sleep": 0})

    def test_a_throttled_function(self) -> None:
        throttled = Function("throttled")
        concurrency = {"FunctionName": "throttled", "ReservedConcurrentExecutions": 0}
        functions = emulator.client("lambda", ACCOUNT)
        functions.put_function_concurrency(**concurrency)
        task = invoke(throttled, {"job": "17"}, OutputPath="$.Payload")
        self.fails(self.run_machine({"Call": task}), "Lambda.TooManyRequestsException")
        retry = [
            {
                "ErrorEquals": ["Lambda.TooManyRequestsException"],
                "IntervalSeconds": 1,
                "BackoffRate": 1,
                "MaxAttempts": 60,
            }
        ]
        execution = self.start(self.machine({"Call": {**task, "Retry": retry}}))
        time.sleep(0.5)
        functions.delete_function_concurrency(FunctionName="throttled")
        self.succeeds(self.end(execution), {"job": "17"})

    def test_pauses_between_attempts(self) -> None:
        failing, began = Function("again"), time.monotonic()
        retrier = {"ErrorEquals": ["Boom"], "MaxAttempts": 1, "IntervalSeconds": 1000, "MaxDelaySeconds": 1}
        execution = self.run_machine({"Call": invoke(failing, {"fail": "Boom"}, Retry=[retrier])})
        self.fails(execution, "Boom", "as asked")
        self.assertGreaterEqual(time.monotonic() - began, 1)

    def test_how_long_a_pause_is(self) -> None:
        self.assertEqual([delay({}, number) for number in (1, 2, 3)], [1, 2, 4])
        slow = {"IntervalSeconds": 10, "BackoffRate": 3, "MaxDelaySeconds": 50}
        self.assertEqual([delay(slow, number) for number in (1, 2, 3)], [10, 30, 50])
        jittered = [delay({**slow, "JitterStrategy": "FULL"}, 3) for _ in range(1000)]
        self.assertTrue(all(0 <= seconds <= 50 for seconds in jittered))
        self.assertTrue(min(jittered) < 10 and max(jittered) > 40)

    def test_what_states_all_does_not_catch(self) -> None:
        task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"Payload.$": "$.not"}}
        for name in ("States.ALL", "States.TaskFailed"):
            states = {"Call": {**task, "Catch": catch(name, "On"), "End": True}, "On": pass_on()}
            self.fails(self.run_machine(states), "States.Runtime", "$.not")
        large = pass_on(Parameters={"a.$": "$.text", "b.$": "$.text"})
        self.fails(self.run_machine({"Large": large}, {"text": "x" * 140_000}), "States.DataLimitExceeded")

    def test_a_resource_of_another_partition(self) -> None:
        """The machine is made; its executions end with States.Runtime, whatever they would retry or catch."""
        called, retry = Function("abroad"), [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60}]
        for token in (False, True):
            task = invoke(called, TOKEN if token else None, token=token, Retry=retry)
            task["Resource"] = task["Resource"].replace("arn:aws:", "arn:aws-us-gov:")
            for name in ("States.ALL", "States.TaskFailed"):
                states = {"First": pass_on(Next="Call"), "Call": {**task, "Catch": catch(name, "On")}, "On": pass_on()}
                states["First"].pop("End")
                text = "executing the state 'Call' (entered at the event id #4). The resource belongs to a different "
                text += "partition from the running execution. Expected 'aws', was 'aws-us-gov'."
                self.fails(self.run_machine(states, {"job": "17"}), "States.Runtime", text)
        self.assertEqual(called.count(), 0)

    def test_paths_that_lead_nowhere(self) -> None:
        absent = {"Variable": "$.job", "Next": "End"}
        for state in (
            pass_on(Parameters={"deep": {"job.$": "$.job"}}),
            pass_on(Parameters={"token.$": "$$.Task.Token"}),
            pass_on(InputPath="$.job"),
            pass_on(OutputPath="$.job"),
            {"Type": "Wait", "SecondsPath": "$.job", "End": True},
            {"Type": "Choice", "Choices": [{**absent, "StringEquals": "17"}], "Default": "End"},
            {"Type": "Map", "ItemsPath": "$.job", "ItemProcessor": {}, "End": True},
        ):
            self.fails(self.run_machine({"State": state, "End": pass_on()}), "States.Runtime", "could not be found")
        states = {"State": {"Type": "Choice", "Choices": [{**absent, "IsPresent": False}]}, "End": pass_on()}
        self.succeeds(self.run_machine(states, {"other": None}), {"other": None})
        self.succeeds(self.run_machine({"State": pass_on(InputPath="$.job")}, {"job": None}), None)
        wait = {"Type": "Wait", "InputPath": "$.in", "SecondsPath": "$.seconds", "End": True}
        self.succeeds(self.run_machine({"State": wait}, {"in": {"seconds": 0}}), {"seconds": 0})
