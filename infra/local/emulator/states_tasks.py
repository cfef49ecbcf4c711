"""Task states: their tokens, timeouts, retries and errors.

ministack swallows the failure of what a `.waitForTaskToken` task calls, gives all attempts one token, waits for the
Lambda before it listens, and knows neither HeartbeatSeconds nor the paths of both times.

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
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ministack.services import stepfunctions

import states_access
from states_runs import Failure, Record, check_size, lock, note, pause, scope_at_work, settle

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
    heard: float = field(default_factory=time.monotonic)
    """When it began, or the last heartbeat came."""

    def beat(self) -> bool:
        """Takes a heartbeat; false if the task is over."""
        with lock:
            self.heard = time.monotonic()
            return not self.outcome.done()


attempts: dict[str, Attempt] = {}
"""By token."""


@dataclass(frozen=True)
class Limits:
    """Seconds that a task may take, and may pass between its heartbeats."""

    timeout: float
    heartbeat: float


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
        limits, request = limits_of(state, value, context), request_of(state, value, context)
        note(execution, "TaskScheduled", {"resourceType": resource_type(resource), "resource": resource})
        call(resource, request, task, context)
        result = outcome_of(task, limits)
        note(execution, "TaskSucceeded", {"output": json.dumps(result), "resource": resource})
        check_size(context["State"]["Name"], result)
        return output_of(state, value, result, context), stepfunctions._next_or_end(state)
    except Failure as failure:
        kind = "TaskTimedOut" if failure.error in ("States.Timeout", "States.HeartbeatTimeout") else "TaskFailed"
        note(execution, kind, {"error": failure.error, "cause": failure.cause, "resource": resource})
        raise
    finally:
        context.pop("Task", None)
        settle(task.outcome)


def resource_type(resource: str) -> str:
    return "lambda" if ":function:" in resource else resource.split(":")[-2]


def request_of(state: dict[str, Any], value: Any, context: dict[str, Any]) -> Any:
    if is_jsonata(state, context):
        return stepfunctions._apply_jsonata_arguments(state, value, context)
    effective = stepfunctions._apply_input_path(state, value, context)
    return stepfunctions._apply_parameters(state, effective, context)


def output_of(state: dict[str, Any], value: Any, result: Any, context: dict[str, Any]) -> Any:
    if is_jsonata(state, context):
        output = stepfunctions._apply_jsonata_output(state, value, context, result=result, default=result)
        stepfunctions._apply_state_assign(state, value, context, result=result)
        return output
    selected = stepfunctions._apply_result_selector(state, result)
    return stepfunctions._apply_output_path(state, stepfunctions._apply_result_path(state, value, selected), context)


def is_jsonata(state: dict[str, Any], context: dict[str, Any]) -> bool:
    return stepfunctions._state_query_language(state, context) == "JSONata"


def limits_of(state: dict[str, Any], value: Any, context: dict[str, Any]) -> Limits:
    """Only callbacks have heartbeats here. The time of an activity begins when a worker takes it; ministack does not
    tell when that is."""
    timeout = seconds_of(state, "TimeoutSeconds", value, context)
    heartbeat = seconds_of(state, "HeartbeatSeconds", value, context)
    if ":activity:" in state["Resource"]:
        timeout = FOREVER
    return Limits(timeout, heartbeat if state["Resource"].endswith(CALLBACK) else FOREVER)


def seconds_of(state: dict[str, Any], name: str, value: Any, context: dict[str, Any]) -> float:
    """TimeoutSeconds, HeartbeatSeconds, or what their paths find: "the reference path must select fields whose values
    are positive integers"."""
    if path := state.get(f"{name}Path"):
        effective = stepfunctions._apply_input_path(state, value, context)
        seconds = stepfunctions._resolve_path_or_ctx(path, effective, context)
    elif name in state and is_jsonata(state, context):
        seconds = stepfunctions._jsonata_state_field(state, name, "number", value, context)
    else:
        seconds = state.get(name, FOREVER)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds <= 0:
        raise Failure("States.Runtime", f"{name} must be a positive integer, but is {json.dumps(seconds)}")
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


def outcome_of(task: Attempt, limits: Limits) -> Any:
    """Waits for the answer to the call, or for a callback, or until the time is up."""
    scope, end = scope_at_work(), task.heard + limits.timeout
    while True:
        try:
            return scope.wait(task.outcome, min(end, task.heard + limits.heartbeat) - time.monotonic())
        except TimeoutError:
            with lock:
                now = time.monotonic()
                if now >= end:
                    settle(task.outcome, error=Failure("States.Timeout", ""))
                elif now >= task.heard + limits.heartbeat:
                    settle(task.outcome, error=Failure("States.HeartbeatTimeout", ""))


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
    language = stepfunctions._state_query_language(state, context)
    error = {"Error": failure.error, "Cause": failure.cause}
    return stepfunctions._apply_catcher(catcher, value, context, language, error), catcher["Next"]


def delay(retrier: dict[str, Any], number: int) -> float:
    """Seconds before an attempt is made again: with MaxDelaySeconds and JitterStrategy, which ministack leaves out."""
    seconds = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** (number - 1)
    seconds = min(seconds, retrier.get("MaxDelaySeconds", FOREVER))
    return random.uniform(0, seconds) if retrier.get("JitterStrategy") == "FULL" else seconds


def matches(names: list[str], error: str) -> bool:
    """States.ALL matches neither States.Runtime nor States.DataLimitExceeded; a missed heartbeat is a timeout too."""
    if error in names:
        return True
    if error == "States.HeartbeatTimeout" and "States.Timeout" in names:
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
