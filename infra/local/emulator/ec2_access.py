"""Who may call the EC2 actions that this folder adds or tightens.

ministack checks one ARN per EC2 request, with an account number in the ARNs of images and snapshots. AWS's do not
have it, and several actions need more than one resource ("Actions, resources, and condition keys for Amazon EC2",
Service Authorization Reference). Here the first ARN is handed to ministack's check and the others are checked by the
handler, through `require`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import ec2, tagging

from ec2_query import Query, Refusal, Tags


def image_arn(image: str) -> str:
    return f"arn:aws:ec2:{get_region()}::image/{image}"


def snapshot_arn(snapshot: str) -> str:
    return f"arn:aws:ec2:{get_region()}::snapshot/{snapshot}"


def import_task_arn(task: str) -> str:
    return f"arn:aws:ec2:{get_region()}:{get_account_id()}:import-snapshot-task/{task}"


def tagged_arn(resource: str) -> str | None:
    """The ARN of a resource by its id, for the three kinds that matter here."""
    for prefix, arn in (("ami-", image_arn), ("snap-", snapshot_arn), ("import-snap-", import_task_arn)):
        if resource.startswith(prefix):
            return arn(resource)
    return None


def mapped_snapshots(query: Query) -> list[str]:
    """The snapshots that a RegisterImage request names."""
    snapshots = []
    number = 1
    while query.text(f"BlockDeviceMapping.{number}.DeviceName"):
        if snapshot := query.text(f"BlockDeviceMapping.{number}.Ebs.SnapshotId"):
            snapshots.append(snapshot)
        number += 1
    return snapshots


RESOURCES: dict[str, Callable[[Query], list[str | None]]] = {
    "ImportSnapshot": lambda _: [import_task_arn("*"), snapshot_arn("*")],
    "CancelImportTask": lambda query: [import_task_arn(query.text("ImportTaskId"))],
    "RegisterImage": lambda query: [image_arn("*"), *map(snapshot_arn, mapped_snapshots(query))],
    "DeregisterImage": lambda query: [image_arn(query.text("ImageId"))],
    "DeleteSnapshot": lambda query: [snapshot_arn(query.text("SnapshotId"))],
    "CopySnapshot": lambda _: [snapshot_arn("*")],
    "CreateTags": lambda query: [tagged_arn(resource) for resource in query.members("ResourceId")],
    "DeleteTags": lambda query: [tagged_arn(resource) for resource in query.members("ResourceId")],
}
"""The ARNs that a caller of each action needs; None where ministack's own rule is left to answer."""

_OWNED = re.compile(r"^(arn:aws:ec2:[^:]*:)\d{12}(:(?:image|snapshot)/)")


def resource_arns(parameters: dict[str, Any]) -> list[str]:
    query = Query(parameters)
    named = RESOURCES.get(query.text("Action"), lambda _: [])(query)
    return [arn for arn in named if arn]


def require(action: str, resource: str, service: str = "ec2", context: dict[str, Any] | None = None) -> None:
    """Raises UnauthorizedOperation unless the request's caller may do `action` on `resource`."""
    if not allowed(action, resource, service, context):
        caller = iam_evaluator.caller_arn()
        raise Refusal(
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. User: {caller} is not authorized to perform: "
            f"{action} on resource: {resource} because no identity-based policy allows the {action} action.",
            403,
        )


def allowed(action: str, resource: str, service: str, context: dict[str, Any] | None = None) -> bool:
    """Whether the caller of the request being served may do `action`.

    The signature was checked before any handler runs; the key it was checked for is empty for an account's root and
    for calls from inside ministack (Step Functions), which it lets through.
    """
    key = iam_evaluator._verified_key.get()
    if not key:
        return True
    return iam_evaluator.enforce(key, action, service, get_region(), resource, context) is None


def require_all(action: str, query: Query) -> None:
    """Checks what ministack has not: the resources after the first, and tags given on creation."""
    arns = resource_arns(query.parameters)
    for arn in arns[1:]:
        require(f"ec2:{action}", arn)


def require_tagging(action: str, arn: str, tags: Tags) -> None:
    """Tags on creation need ec2:CreateTags too ("Grant permission to tag Amazon EC2 resources during creation")."""
    if tags:
        context: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        context |= {"aws:TagKeys": list(tags), "ec2:CreateAction": action}
        require("ec2:CreateTags", arn, context=context)


def dry_run(query: Query) -> None:
    """Ends a request with DryRun: its permissions have been checked by now."""
    if query.flag("DryRun"):
        raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def install() -> None:
    """Puts the ARNs above in place of ministack's, and lets conditions see the tags of these resources."""
    resolve = iam_actions.extract_resource_arn

    def extract(
        service: str, method: str, path: str, headers: dict, body: bytes, parameters: dict, region: str, account: str
    ) -> str:
        if service == "ec2" and (arns := resource_arns(parameters)):
            return arns[0]
        arn = resolve(service, method, path, headers, body, parameters, region, account)
        return _OWNED.sub(r"\1\2", arn)

    iam_actions.extract_resource_arn = extract
    # Which requests carry aws:RequestTag keys. ministack looks for members named Tags only, in a 10 MB model it
    # would parse in the first EC2 request.
    iam_actions._TAG_OPERATIONS["ec2"] = frozenset(_TAGGING)
    known_tags = tagging.resource_tags

    def resource_tags(arn: str) -> dict[str, str] | None:
        kind, _, resource = arn.partition(":ec2:")[2].rpartition(":")[2].partition("/")
        if kind in ("image", "snapshot", "import-snapshot-task"):
            return {tag["Key"]: tag.get("Value", "") for tag in ec2._tags.get(resource, [])}
        return known_tags(arn)

    tagging.resource_tags = resource_tags


_TAGGING: Iterable[str] = (
    "CreateTags",
    "DeleteTags",
    "ImportSnapshot",
    "RegisterImage",
    "CreateSnapshot",
    "CopySnapshot",
    "RunInstances",
)
