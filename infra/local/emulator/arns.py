"""ARNs: those that are made here, and reading those of any partition.

ministack writes the partition `aws` into each of its own ARNs, in every region; so do those made here, to fit them.
"""

from __future__ import annotations

PARTITION = "aws"


def arn(service: str, resource: str, region: str = "", account: str = "") -> str:
    return f"arn:{PARTITION}:{service}:{region}:{account}:{resource}"


def bucket_arn(bucket: str) -> str:
    return arn("s3", bucket)


def partition_of(name: str) -> str:
    """The partition that an ARN names; "" if it is no ARN."""
    return name.split(":")[1] if name.startswith("arn:") and name.count(":") >= 5 else ""


def bucket_of(name: str) -> str:
    """The bucket that an ARN of a bucket or an object names, in any partition; "" if it names none."""
    fields = name.split(":", 5)
    is_bucket = len(fields) == 6 and fields[0] == "arn" and fields[2:5] == ["s3", "", ""]
    return fields[5].partition("/")[0] if is_bucket else ""
