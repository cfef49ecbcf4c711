"""EBS direct over HTTP: which operation a request is, who may call it, and how it is refused.

"Actions", "Common Errors" (EBS direct APIs Reference); "Error retries", "Control access to EBS direct APIs using IAM"
(EBS User Guide); "Actions, resources, and condition keys for Amazon Elastic Block Store" (Service Authorization
Reference). All services share one port, so a request is EBS's by the scope of its credentials.
"""

from __future__ import annotations

import functools
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ministack import app as ministack
from ministack.core import iam_actions, iam_evaluator
from ministack.core.iam_evaluator import AuthError
from ministack.core.responses import get_region
from ministack.core.router import extract_access_key_id

import ec2_access

Answer = tuple[int, dict[str, str], bytes]

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/ebs/aws4_request")

_OPERATIONS = {
    "StartSnapshot": ("POST", re.compile(r"/snapshots")),
    "CompleteSnapshot": ("POST", re.compile(r"/snapshots/completion/([^/]+)")),
    "PutSnapshotBlock": ("PUT", re.compile(r"/snapshots/([^/]+)/blocks/([^/]+)")),
    "ListSnapshotBlocks": ("GET", re.compile(r"/snapshots/([^/]+)/blocks")),
    "GetSnapshotBlock": ("GET", re.compile(r"/snapshots/([^/]+)/blocks/([^/]+)")),
}

_SNAPSHOT_ID = re.compile(r"snap-[0-9a-f]{1,59}")


class Refusal(Exception):
    def __init__(self, code: str, message: str, status: int = 400, reason: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.reason = code, message, status, reason

    def answer(self) -> Answer:
        body = {"Message": self.message} | ({"Reason": self.reason} if self.reason else {})
        return self.status, {"Content-Type": "application/json", "x-amzn-errortype": self.code}, dumped(body)


def invalid(reason: str, message: str) -> Refusal:
    return Refusal("ValidationException", message, 400, reason)


def missing(snapshot: str) -> Refusal:
    return Refusal(
        "ResourceNotFoundException", f"The snapshot '{snapshot}' does not exist.", 404, "SNAPSHOT_NOT_FOUND"
    )


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    query: dict[str, list[str]]
    body: bytes

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")

    def number(self, text: str, name: str) -> int:
        """A whole number of a header, a path or a query; the SDKs send no other."""
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise invalid("INVALID_PARAMETER_VALUE", f"{name} '{text}' is not a whole number")
        return int(text)

    def parameter(self, name: str) -> str:
        return self.query.get(name, [""])[0]

    def json(self) -> dict[str, Any]:
        try:
            given = json.loads(self.body)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise Refusal("SerializationException", "The request is no JSON object")
        return given


Operation = Callable[..., Awaitable[Answer]]


def install(operations: dict[str, Operation]) -> None:
    """Answers EBS's requests before ministack looks for a service that would."""
    own: Callable[..., Any] = ministack._handle_special_data_plane_request

    @functools.wraps(own)
    async def handled(
        method: str, path: str, headers: dict, body: bytes, query: dict, request_id: str, **options: Any
    ) -> Any:
        if not _SCOPE.search(headers.get("authorization", "")):
            return await own(method, path, headers, body, query, request_id, **options)
        iam_evaluator.pin_request_caller(headers, query)
        status, answered, text = await answer(operations, Request(method, path, headers, query, body))
        return status, {**answered, "x-amzn-requestid": str(uuid.uuid4())}, text

    ministack._handle_special_data_plane_request = handled


async def answer(operations: dict[str, Operation], request: Request) -> Answer:
    try:
        for name, (method, path) in _OPERATIONS.items():
            if method == request.method and (match := path.fullmatch(request.path)):
                if match.groups():
                    check_snapshot_id(match[1])
                return await operations[name](request, *match.groups())
        raise Refusal("UnknownOperationException", f"{request.method} {request.path} is no operation", 404)
    except Refusal as refusal:
        return refusal.answer()
    except Denied as denied:
        return denied.answer


def check_snapshot_id(snapshot: str) -> None:
    if not _SNAPSHOT_ID.fullmatch(snapshot):
        raise invalid("INVALID_SNAPSHOT_ID", f"The snapshot ID '{snapshot}' is not valid")


class Denied(Exception):
    """Credentials that are not valid, answered as ministack does for all services."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def authorize(request: Request, action: str, snapshot: str, context: dict[str, Any] | None = None) -> None:
    """Whether the caller may do `ebs:<action>` with a snapshot, or `ec2:CreateTags`."""
    service, _, _ = action.partition(":")
    resource = ec2_access.snapshot_arn(snapshot)
    key = extract_access_key_id(request.headers, request.query)
    denied = iam_evaluator.enforce(key, action, service, get_region(), resource, context)
    if isinstance(denied, AuthError):
        raise Denied(ministack._credential_failure("ebs", action, "", denied, request.headers))
    if denied:
        explicit = denied.decision == "Deny"
        message = iam_actions.identity_denial_message(action, denied.principal_arn, resource, explicit)
        raise Refusal("AccessDeniedException", message, 403)


def answered(status: int, body: dict[str, Any], **headers: str) -> Answer:
    return status, {"Content-Type": "application/json", **headers}, dumped(body)


def dumped(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
