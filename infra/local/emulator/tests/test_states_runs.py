"""Executions: how they start, end and are listed."""

from __future__ import annotations

import time
from typing import Any

import test_waiting
from workflows import Function, WorkflowCase, catch, invoke, pass_on

WAITING = {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}
TOKEN = {"job.$": "$.job", "token.$": "$$.Task.Token"}


def map_of(processor: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, **fields}


class Ends(WorkflowCase):
    def test_the_machines_own_timeout(self) -> None:
        idle = Function("idle")
        failing = {"fail": "Boom"}
        retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60}]
        machines = [
            self.machine(states, TimeoutSeconds=2)
            for states in (
                WAITING,
                {"Wait": invoke(idle, TOKEN, token=True, Catch=catch("States.ALL", "On")), "On": pass_on()},
                {"Pause": invoke(idle, failing, Retry=retry)},
                {"Loop": {"Type": "Wait", "Seconds": 0, "Next": "Loop"}},
            )
        ]
        for started in [self.start(machine, {"job": "17"}) for machine in machines]:
            execution = self.end(started)
            self.assertEqual(execution["status"], "TIMED_OUT")
            self.assertGreaterEqual((execution["stopDate"] - execution["startDate"]).total_seconds(), 2)
            self.assertFalse({"output", "error", "cause"} & set(execution))
        (token,) = (event["token"] for event in idle.calls(2) if "token" in event)
        self.refused("TaskTimedOut", self.states.send_task_success, taskToken=token, output="{}")
        self.succeeds(self.run_machine({"On": pass_on()}, {"job": "17"}, TimeoutSeconds=60), {"job": "17"})

    def test_stop_ends_every_wait(self) -> None:
        function, next_one = Function("stopped"), Function("next")
        then = invoke(next_one, {"job": "17"})
        retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 20}]
        item = {"StartAt": "Item", "States": {"Item": invoke(function, {"sleep": 20})}}
        machines = [
            self.machine({**states, "Then": then})
            for states in (
                {"Wait": {"Type": "Wait", "Seconds": 20, "Next": "Then"}},
                {"Wait": invoke(function, {"sleep": 20, "token.$": "$$.Task.Token"}, token=True, Next="Then")},
                {"Call": invoke(function, {"sleep": 20}, Next="Then")},
                {"Pause": invoke(function, {"fail": "Boom"}, Retry=retry, Next="Then")},
                {"Map": map_of(item, MaxConcurrency=1, Next="Then")},
            )
        ]
        executions = [self.start(machine, {"items": [1, 2, 3]}) for machine in machines]
        function.calls(4)
        for execution in executions:
            answer = self.states.stop_execution(executionArn=execution, error="Killed", cause="by the user")
            found = self.states.describe_execution(executionArn=execution)
            self.assertEqual((found["status"], found["error"], found["cause"]), ("ABORTED", "Killed", "by the user"))
            self.assertEqual(found["stopDate"], answer["stopDate"])
            self.assertNotIn("output", found)

        def check() -> None:
            self.assertEqual((function.count(), next_one.count()), (4, 0), "something began after the stop")
            for execution in executions:
                found = self.states.describe_execution(executionArn=execution)
                self.assertEqual(found["status"], "ABORTED")

        time.sleep(0.5)
        check()
        test_waiting.look_again(21, check)

    def test_a_failed_branch_ends_the_others(self) -> None:
        waiting, other = Function("waiting"), Function("other")
        states = {"Wait": invoke(waiting, TOKEN, token=True, Next="Other"), "Other": invoke(other, {"job": "17"})}
        item = {"StartAt": "Wait", "States": states}
        iterated = map_of(item, Catch=catch("Boom", "Caught"), End=True)
        items = {"items": [{"job": 0}, {"job": 1}, {"job": 2}]}
        execution = self.start(self.machine({"Map": iterated, "Caught": pass_on()}), items)
        failing, *others = (event["token"] for event in waiting.calls(3))
        self.states.send_task_failure(taskToken=failing, error="Boom")
        self.succeeds(self.end(execution), items)
        for token in others:
            self.refused("TaskTimedOut", self.states.send_task_success, taskToken=token, output="{}")
        self.assertEqual(other.count(), 0)

    def test_branches_have_tokens_of_their_own(self) -> None:
        both = Function("both")
        branches = [{"StartAt": "Wait", "States": {"Wait": invoke(both, TOKEN, token=True)}}] * 2
        states = {"Both": {"Type": "Parallel", "Branches": branches, "End": True}}
        execution = self.start(self.machine(states), {"job": "17"})
        for number, event in enumerate(both.calls(2)):
            self.states.send_task_success(taskToken=event["token"], output=str(number))
        self.assertIn(self.end(execution)["output"], ("[0, 1]", "[1, 0]"))

    def test_a_failure_has_no_output(self) -> None:
        execution = self.run_machine({"Fail": {"Type": "Fail", "Error": "Boom", "Cause": "why"}})
        self.fails(execution, "Boom", "why")
        self.assertFalse({"output", "outputDetails"} & set(execution))
        history = self.states.get_execution_history(executionArn=execution["executionArn"])["events"]
        kinds = [event["type"] for event in history]
        self.assertEqual(kinds, ["ExecutionStarted", "FailStateEntered", "ExecutionFailed"])


class Starts(WorkflowCase):
    def test_the_same_name(self) -> None:
        machine = self.machine(WAITING)
        first = self.states.start_execution(stateMachineArn=machine, name="job-17", input='{"job": "17"}')
        again = self.states.start_execution(stateMachineArn=machine, name="job-17", input='{"job": "17"}')
        for field in ("executionArn", "startDate"):
            self.assertEqual(first[field], again[field])
        start = self.states.start_execution
        named = {"stateMachineArn": machine, "name": "job-17"}
        self.refused("ExecutionAlreadyExists", start, **named, input='{"job": "18"}')
        self.states.stop_execution(executionArn=first["executionArn"])
        self.refused("ExecutionAlreadyExists", start, first["executionArn"], **named, input='{"job": "17"}')

    def test_what_is_refused(self) -> None:
        machine, start = self.machine(WAITING), self.states.start_execution
        for name in ("with space", "job:17", "x" * 81, "job/17"):
            self.refused("InvalidName", start, stateMachineArn=machine, name=name)
        self.refused("InvalidExecutionInput", start, stateMachineArn=machine, input="{")
        self.refused("StateMachineDoesNotExist", start, stateMachineArn=f"{machine}-not")
        unknown = f"{machine.replace('stateMachine', 'execution')}:none"
        self.refused("ExecutionDoesNotExist", self.states.describe_execution, executionArn=unknown)
        self.refused("ExecutionDoesNotExist", self.states.stop_execution, executionArn=unknown)

    def test_lists(self) -> None:
        machine, other = self.machine(WAITING), self.machine(WAITING)
        self.start(other)
        started = [self.start(machine, name=f"job-{number}") for number in range(7)]
        self.states.stop_execution(executionArn=started.pop(3))

        def listed(**arguments: Any) -> list[str]:
            found: list[str] = []
            while True:
                page = self.states.list_executions(stateMachineArn=machine, **arguments)
                self.assertLessEqual(len(page["executions"]), arguments.get("maxResults", 100))
                found += [execution["executionArn"] for execution in page["executions"]]
                if "nextToken" not in page:
                    return found
                arguments["nextToken"] = page["nextToken"]

        self.assertEqual(listed(statusFilter="RUNNING", maxResults=2), started[::-1])
        self.assertEqual(listed(statusFilter="RUNNING", maxResults=6), started[::-1])
        self.assertEqual(len(listed()), 7)
        self.assertEqual(len(listed(statusFilter="ABORTED")), 1)
        self.assertEqual(listed(statusFilter="TIMED_OUT"), [])
        (running, *_) = self.states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        self.assertNotIn("stopDate", running)
        everything = self.states.list_executions
        self.refused("StateMachineDoesNotExist", everything, stateMachineArn=f"{machine}-not")
        self.refused("ValidationException", everything, stateMachineArn=machine, statusFilter="DONE")
        self.refused("ValidationException", everything, stateMachineArn=machine, maxResults=1001)
        self.refused("InvalidToken", everything, stateMachineArn=machine, nextToken="nonsense")
