"""What an import reads, and who must be allowed to: the caller, and the service role that VM Import assumes.

"Required permissions for VM Import/Export", "Troubleshooting VM Import/Export" (VM Import/Export User Guide).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, s3

import control
import ec2_access
from arns import arn, bucket_arn, bucket_of
from disk_image import InvalidDisk
from ec2_query import Refusal
from file_body import Bytes

SERVICE, EXTERNAL_ID = "vmie.amazonaws.com", "vmimport"


@dataclass(frozen=True)
class Source:
    """The object an import reads, and the service role that reads it."""

    bucket: str
    key: str
    role: str

    @property
    def arn(self) -> str:
        return bucket_arn(f"{self.bucket}/{self.key}")


def check_role(source: Source) -> None:
    """The service role must be there, trust the importer, be handed on by the caller, and see the bucket.

    "Required service role", VM Import/Export User Guide. That a missing iam:PassRole is answered with the same text is
    what aws/aws-cli issue 8873 shows.
    """
    role = iam._roles.get(source.role)
    bucket = bucket_arn(source.bucket)
    if (
        role is None
        or is_unknown_yet(role)
        or not trusts_importer(role)
        or not ec2_access.allowed("iam:PassRole", role_arn(source.role), "iam", {"iam:PassedToService": SERVICE})
        or not all(role_may(source.role, action, bucket) for action in ("s3:GetBucketLocation", "s3:ListBucket"))
    ):
        raise Refusal(
            "InvalidParameter",
            f"The service role {source.role} provided does not exist or does not have sufficient permissions",
        )


def is_unknown_yet(role: dict[str, Any]) -> bool:
    """Whether VM Import does not know a new role yet, as a test has asked for."""
    age = datetime.now(UTC) - datetime.fromisoformat(role["CreateDate"])
    return age.total_seconds() < control.of_account(get_account_id()).new_roles_unknown_seconds


def check_object(source: Source) -> None:
    """The object must be there, readable by the caller, in a bucket of this region."""
    owner = s3._bucket_owner_account(source.bucket)
    if owner is None:
        raise Refusal("InvalidParameter", "Invalid S3 source location")
    bucket = s3._buckets.get_scoped(owner, None, source.bucket)
    region = bucket.get("region") or "us-east-1"
    if region != get_region():
        raise Refusal(
            "InvalidParameter",
            f"The given S3 object is not local to the region. The object must be located in {get_region()}.",
        )
    readable_by_caller = ec2_access.allowed("s3:GetObject", source.arn, "s3") and ec2_access.allowed(
        "s3:GetBucketLocation", bucket_arn(source.bucket), "s3"
    )
    if source.key not in bucket["objects"] or not readable_by_caller:
        raise Refusal("InvalidParameter", f"User does not have access to the S3 object ({source.bucket}/{source.key}).")


def readable(source: Source) -> Bytes:
    """The object's bytes, read as the service role; raises what AWS puts on the task if it cannot be read."""
    if iam._roles.get(source.role) is None or not role_may(source.role, "s3:GetObject", source.arn):
        raise InvalidDisk("We do not have access to the given resource. Reason 403 Forbidden")
    owner = s3._bucket_owner_account(source.bucket)
    bucket = s3._buckets.get_scoped(owner, None, source.bucket) if owner else None
    stored = bucket["objects"].get(source.key) if bucket else None
    if stored is None:
        raise InvalidDisk("We do not have access to the given resource. Reason 404 Not Found")
    return s3._read_body(source.bucket, source.key, stored)


def still_readable(source: Source, image: Bytes) -> None:
    if readable(source) is not image:
        raise InvalidDisk("The object changed while it was read")


def role_arn(role: str) -> str:
    record = iam._roles.get(role)
    return record["Arn"] if record else arn("iam", f"role/{role}", account=get_account_id())


def trusts_importer(role: dict[str, Any]) -> bool:
    """Whether the role's trust policy lets VM Import assume it, which it does with its external ID."""
    context = iam_evaluator.EvalContext(
        principal_arn=SERVICE,
        principal_type="Service",
        principal_account=get_account_id(),
        action="sts:AssumeRole",
        resource_arn=role["Arn"],
        region=get_region(),
        service_context={"sts:externalid": EXTERNAL_ID, "aws:sourceaccount": get_account_id()},
    )
    trust = iam_evaluator.evaluate_resource_policy(role["AssumeRolePolicyDocument"], context, service=SERVICE)
    return trust.decision == "Allow"


def role_may(role: str, action: str, resource: str) -> bool:
    """Whether the role's policies, together with the bucket's, let it do `action`."""
    account, bucket = get_account_id(), bucket_of(resource)
    context = iam_evaluator.EvalContext(
        principal_arn=arn("sts", f"assumed-role/{role}/vmimport", account=account),
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=get_region(),
    )
    limits = iam_evaluator._permissions_boundary(iam._roles, role, account)
    identity = iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(role, account), *limits)
    owner = s3._bucket_owner_account(bucket)
    policy = s3._bucket_policies.get_scoped(owner, None, bucket) if owner else None
    combined = iam_evaluator.combine_resource_policy(identity, context, policy, owner, limits=tuple(limits))
    return combined.decision == "Allow"
