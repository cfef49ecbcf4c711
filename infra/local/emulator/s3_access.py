"""Who is told what about buckets and objects.

"Verifying bucket ownership with bucket owner condition" (S3 User Guide); HeadBucket, HeadObject, GetObject (S3 API
Reference); aws:ResourceAccount in "AWS global condition context keys" (IAM User Guide).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, set_request_account_id
from ministack.services import s3

import ec2_access
from arns import bucket_arn, bucket_of
from s3_refusal import Answer, Refusal

RESOURCE_ACCOUNT = ("aws:resourceaccount", "s3:resourceaccount")


def install() -> None:
    s3.validate_object_request = permission_before_existence(s3.validate_object_request)
    iam_evaluator._resolve_condition_key = account_of_bucket(iam_evaluator._resolve_condition_key)


def wrong_owner(path: str, headers: dict[str, str]) -> Refusal | None:
    """Another owner than expected is a 403 ("Verifying bucket ownership with bucket owner condition")."""
    bucket = bucket_and_key(path)[0]
    source = bucket_and_key(headers.get("x-amz-copy-source", ""))[0]
    for header, name in (("x-amz-expected-bucket-owner", bucket), ("x-amz-source-expected-bucket-owner", source)):
        expected = headers.get(header)
        if expected is None:
            continue
        if not re.fullmatch(r"\d{12}", expected):
            return Refusal(
                "InvalidBucketOwnerAWSAccountID",
                "The value of the expected bucket owner parameter must be an AWS Account ID",
            )
        owner = s3._bucket_owner_account(name)
        if owner is not None and owner != expected:
            return Refusal("AccessDenied", "Access Denied", 403)
    return None


def bucket_and_key(path: str) -> tuple[str, str]:
    bucket, _, key = path.lstrip("/").partition("/")
    return bucket, key


def account_of_bucket(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """aws:ResourceAccount of a bucket and its objects: the account that owns the bucket, absent if there is no such
    bucket. ministack takes the caller's."""

    @functools.wraps(resolve)
    def resolved(key: str, context: iam_evaluator.EvalContext) -> Any:
        bucket = bucket_of(context.resource_arn)
        if key.lower() in RESOURCE_ACCOUNT and bucket and bucket != "*":
            return s3._bucket_owner_account(bucket)
        return resolve(key, context)

    return resolved


def permission_before_existence(validate: Callable[..., Answer | None]) -> Callable[..., Answer | None]:
    """HeadBucket needs s3:ListBucket, also to be told that there is no such bucket: "If the bucket doesn't exist or you
    don't have permission to access it, the HEAD request returns a generic 400 Bad Request, 403 Forbidden, or 404 Not
    Found". ministack says 404 before it looks at permissions."""

    @functools.wraps(validate)
    def validated(method: str, path: str, headers: dict[str, str], query: dict[str, Any]) -> Answer | None:
        refused = validate(method, path, headers, query)
        missing_bucket = method == "HEAD" and not bucket_and_key(path)[1] and refused and refused[0] == 404
        return None if missing_bucket else refused

    return validated


def hide_missing(answer: Answer, method: str, path: str, query: dict[str, Any], caller: str) -> Answer:
    """HeadObject and GetObject of a key that is not there: "If you have the s3:ListBucket permission on the bucket,
    Amazon S3 returns an HTTP status code 404 Not Found error. If you don't have the s3:ListBucket permission, Amazon S3
    returns an HTTP status code 403 Forbidden error." """
    if answer[0] != 404 or iam_actions._s3_action(method, path, query) != "GetObject":
        return answer
    bucket, _ = bucket_and_key(path)
    owner = s3._bucket_owner_account(bucket)
    if owner is None or may_list(bucket, owner, caller):
        return answer
    message = iam_actions.identity_denial_message(
        "s3:ListBucket", iam_evaluator.caller_arn(), f'"{bucket_arn(bucket)}"', explicit_deny=False
    )
    return s3._object_error("AccessDenied", message, 403)


def may_list(bucket: str, owner: str, caller: str) -> bool:
    """Whether the caller of the request being served may list a bucket; another account's needs its policy too."""
    served = get_account_id()
    set_request_account_id(caller)  # while a request is served, it is the bucket's owner
    try:
        allowed = ec2_access.allowed("s3:ListBucket", bucket_arn(bucket), "s3")
    finally:
        set_request_account_id(served)
    return allowed and (owner == caller or s3._foreign_bucket_allows(owner, bucket, "", "GET", {}, caller))
