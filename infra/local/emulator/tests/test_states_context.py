"""What a state sees of its execution: the context object."""

from __future__ import annotations

from typing import Any

from workflows import Function, WorkflowCase, catch, invoke, pass_on

TRY = {"job.$": "$.job", "try.$": "$$.State.RetryCount"}


def retry(error: str, attempts: int) -> dict[str, Any]:
    return {"ErrorEquals": [error], "IntervalSeconds": 1, "MaxDelaySeconds": 1, "MaxAttempts": attempts}


class RetryCount(WorkflowCase):
    def test_of_a_task(self) -> None:
        """Each attempt sees how many retries came before it, whichever retrier made them."""
        failing, following = Function("tries"), Function("tries-after")
        for token in (False, True):
            given = {**TRY, "fail": "Boom", **({"token.$": "$$.Task.Token"} if token else {})}
            task = invoke(
                failing, given, token=token, Retry=[retry("Boom", 2)], Catch=catch("States.ALL", "Next"), Next="Next"
            )
            states = {"Call": task, "Next": invoke(following, TRY, ResultPath=None)}
            self.succeeds(self.run_machine(states, {"job": "17"}), {"job": "17"})
        self.assertEqual([event["try"] for event in failing.calls(6)], [0, 1, 2, 0, 1, 2])
        self.assertEqual([event["try"] for event in following.calls(2)], [0, 0])

    def test_of_retriers_together(self) -> None:
        failing = Function("tries-both")
        given = {**TRY, "fail.$": "States.ArrayGetItem($.errors, $$.State.RetryCount)"}
        task = invoke(failing, given, Retry=[retry("Boom", 1), retry("Bang", 2)])
        value = {"job": "17", "errors": ["Bang", "Boom", "Bang", "Boom"]}
        self.fails(self.run_machine({"Call": task}, value), "Boom")
        tries = [(event["try"], event["fail"]) for event in failing.calls(4)]
        self.assertEqual(tries, list(enumerate(value["errors"])))

    def test_in_a_map(self) -> None:
        """Each iteration counts its own."""
        failing = Function("tries-map")
        item = invoke(failing, {**TRY, "fail": "Boom"}, Retry=[retry("Boom", 1)], Catch=catch("Boom", "Caught"))
        processor = {"StartAt": "Item", "States": {"Item": item, "Caught": pass_on(Parameters=TRY)}}
        each = {
            "Type": "Map",
            "ItemsPath": "$.items",
            "ItemSelector": {"job.$": "$$.Map.Item.Value"},
            "ItemProcessor": processor,
            "End": True,
        }
        execution = self.run_machine({"Each": each}, {"items": ["17", "18"]})
        self.succeeds(execution, [{"job": "17", "try": 0}, {"job": "18", "try": 0}])
        tries = sorted((event["job"], event["try"]) for event in failing.calls(4))
        self.assertEqual(tries, [("17", 0), ("17", 1), ("18", 0), ("18", 1)])
