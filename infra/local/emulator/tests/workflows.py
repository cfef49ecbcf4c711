"""What the tests of state machines share: functions that note how they were invoked, machines, executions."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from harness import PATIENCE, Case, emulator, function, role

ACCOUNT = "555566667777"

BOOTSTRAP = b"""#!/usr/bin/env python3
import json, os, time, urllib.request
api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as call:
        event, request = json.load(call), call.headers["Lambda-Runtime-Aws-Request-Id"]
    note = os.path.join(os.environ["NOTES"], f"{time.time_ns()}")
    with open(note, "w") as file:
        json.dump({"event": event, "environment": dict(os.environ)}, file)
    os.rename(note, note + ".json")
    time.sleep(event.get("sleep", 0))
    where, answer = "response", event
    if "fail" in event:
        where, answer = "error", {"errorType": event["fail"], "errorMessage": "as asked"}
    reply = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(api + f"{request}/{where}", reply, method="POST"))
"""


class Notes:
    """What a function with the bootstrap above notes about its invocations."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder: Path = emulator.data / "notes" / name
        self.folder.mkdir(parents=True)

    def calls(self, number: int) -> list[dict[str, Any]]:
        """The events of its invocations, once there are so many."""
        return [note["event"] for note in self.noted(number)]

    def noted(self, number: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + PATIENCE
        while self.count() < number:
            assert time.monotonic() < deadline, f"{self.name} was invoked {self.count()} times, not {number} times"
            time.sleep(0.02)
        return [json.loads(note.read_text()) for note in sorted(self.folder.glob("*.json"))]

    def count(self) -> int:
        return len(list(self.folder.glob("*.json")))


class Function(Notes):
    """A function that answers its event, after `sleep` seconds, or fails with the error `fail`."""

    def __init__(self, name: str, *statements: dict[str, Any]) -> None:
        super().__init__(name)
        self.role = role(f"{name}-role", "lambda", *statements, account=ACCOUNT)
        self.arn = function(name, self.role, BOOTSTRAP, ACCOUNT, NOTES=str(self.folder))


class WorkflowCase(Case):
    """With a role for state machines that may do anything."""

    role: str

    @classmethod
    def setUpClass(cls) -> None:
        cls.role = role(f"{cls.__name__}-machine", "states", {"Action": "*", "Resource": "*"}, account=ACCOUNT)

    def setUp(self) -> None:
        self.states = emulator.client("stepfunctions", ACCOUNT)

    def machine(self, states: dict[str, Any], role: str = "", **fields: Any) -> str:
        """The ARN of a new machine that starts at the first of its states."""
        definition = {"StartAt": next(iter(states)), "States": states, **fields}
        return self.states.create_state_machine(
            name=f"machine-{time.monotonic_ns()}", definition=json.dumps(definition), roleArn=role or self.role
        )["stateMachineArn"]

    def start(self, machine: str, value: Any = None, **arguments: Any) -> str:
        text = json.dumps({} if value is None else value)
        return self.states.start_execution(stateMachineArn=machine, input=text, **arguments)["executionArn"]

    def end(self, execution: str) -> dict[str, Any]:
        """What an execution is when it is over."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"{execution} still runs"
            time.sleep(0.02)
        return found

    def run_machine(self, states: dict[str, Any], value: Any = None, **fields: Any) -> dict[str, Any]:
        return self.end(self.start(self.machine(states, **fields), value))

    def succeeds(self, execution: dict[str, Any], output: Any) -> None:
        self.assertEqual(execution["status"], "SUCCEEDED", execution)
        self.assertEqual(json.loads(execution["output"]), output)

    def fails(self, execution: dict[str, Any], error: str, cause: str = "") -> None:
        self.assertEqual((execution["status"], execution.get("error")), ("FAILED", error), execution)
        self.assertIn(cause, execution.get("cause", ""))


def pass_on(**fields: Any) -> dict[str, Any]:
    return {"Type": "Pass", "End": True, **fields}


def invoke(function: Function, payload: Any = None, token: bool = False, **fields: Any) -> dict[str, Any]:
    """A task that invokes a function; one with a token waits for it."""
    following = {} if "Next" in fields else {"End": True}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke" + (".waitForTaskToken" if token else ""),
        "Parameters": {"FunctionName": function.arn, "Payload": payload or {"job.$": "$.job"}},
        **following,
        **fields,
    }


def catch(error: str, target: str) -> list[dict[str, Any]]:
    return [{"ErrorEquals": [error], "ResultPath": None, "Next": target}]
