"""Who is told what about buckets and objects.

"Verifying bucket ownership with bucket owner condition" (S3 User Guide).
"""

from __future__ import annotations

import re

from ministack.services import s3

from s3_refusal import Refusal


def wrong_owner(path: str, headers: dict[str, str]) -> Refusal | None:
    """Another owner than expected is a 403 ("Verifying bucket ownership with bucket owner condition")."""
    bucket = path.lstrip("/").partition("/")[0]
    source = headers.get("x-amz-copy-source", "").lstrip("/").partition("/")[0]
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
