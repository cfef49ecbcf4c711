"""List prices of us-east-1 in dollars, and what a call costs by them.

The prices, with their sources, are those of the functions.
"""

import json

from common.paths import TOP

TABLE = json.loads((TOP / "functions" / "cloudupload" / "src" / "cost" / "prices.json").read_text())
LOOKED_UP = TABLE["date"]

GIB = 1 << 30


def price(name):
    """Of one."""
    entry = TABLE["prices"][name]
    return entry["dollars"] / entry["per"]


PUT_BLOCK = price("block")
S3_WRITE, S3_READ = price("s3_write"), price("s3_read")
READ_UNIT, WRITE_UNIT = price("read_unit"), price("write_unit")

CALLS = {
    "ebs:PutSnapshotBlock": PUT_BLOCK,
    **dict.fromkeys(
        (
            *("s3:PutObject", "s3:UploadPart", "s3:CreateMultipartUpload", "s3:CompleteMultipartUpload"),
            *("s3:ListObjectsV2", "s3:ListParts", "s3:ListMultipartUploads", "s3:CreateBucket"),
            *("s3:PutLifecycleConfiguration", "s3:PutBucketPublicAccessBlock"),
        ),
        S3_WRITE,
    ),
    **dict.fromkeys(("s3:GetObject", "s3:HeadObject", "s3:HeadBucket", "s3:GetLifecycleConfiguration"), S3_READ),
    # A record has less than 4 KiB, for which a read takes one unit, a write four, and a write in a transaction, with
    # those of a slot and an event beside it, twelve (DynamoDB developer guide, "DynamoDB on-demand capacity mode").
    **dict.fromkeys(("dynamodb:GetItem", "dynamodb:Query"), READ_UNIT),
    "dynamodb:BatchGetItem": 100 * READ_UNIT,
    **dict.fromkeys(("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"), 4 * WRITE_UNIT),
    "dynamodb:TransactWriteItems": 12 * WRITE_UNIT,
    "events:PutEvents": price("event"),
}
"""Of one call. Those that are not here cost nothing: all of EC2, STS, Step Functions, CloudWatch Logs; S3's DELETE."""

LAMBDA_CALL = price("invocation")
LAMBDA_GB_SECOND = price("gb_second_aarch64")
"""Of arm64, which the template takes."""

TRANSITION = price("transition")
API_CALL = price("api_request")
LOG_BYTE = price("log_gb") / GIB

HOURS = 730
"""Of a month."""

S3_BYTE_HOUR, SNAPSHOT_BYTE_HOUR = (price(name) / GIB / HOURS for name in ("s3_gb_month", "snapshot_gb_month"))

ALARM_MONTH, SECRET_MONTH = price("alarm_month"), price("secret_month")
