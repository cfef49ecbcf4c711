"""Which key a new snapshot is encrypted with, if any.

"Encryption outcomes for EBS direct APIs", "Encryption by default", "Default KMS key for EBS encryption" (EBS User
Guide). The emulator encrypts no bytes; what it shows is who says what about encryption, and noise where nobody wrote
(blocks.py).
"""

from __future__ import annotations

import re
import uuid

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region

from arns import arn
from ec2_query import Query, Refusal

ALIAS = "alias/aws/ebs"
"""The AWS managed key of an account and region, which can't be shared."""

_KEY_ID = r"(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_KEY = re.compile(
    rf"(?:arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{{12}}:)?(?P<name>key/{_KEY_ID}|alias/[\w/-]{{1,250}})"
)

_by_default = AccountRegionScopedDict()


def is_by_default() -> bool:
    return _by_default.get("enabled", False)


def set_by_default(enabled: bool) -> None:
    _by_default["enabled"] = enabled


def managed_key() -> str:
    """The ARN of the account's AWS managed key for EBS, which is there once somebody needs it."""
    name = uuid.uuid5(uuid.NAMESPACE_OID, f"{get_account_id()}/{get_region()}/{ALIAS}")
    return arn("kms", f"key/{name}", get_region(), get_account_id())


def key_for(encrypted: bool | None, key: str | None) -> str | None:
    """The ARN of the key of a new snapshot; None without encryption. ValueError for what is no key of this region."""
    if key:
        return key_arn(key)
    return managed_key() if encrypted or is_by_default() else None


def key_of(query: Query, source_is_encrypted: bool = False) -> str | None:
    """The same for a request to EC2. "If a KmsKeyId is specified, the Encrypted flag must also be set" (ImportSnapshot,
    CopySnapshot; the text of the refusal is that of CreateVolume); Encrypted is never turned off."""
    encrypted, key = query.flag("Encrypted"), query.text("KmsKeyId")
    if key and not encrypted:
        text = "The parameter KmsKeyId requires the parameter Encrypted to be set."
        raise Refusal("InvalidParameterDependency", text)
    try:
        return key_for(encrypted or source_is_encrypted, key)
    except ValueError:
        raise Refusal("InvalidParameterValue", f"The specified keyId {key} is invalid") from None


def key_arn(key: str) -> str:
    match = _KEY.fullmatch(key) or _KEY.fullmatch(f"key/{key}")
    if not match or match["region"] not in (None, get_region()):
        raise ValueError(key)
    if match["name"] == ALIAS:
        return managed_key()
    return key if match["region"] else arn("kms", match["name"], get_region(), get_account_id())


def sse_type(key: str | None) -> str:
    return "sse-kms" if key else "none"
