"""Who may call the EC2 actions that this folder adds or tightens.

ministack checks one ARN per EC2 request, with an account number in the ARNs of images and snapshots. AWS's do not
have it, and several actions need more than one resource ("Actions, resources, and condition keys for Amazon EC2",
Service Authorization Reference). Here the first ARN is handed to ministack's check and the others are checked by the
handler, through `require`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region

from arns import arn
from ec2_query import Query, Refusal, Tags, tags_of


def image_arn(image: str) -> str:
    return arn("ec2", f"image/{image}", get_region())


def snapshot_arn(snapshot: str, region: str = "") -> str:
    return arn("ec2", f"snapshot/{snapshot}", region or get_region())


def import_task_arn(task: str) -> str:
    return arn("ec2", f"import-snapshot-task/{task}", get_region(), get_account_id())


def tagged_arn(resource: str) -> str | None:
    """The ARN of a resource by its id, for the three kinds that matter here."""
    for prefix, make in (("ami-", image_arn), ("snap-", snapshot_arn), ("import-snap-", import_task_arn)):
        if resource.startswith(prefix):
            return make(resource)
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
    "DisableImage": lambda query: [image_arn(query.text("ImageId"))],
    "EnableImage": lambda query: [image_arn(query.text("ImageId"))],
    "DeleteSnapshot": lambda query: [snapshot_arn(query.text("SnapshotId"))],
    "CopySnapshot": lambda query: [
        snapshot_arn("*"),
        snapshot_arn(query.text("SourceSnapshotId"), query.text("SourceRegion")),
    ],
    "ModifySnapshotAttribute": lambda query: [snapshot_arn(query.text("SnapshotId"))],
    "DescribeSnapshotAttribute": lambda query: [snapshot_arn(query.text("SnapshotId"))],
    "CreateTags": lambda query: [tagged_arn(resource) for resource in query.members("ResourceId")],
}
"""The ARNs that a caller of each action needs; None where ministack's own rule is left to answer."""

_SHARING = re.compile(
    r"(?:CreateVolumePermission\.(?P<verb>Add|Remove)\.\d+\.)?(?P<who>UserId|UserGroup|Group)(?:\.\d+)?"
)
"""The parameters of ModifySnapshotAttribute that name accounts and groups, in either form of the request."""

TAGGING = frozenset({"CopySnapshot", "CreateTags", "ImportSnapshot", "RegisterImage"})
"""The actions whose requests carry aws:RequestTag/<key> and aws:TagKeys."""


def resource_arns(parameters: dict[str, Any]) -> list[str]:
    query = Query(parameters)
    named = RESOURCES.get(query.text("Action"), lambda _: [])(query)
    return [resource for resource in named if resource]


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
    """Checks what ministack has not: the resources after the first. The source of a copy is given no tags, so that
    conditions on them are not met there."""
    of_tags = {} if action == "CopySnapshot" else query.parameters
    context = iam_actions.request_tag_context("ec2", f"ec2:{action}", b"", of_tags)
    for resource in resource_arns(query.parameters)[1:]:
        require(f"ec2:{action}", resource, context=context)


def require_tagging(action: str, resource: str, tags: Tags) -> None:
    """Tags on creation need ec2:CreateTags too ("Grant permission to tag Amazon EC2 resources during creation"). Only
    then is there an ec2:CreateAction: a CreateTags request has none."""
    if tags:
        context: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        context |= {"aws:TagKeys": list(tags), "ec2:CreateAction": action}
        require("ec2:CreateTags", resource, context=context)


def dry_run(query: Query) -> None:
    """Ends a request with DryRun: its permissions have been checked by now."""
    if query.flag("DryRun"):
        raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def with_resource_tags(enforce: Callable[..., Any]) -> Callable[..., Any]:
    """Conditions on aws:ResourceTag/<key> see a resource's tags as they are. ministack gives them to the policies of a
    user or role only, not to a session policy ("IAM JSON policy evaluation": both must allow), and knows the resources
    by its own ARNs."""

    @functools.wraps(enforce)
    def enforced(
        key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        context = dict(service_context or {})
        if service in ("ec2", "ebs"):
            tags = tags_of(resource_arn.rpartition("/")[2])
            context |= {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
        return enforce(key, action, service, region, resource_arn, context)

    return enforced


def with_sharing_keys(context_of: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """ec2:Add/userId and its like, by which a policy can say with whom a snapshot may be shared."""

    @functools.wraps(context_of)
    def context(service: str, action: str, body: bytes, parameters: dict[str, Any]) -> dict[str, Any]:
        keys = context_of(service, action, body, parameters)
        if action != "ec2:ModifySnapshotAttribute":
            return keys
        named: dict[str, list[str]] = {}
        operation = Query(parameters).text("OperationType").capitalize()
        for name in parameters:
            if match := _SHARING.fullmatch(name):
                key = f"ec2:{match['verb'] or operation}/{'userId' if match['who'] == 'UserId' else 'group'}"
                named.setdefault(key, []).append(Query(parameters).text(name))
        return keys | {key: values[0] if len(values) == 1 else values for key, values in named.items()}

    return context


def install() -> None:
    """Puts the ARNs above in place of ministack's, and lets conditions see the tags of these resources."""
    resolve = iam_actions.extract_resource_arn

    def extract(
        service: str, method: str, path: str, headers: dict, body: bytes, parameters: dict, region: str, account: str
    ) -> str:
        if service == "ec2" and (named := resource_arns(parameters)):
            return named[0]
        return resolve(service, method, path, headers, body, parameters, region, account)

    iam_actions.extract_resource_arn = extract
    # Else ministack looks for members named Tags, in a 10 MB model that it would parse in the first EC2 request.
    iam_actions._TAG_OPERATIONS["ec2"] = TAGGING
    iam_actions.request_tag_context = with_sharing_keys(iam_actions.request_tag_context)
    iam_evaluator.enforce = with_resource_tags(iam_evaluator.enforce)
