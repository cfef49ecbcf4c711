"""List prices of us-east-1 in dollars, and what a call costs by them.

Source of the price of blocks: EBS user guide, "Pricing for EBS direct APIs". The others were taken from what others
quote of AWS's pages (DynamoDB, Lambda, Step Functions) or not looked up at all (S3, CloudWatch, API Gateway, stored
snapshots).
"""

LOOKED_UP = "2026-11-27"

MILLION = 1_000_000
GIB = 1 << 30

PUT_BLOCK = 0.006 / 1000
S3_WRITE, S3_READ = 0.005 / 1000, 0.0004 / 1000
READ_UNIT, WRITE_UNIT = 0.125 / MILLION, 0.625 / MILLION

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
    "events:PutEvents": 1.00 / MILLION,
}
"""Of one call. Those that are not here cost nothing: all of EC2, STS, Step Functions, CloudWatch Logs; S3's DELETE."""

LAMBDA_CALL, LAMBDA_GB_SECOND = 0.20 / MILLION, 0.0000133334
"""Of arm64, which the template takes."""

TRANSITION = 0.025 / 1000
API_CALL = 1.00 / MILLION
LOG_BYTE = 0.50 / GIB

HOURS = 730
"""Of a month."""

S3_BYTE_HOUR, SNAPSHOT_BYTE_HOUR = 0.023 / GIB / HOURS, 0.05 / GIB / HOURS

ALARM_MONTH, SECRET_MONTH = 0.10, 0.40
