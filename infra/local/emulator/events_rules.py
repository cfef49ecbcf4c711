"""EventBridge: what it takes of the events that it is sent, and what its rules do with them, where ministack is more
lenient or leaves something out.

PutEvents and PutEventsResultEntry (EventBridge API Reference); "Calculating PutEvents event entry size" and "Using
resource-based policies for Amazon EventBridge" (EventBridge User Guide); "Invoking a Lambda function asynchronously" and
"Invoke a Lambda function on a schedule" (Lambda Developer Guide).
"""

from __future__ import annotations

import contextvars
import json
import logging
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import eventbridge, lambda_svc, sqs

log = logging.getLogger("events_rules")

LARGEST_REQUEST = 256 * 1024
REQUIRED = ("Source", "DetailType", "Detail")

Answer = tuple[int, dict[str, str], bytes]

_time: contextvars.ContextVar[float | None] = contextvars.ContextVar("time of an event", default=None)
"""The time that the entry being put names, which ministack leaves out."""


def put_events(put: Any) -> Any:
    def checked(data: dict[str, Any], **options: Any) -> Answer:
        entries = data.get("Entries") or []
        if not entries:
            message = "1 validation error detected: Value '[]' at 'entries' failed to satisfy constraint: "
            return invalid(message + "Member must have length greater than or equal to 1")
        if sum(map(size, entries)) >= LARGEST_REQUEST:
            return invalid("Total size of the entries in the request is over the limit.")
        if len(entries) > 10:
            return put(data, **options)
        results = [refusal(entry) or one(put, entry, options) for entry in entries]
        failed = sum("ErrorCode" in result for result in results)
        body = json.dumps({"FailedEntryCount": failed, "Entries": results}).encode()
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, body

    return checked


def invalid(message: str) -> Answer:
    return error_response_json("ValidationException", message, 400)


def one(put: Any, entry: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    token = _time.set(entry.get("Time"))
    try:
        _, _, body = put({"Entries": [entry]}, **options)
    finally:
        _time.reset(token)
    (result,) = json.loads(body)["Entries"]
    return result


def refusal(entry: dict[str, Any]) -> dict[str, str] | None:
    """Why an entry is refused, beside those that are taken."""
    for name in REQUIRED:
        if not entry.get(name):
            reason = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": reason}
    try:
        is_object = isinstance(json.loads(entry["Detail"]), dict)
    except ValueError:
        is_object = False
    return None if is_object else {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}


def size(entry: dict[str, Any]) -> int:
    texts = [entry.get(name) or "" for name in REQUIRED] + (entry.get("Resources") or [])
    return sum(len(text.encode()) for text in texts) + (14 if entry.get("Time") else 0)


def now(clock: Any) -> Any:
    def time() -> float:
        named = _time.get()
        return clock() if named is None else named

    return time


def send(to_queue: Any, rule_arn: Any) -> Any:
    """EventBridge sends to a queue whose policy lets it, and to no other."""

    def checked(spec: Any, payload: str, parameters: Any = None) -> None:
        arn = rule_arn.get()
        if sqs.queue_policy_allows(str(spec), "events.amazonaws.com", arn, spec.account_id):
            to_queue(spec, payload, parameters)
        else:
            log.warning("the policy of the queue %s does not let the rule %s send to it", spec.resource, arn)

    return checked


def dispatch(arn: str, payload: str) -> None:
    """An invocation that fails is tried twice more."""
    known, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not known or not config:
        log.warning("a rule's function is not there: %s", name)
        return
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(known, config), json.loads(payload))


def install() -> None:
    rule_arn: contextvars.ContextVar[str] = contextvars.ContextVar("the rule that has a target invoked", default="")
    invoke = eventbridge._invoke_target

    def invoke_for(target: dict, event: dict, rule: dict, view: Any = None) -> None:
        token = rule_arn.set(rule.get("Arn", ""))
        try:
            invoke(target, event, rule, view)
        finally:
            rule_arn.reset(token)

    eventbridge._invoke_target = invoke_for
    eventbridge._put_events = put_events(eventbridge._put_events)
    eventbridge._now_ts = now(eventbridge._now_ts)
    eventbridge._dispatch_to_sqs = send(eventbridge._dispatch_to_sqs, rule_arn)
    eventbridge._dispatch_to_lambda = dispatch
