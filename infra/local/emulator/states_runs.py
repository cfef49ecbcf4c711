"""How an execution of a state machine runs, and ends: once, at once, and as a whole.

ministack's threads sleep out their waits, go on after StopExecution, and know no TimeoutSeconds of a machine. Here
every wait of an execution hangs on a scope; what ends the scope ends the waits.

"State machine structure in Amazon States Language" (TimeoutSeconds), "Parallel workflow state", "Map workflow state",
"Quotas related to state machine executions" (Step Functions Developer Guide); StopExecution (API Reference).
"""

from __future__ import annotations

import contextvars
import copy
import functools
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

log = logging.getLogger("states_runs")

Failure = stepfunctions._ExecutionError
Record = dict[str, Any]

LARGEST_DATA = 262_144
"""Bytes of a state's input or output as JSON ("Quotas related to state machine executions")."""

lock = threading.RLock()
"""Held while an execution ends, a task gets its outcome, or somebody begins to wait for one."""


class Stopped(BaseException):
    """What was waited for in a scope is over. Not an Exception: ministack makes failed states of those."""


class Scope:
    """What ends together: an execution, or a Parallel or Map state with all of its branches."""

    def __init__(self, outer: Scope | None = None) -> None:
        self.over = outer.over if outer else False
        self.waits: set[Future[Any]] = set()
        self.inner: set[Scope] = set()

    def check(self) -> None:
        if self.over:
            raise Stopped

    def wait(self, outcome: Future[Any], seconds: float | None) -> Any:
        """The outcome. TimeoutError if there is none in time, Stopped if the scope ends before."""
        with lock:
            self.check()
            self.waits.add(outcome)
        try:
            return outcome.result(seconds)
        finally:
            with lock:
                self.waits.discard(outcome)

    def end(self) -> None:
        with lock:
            self.over = True
            for outcome in self.waits:
                settle(outcome, error=Stopped())
            for scope in self.inner:
                scope.end()


current: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("states_scope", default=None)
"""The scope of the thread at work. ministack's threads for branches inherit it."""

_running: dict[str, Scope] = {}


def scope_at_work() -> Scope:
    return current.get() or Scope()


def settle(outcome: Future[Any], result: Any = None, error: BaseException | None = None) -> bool:
    """Gives a task its outcome; false if it has one already."""
    with lock:
        if outcome.done():
            return False
        if error:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)
        return True


def pause(seconds: float) -> None:
    scope = scope_at_work()
    try:
        scope.wait(Future(), seconds * stepfunctions._SFN_WAIT_SCALE)
    except TimeoutError:
        return


def note(execution: Record, kind: str, details: dict[str, Any]) -> None:
    """One event of the history, which ends when the execution does."""
    with lock:
        if execution["status"] == "RUNNING":
            stepfunctions._add_event(execution, kind, {f"{detail_name(kind)}EventDetails": details})


def detail_name(kind: str) -> str:
    """The details of TaskStateEntered are stateEnteredEventDetails, those of TaskFailed taskFailedEventDetails."""
    _, state, moment = kind.partition("State")
    return f"state{moment}" if state else kind[0].lower() + kind[1:]


def run(arn: str) -> None:
    """An execution, from its first state to its end."""
    execution, scope = stepfunctions._executions[arn], Scope()
    with lock:
        if execution["status"] != "RUNNING":
            return
        _running[arn] = scope
    previous, timer = current.set(scope), None
    try:
        machine = stepfunctions._state_machines[execution["stateMachineArn"]]
        definition = json.loads(machine["definition"])
        timer = end_later(execution, definition.get("TimeoutSeconds"))
        context = context_object(execution, machine, definition)
        output = walk(definition["States"], definition["StartAt"], context["Execution"]["Input"], execution, context)
    except Stopped:
        pass
    except Failure as failure:
        fail(execution, failure.error, failure.cause)
    except Exception as problem:
        log.exception("execution %s", arn)
        fail(execution, "States.Runtime", str(problem))
    else:
        text = json.dumps(output)
        finish(execution, "SUCCEEDED", {"output": text}, output=text)
    finally:
        if timer:
            timer.cancel()
        current.reset(previous)


def context_object(execution: Record, machine: dict[str, Any], definition: dict[str, Any]) -> dict[str, Any]:
    """What $$ is, and what ministack keeps next to it."""
    return {
        "Execution": {
            "Id": execution["executionArn"],
            "Input": json.loads(execution["input"]),
            "Name": execution["name"],
            "RoleArn": machine["roleArn"],
            "StartTime": execution["startDate"],
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine["name"]},
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "variables": {},
    }


def end_later(execution: Record, seconds: int | None) -> threading.Timer | None:
    """The machine's own TimeoutSeconds."""
    if seconds is None:
        return None
    arguments = (finish, execution, "TIMED_OUT", {"error": "States.Timeout"})
    timer = threading.Timer(seconds, contextvars.copy_context().run, arguments)
    timer.daemon = True
    timer.start()
    return timer


def fail(execution: Record, error: str, cause: str) -> None:
    finish(execution, "FAILED", {"error": error, "cause": cause}, error=error, cause=cause)


def finish(execution: Record, status: str, details: dict[str, Any], **fields: Any) -> bool:
    """Ends an execution, and with it whatever of it waits; false if it has ended before."""
    with lock:
        if execution["status"] != "RUNNING":
            return False
        note(execution, "Execution" + "".join(word.capitalize() for word in status.split("_")), details)
        execution.update(fields, stopDate=now_iso(), status=status)
        if scope := _running.pop(execution["executionArn"], None):
            scope.end()
    stepfunctions._emit_execution_status_event(execution)
    return True


def walk(states: dict[str, Any], start: str, value: Any, execution: Record, context: dict[str, Any]) -> Any:
    """Goes from state to state of a machine, or of a branch; answers with the output of the last one."""
    context, value = dict(context), copy.deepcopy(value)
    scope, name = scope_at_work(), start
    while name:
        scope.check()
        state = states.get(name)
        if state is None:
            raise Failure("States.Runtime", f"There is no state {name!r}")
        context["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
        note(execution, f"{state['Type']}StateEntered", {"name": name, "input": json.dumps(value)})
        value, following = step(state, value, execution, context)
        check_size(name, value)
        note(execution, f"{state['Type']}StateExited", {"name": name, "output": json.dumps(value)})
        name = following
    return value


def step(state: dict[str, Any], value: Any, execution: Record, context: dict[str, Any]) -> tuple[Any, str]:
    kind = state["Type"]
    if kind == "Fail":
        raise Failure(*stepfunctions._fail_state_error(state, value, context))
    if kind == "Succeed":
        value = stepfunctions._apply_input_path(state, value, context)
        return stepfunctions._apply_output_path(state, value, context), ""
    handler = getattr(stepfunctions, f"_execute_{kind.lower()}")
    return handler(state, value, execution, context) if kind in _TASKS else handler(state, value, context)


_TASKS = ("Task", "Parallel", "Map")


def check_size(name: str, value: Any) -> None:
    if len(json.dumps(value, ensure_ascii=False).encode()) > LARGEST_DATA:
        raise Failure(
            "States.DataLimitExceeded",
            f"The state/task '{name}' returned a result with a size exceeding the maximum number of bytes service "
            "limit.",
        )


def branch(states: dict[str, Any], start: str, value: Any, execution: Record, context: dict[str, Any]) -> Any:
    """A branch that fails ends the others of its state, unless the state tolerates it (a distributed map)."""
    try:
        return walk(states, start, value, execution, context)
    except Stopped:
        return None  # the state's own thread says what stopped it
    except Exception:
        if "mapRunArn" not in execution:
            scope_at_work().end()
        raise


def with_scope(run_branches: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a Parallel or Map state a scope of its own inside of the one it runs in."""

    @functools.wraps(run_branches)
    def scoped(*arguments: Any) -> Any:
        outer = scope_at_work()
        with lock:
            scope = Scope(outer)
            outer.inner.add(scope)
        previous = current.set(scope)
        try:
            return run_branches(*arguments)
        finally:
            current.reset(previous)
            with lock:
                outer.inner.discard(scope)
            outer.check()

    return scoped


def install() -> None:
    stepfunctions._run_execution = run
    stepfunctions._fail_execution = fail
    stepfunctions._run_sub_machine = branch
    stepfunctions._run_parallel_branches = with_scope(stepfunctions._run_parallel_branches)
    stepfunctions._run_map_items = with_scope(stepfunctions._run_map_items)
    stepfunctions._scaled_sleep = pause
