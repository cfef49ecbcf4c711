"""Task states: their tokens, timeouts, retries and errors.

ministack swallows the failure of what a `.waitForTaskToken` task calls, gives all attempts one token, waits for the
Lambda before it listens, and does not know TimeoutSecondsPath. Heartbeats, JSONata and activities are refused here.

"Discover service integration patterns in Step Functions" (Wait for a Callback with Task Token), "Task workflow state",
"Handling errors in Step Functions workflows" (Step Functions Developer Guide).
"""

from __future__ import annotations

import base64
import contextvars
import functools
import json
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ministack.services import stepfunctions

import states_access
from arns import partition_of
from states_runs import Failure, Record, check_size, note, pause, scope_at_work, settle

FOREVER = 99_999_999
"""Seconds: TimeoutSeconds where there is none."""

UNCAUGHT = ("States.Runtime", "States.DataLimitExceeded")
"""What States.ALL does not match."""

CALLBACK = ".waitForTaskToken"


@dataclass
class Attempt:
    """One attempt of a task. It stays known by its token when it is over: the token then has timed out."""

    machine: str
    outcome: Future[Any] = field(default_factory=Future)


attempts: dict[str, Attempt] = {}
"""By token."""


def execute(state: dict[str, Any], value: Any, execution: Record, context: dict[str, Any]) -> tuple[Any, str]:
    return with_retry_and_catch(state, value, context, lambda: attempt(state, value, execution, context))


def attempt(state: dict[str, Any], value: Any, execution: Record, context: dict[str, Any]) -> tuple[Any, str]:
    """One attempt of a task, with a token of its own if it waits for one."""
    resource, task = state["Resource"], Attempt(context["StateMachine"]["Id"])
    if resource.endswith(CALLBACK):
        token = base64.b64encode(os.urandom(480)).decode()
        attempts[token] = task
        context["Task"] = {"Token": token}
    try:
        check_partition(resource, execution, context)
        check_known(state, context)
        effective = stepfunctions._apply_input_path(state, value, context)
        seconds = seconds_of(state, effective, context)
        request = stepfunctions._apply_parameters(state, effective, context)
        note(execution, "TaskScheduled", {"resourceType": resource_type(resource), "resource": resource})
        call(resource, request, task, context)
        result = outcome_of(task, seconds)
        note(execution, "TaskSucceeded", {"output": json.dumps(result), "resource": resource})
        check_size(context["State"]["Name"], result)
        return output_of(state, value, result, context), stepfunctions._next_or_end(state)
    except Failure as failure:
        kind = "TaskTimedOut" if failure.error == "States.Timeout" else "TaskFailed"
        note(execution, kind, {"error": failure.error, "cause": failure.cause, "resource": resource})
        raise
    finally:
        context.pop("Task", None)
        settle(task.outcome)


def resource_type(resource: str) -> str:
    return "lambda" if ":function:" in resource else resource.split(":")[-2]


def output_of(state: dict[str, Any], value: Any, result: Any, context: dict[str, Any]) -> Any:
    selected = stepfunctions._apply_result_selector(state, result)
    return stepfunctions._apply_output_path(state, stepfunctions._apply_result_path(state, value, selected), context)


def check_partition(resource: str, execution: Record, context: dict[str, Any]) -> None:
    """A machine is made with whatever ARNs, and its execution fails at the first of another partition. Text as in
    aws/aws-cdk issue 4597 and aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws pull
    request 478."""
    expected, found = partition_of(context["StateMachine"]["Id"]), partition_of(resource)
    if found in ("", expected):
        return
    name = context["State"]["Name"]
    entered = next(
        event["id"]
        for event in reversed(execution["events"])
        if event["type"] == "TaskStateEntered" and event["stateEnteredEventDetails"]["name"] == name
    )
    raise Failure(
        "States.Runtime",
        f"An error occurred while executing the state '{name}' (entered at the event id #{entered}). The resource "
        f"belongs to a different partition from the running execution. Expected '{expected}', was '{found}'.",
    )


def check_known(state: dict[str, Any], context: dict[str, Any]) -> None:
    """Fails a task that asks for what nothing here needs, instead of passing it over."""
    left_out = [name for name in state if name.startswith("HeartbeatSeconds")]
    if stepfunctions._state_query_language(state, context) != "JSONPath":
        left_out.append("JSONata")
    if ":activity:" in state["Resource"]:
        left_out.append("activities")
    if left_out:
        raise Failure("States.Runtime", f"The emulator does not know {', '.join(left_out)}")


def seconds_of(state: dict[str, Any], effective: Any, context: dict[str, Any]) -> float:
    """TimeoutSeconds, or what its path finds: "the reference path must select fields whose values are positive
    integers" ("Task workflow state")."""
    if path := state.get("TimeoutSecondsPath"):
        seconds = stepfunctions._resolve_path_or_ctx(path, effective, context)
    else:
        seconds = state.get("TimeoutSeconds", FOREVER)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds <= 0:
        raise Failure("States.Runtime", f"TimeoutSeconds must be a positive integer, but is {json.dumps(seconds)}")
    return seconds


def call(resource: str, request: Any, task: Attempt, context: dict[str, Any]) -> None:
    """Begins what a task calls. It goes on when the task is over, as a function does in Lambda."""

    def run() -> None:
        try:
            called = resource.removesuffix(CALLBACK)
            states_access.check(context, called, request)
            answer = stepfunctions._invoke_resource(called, request)
        except Failure as failure:
            settle(task.outcome, error=failure)
        except Exception as problem:
            settle(task.outcome, error=Failure("States.Runtime", str(problem)))
        else:
            if called == resource:
                settle(task.outcome, answer)

    scope_at_work().check()
    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()


def outcome_of(task: Attempt, seconds: float) -> Any:
    """Waits for the answer to the call, or for a callback, or until the time is up."""
    try:
        return scope_at_work().wait(task.outcome, seconds)
    except TimeoutError:
        # Whatever came first: an answer may have, just now.
        settle(task.outcome, error=Failure("States.Timeout", ""))
        return task.outcome.result()


def with_retry_and_catch(
    state: dict[str, Any], value: Any, context: dict[str, Any], once: Callable[[], tuple[Any, str]]
) -> tuple[Any, str]:
    """Retry and Catch, with each attempt's number in the context object."""
    entered, counts = context["State"], {}
    while True:
        context["State"] = {**entered, "RetryCount": sum(counts.values())}
        try:
            return once()
        except Failure as failure:
            retrier, which = stepfunctions._find_matching_retrier(state.get("Retry", []), failure.error, counts)
            if retrier is None:
                return caught(state, value, context, failure)
            counts[which] = counts.get(which, 0) + 1
            pause(delay(retrier, counts[which]))


def caught(state: dict[str, Any], value: Any, context: dict[str, Any], failure: Failure) -> tuple[Any, str]:
    catcher = stepfunctions._find_matching_catcher(state.get("Catch", []), failure.error)
    if catcher is None:
        raise failure
    error = {"Error": failure.error, "Cause": failure.cause}
    return stepfunctions._apply_catcher(catcher, value, context, "JSONPath", error), catcher["Next"]


def delay(retrier: dict[str, Any], number: int) -> float:
    """Seconds before an attempt is made again: with MaxDelaySeconds and JitterStrategy, which ministack leaves out."""
    seconds = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** (number - 1)
    seconds = min(seconds, retrier.get("MaxDelaySeconds", FOREVER))
    return random.uniform(0, seconds) if retrier.get("JitterStrategy") == "FULL" else seconds


def matches(names: list[str], error: str) -> bool:
    """States.ALL matches neither States.Runtime nor States.DataLimitExceeded."""
    if error in names:
        return True
    if error in UNCAUGHT:
        return False
    return "States.ALL" in names or ("States.TaskFailed" in names and error != "States.Timeout")


def name_throttling(call_lambda: Callable[..., Any]) -> Callable[..., Any]:
    """A throttled function is Lambda.TooManyRequestsException to a task ("Handling errors in Step Functions
    workflows"), not Lambda.Unknown."""

    @functools.wraps(call_lambda)
    def named(function: str, event: Any) -> Any:
        try:
            return call_lambda(function, event)
        except Failure as failure:
            if failure.error == "Lambda.Unknown" and '"TooManyRequestsException"' in failure.cause:
                raise Failure("Lambda.TooManyRequestsException", json.loads(failure.cause)["message"]) from failure
            raise

    return named


def install() -> None:
    stepfunctions._execute_task = execute
    stepfunctions._with_retry_and_catch = with_retry_and_catch
    stepfunctions._error_matches = matches
    stepfunctions._call_lambda = name_throttling(stepfunctions._call_lambda)
