"""EventBridge invokes a function asynchronously, so an invocation that fails is tried twice more. ministack leaves that
out for rules.

"Invoking a Lambda function asynchronously" and "Invoke a Lambda function on a schedule" (Lambda Developer Guide).
"""

from __future__ import annotations

import json
import logging

from ministack.services import eventbridge, lambda_svc

log = logging.getLogger("events_rules")


def dispatch(arn: str, payload: str) -> None:
    known, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not known or not config:
        log.warning("a rule's function is not there: %s", name)
        return
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(known, config), json.loads(payload))


def install() -> None:
    eventbridge._dispatch_to_lambda = dispatch
