"""A path that finds nothing ends the execution with States.Runtime, where ministack takes null and goes on.

"Using JSONPath paths", "Choice workflow state" (Step Functions Developer Guide). Text of the error as in
codetheweb/serverless-step-functions-local issue 13.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions

from states_runs import Failure

_NOWHERE = object()


def find(path: str, value: Any) -> Any:
    """What a path without wildcards leads to; _NOWHERE if it leads nowhere."""
    for kind, name in stepfunctions._parse_jsonpath_tokens(path) or ():
        try:
            value = [] if kind == "wildcard" else value[name]
        except (KeyError, IndexError, TypeError):
            return _NOWHERE
        if kind == "wildcard":
            return value
    return value


def require(path: Any, field: str, value: Any, context: dict[str, Any] | None) -> None:
    if not isinstance(path, str) or not path.startswith("$"):
        return
    found = find(path[1:], context or {}) if path.startswith("$$") else find(path, value)
    if found is _NOWHERE:
        raise Failure(
            "States.Runtime",
            f"The JSONPath '{path}' specified for the field '{field}' could not be found in the input "
            f"'{json.dumps(value)}'",
        )


def strict_template(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Parameters, ItemSelector, ResultSelector: each `name.$` must lead somewhere."""

    @functools.wraps(resolve)
    def resolved(template: Any, value: Any, context: dict[str, Any] | None = None) -> Any:
        for field, path in template.items() if isinstance(template, dict) else ():
            if field.endswith(".$"):
                require(path, field, value, context)
        return resolve(template, value, context)

    return resolved


def strict_filter(apply: Callable[..., Any], field: str) -> Callable[..., Any]:
    """InputPath, OutputPath."""

    @functools.wraps(apply)
    def applied(state: dict[str, Any], value: Any, context: dict[str, Any] | None = None) -> Any:
        require(state.get(field), field, value, context)
        return apply(state, value, context)

    return applied


def strict_state(execute: Callable[..., Any], field: str) -> Callable[..., Any]:
    """ItemsPath of a Map state, SecondsPath of a Wait state: into the effective input."""

    @functools.wraps(execute)
    def executed(state: dict[str, Any], value: Any, *rest: Any) -> Any:
        context = rest[-1]
        require(state.get(field), field, stepfunctions._apply_input_path(state, value, context), context)
        return execute(state, value, *rest)

    return executed


def strict_rule(evaluate: Callable[..., bool]) -> Callable[..., bool]:
    """A Choice rule may ask whether its Variable is present, and nothing else of one that is not."""

    @functools.wraps(evaluate)
    def evaluated(rule: dict[str, Any], value: Any, context: dict[str, Any] | None = None) -> bool:
        if "IsPresent" not in rule:
            require(rule.get("Variable"), "Variable", value, context)
        return evaluate(rule, value, context)

    return evaluated


def install() -> None:
    stepfunctions._resolve_params_obj = strict_template(stepfunctions._resolve_params_obj)
    stepfunctions._apply_input_path = strict_filter(stepfunctions._apply_input_path, "InputPath")
    stepfunctions._apply_output_path = strict_filter(stepfunctions._apply_output_path, "OutputPath")
    stepfunctions._execute_wait = strict_state(stepfunctions._execute_wait, "SecondsPath")
    stepfunctions._run_map_items = strict_state(stepfunctions._run_map_items, "ItemsPath")
    stepfunctions._evaluate_rule = strict_rule(stepfunctions._evaluate_rule)
