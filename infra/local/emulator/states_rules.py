"""What the Step Functions API answers, where ministack answers something else.

StartExecution, StopExecution, DescribeExecution, ListExecutions, SendTaskSuccess, SendTaskFailure (Step Functions API
Reference); "Actions, resources, and condition keys for AWS Step Functions" (Service Authorization Reference).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import stepfunctions

import states_paths
import states_runs
import states_tasks
from arns import arn
from states_runs import Failure, settle
from states_tasks import Attempt

Answer = tuple[int, dict[str, Any], Any]
Handler = Callable[[dict[str, Any]], Answer]

STATUSES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE")
LARGEST_PAGE, PAGE = 1000, 100

_NAME = re.compile(r'[^\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}')


def install() -> None:
    states_runs.install()
    states_tasks.install()
    states_paths.install()
    for name, guard in _GUARDS.items():
        setattr(stepfunctions, name, guard(getattr(stepfunctions, name)))
    iam_actions.extract_resource_arn = with_token(iam_actions.extract_resource_arn)


def refusal(code: str, message: str) -> Answer:
    return error_response_json(code, message, 400)


# Executions


def start(own: Handler) -> Handler:
    """The name of an execution that runs, with the same input, gives that execution; any other name that was used is
    refused. Texts as in getmoto/moto pull request 9500, whose tests ran on AWS."""

    @functools.wraps(own)
    def started(request: dict[str, Any]) -> Answer:
        name, text = request.get("name"), request.get("input", "{}")
        if name is not None and not _NAME.fullmatch(name):
            return refusal("InvalidName", f"Invalid Name: '{name}'")
        try:
            json.loads(text)
        except ValueError as problem:
            return refusal("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{problem}'")
        machine = stepfunctions._state_machines.get(
            stepfunctions._resolve_state_machine_arn(request.get("stateMachineArn", ""))
        )
        if machine is None or name is None:
            return own(request)
        execution = arn("states", f"execution:{machine['name']}:{name}", get_region(), get_account_id())
        known = stepfunctions._executions.get(execution)
        if known is None:
            return own(request)
        if known["status"] == "RUNNING" and known["input"] == text:
            return json_response({"executionArn": execution, "startDate": known["startDate"]})
        return refusal("ExecutionAlreadyExists", f"Execution Already Exists: '{execution}'")

    return started


def stop(own: Handler) -> Handler:
    @functools.wraps(own)
    def stopped(request: dict[str, Any]) -> Answer:
        execution = stepfunctions._executions.get(request.get("executionArn"))
        given = {key: request[key] for key in ("error", "cause") if request.get(key)}
        if execution and states_runs.finish(execution, "ABORTED", given, **given):
            return json_response({"stopDate": execution["stopDate"]})
        return own(request)

    return stopped


def describe(own: Handler) -> Handler:
    """Fields without a value are absent, and `output` is one unless the execution succeeded (as in floci-io/floci
    issue 2733, measured on AWS)."""

    @functools.wraps(own)
    def described(request: dict[str, Any]) -> Answer:
        with states_runs.lock:
            status, headers, body = own(request)
        if status != 200:
            return status, headers, body
        shown = {name: value for name, value in json.loads(body).items() if value is not None}
        if "output" not in shown:
            shown.pop("outputDetails", None)
        return json_response(shown)

    return described


def listed(own: Handler) -> Handler:
    @functools.wraps(own)
    def page(request: dict[str, Any]) -> Answer:
        size, status = request.get("maxResults") or PAGE, request.get("statusFilter")
        machine = request.get("stateMachineArn")
        if not 1 <= size <= LARGEST_PAGE:
            return refusal(
                "ValidationException",
                f"1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy constraint: "
                f"Member must have value less than or equal to {LARGEST_PAGE}",
            )
        if status is not None and status not in STATUSES:
            return refusal(
                "ValidationException",
                f"1 validation error detected: Value '{status}' at 'statusFilter' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(STATUSES)}]",
            )
        if machine and machine not in stepfunctions._state_machines:
            return refusal("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{machine}'")
        with states_runs.lock:
            answer = own({**request, "maxResults": size})
        if answer[0] != 200:
            return answer
        found = json.loads(answer[2])
        items = [{name: value for name, value in item.items() if value is not None} for item in found["executions"]]
        return json_response({**found, "executions": items})

    return page


# Task tokens


def reports(own: Handler) -> Handler:
    """SendTaskSuccess, SendTaskFailure: what is no token is InvalidToken; a token whose task is over is TaskTimedOut,
    with the text of aws-samples/amazon-mwaa-examples issue 61. TaskDoesNotExist is about activities."""
    report = _REPORTS[own.__name__]

    @functools.wraps(own)
    def reported(request: dict[str, Any]) -> Answer:
        task = states_tasks.attempts.get(request.get("taskToken", ""))
        if task is None or task.machine.split(":")[4] != get_account_id():
            return refusal("InvalidToken", "Invalid Token: 'Invalid token'")
        try:
            taken = report(task, request)
        except ValueError as problem:
            return refusal("InvalidOutput", f"Invalid Output: '{problem}'")
        if not taken:
            return refusal("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
        return json_response({})

    return reported


def succeed(task: Attempt, request: dict[str, Any]) -> bool:
    return settle(task.outcome, json.loads(request.get("output", "")))


def fail(task: Attempt, request: dict[str, Any]) -> bool:
    failure = Failure(request.get("error", "States.TaskFailed"), request.get("cause", ""))
    return settle(task.outcome, error=failure)


_REPORTS = {"_send_task_success": succeed, "_send_task_failure": fail}

_GUARDS: dict[str, Callable[[Handler], Handler]] = {
    "_start_execution": start,
    "_stop_execution": stop,
    "_describe_execution": describe,
    "_list_executions": listed,
    **dict.fromkeys(_REPORTS, reports),
}


def with_token(resolve: Callable[..., str]) -> Callable[..., str]:
    """Whoever reports on a task needs permission for its state machine.

    The Service Authorization Reference names no resource for these actions; AWS's denials name the machine
    (NOAA-OWP/hydrovis issue 837), and a policy for the machine is enough (aws/aws-cdk pull request 8486).
    """

    @functools.wraps(resolve)
    def resolved(service: str, *request: Any) -> str:
        if service == "states":
            body = request[3]
            if token := iam_actions._safe_json_field(body, "taskToken"):
                task = states_tasks.attempts.get(token)
                return task.machine if task else "*"
        return resolve(service, *request)

    return resolved
