"""What a job, and a month without jobs, would cost on AWS."""

import collections
import re

from bench import prices
from common.paths import TOP

KEPT_HOURS = 1
"""The time for which staged files, disks in buckets and shared snapshots are counted. They are there for minutes."""

LOG_BYTES = 4 << 10
"""What an invocation writes into the functions' log."""

SWEEPS = 60 * prices.HOURS
"""In a month."""

SWEEP_GB_SECONDS, SWEEP_QUERIES = 0.1 * 256 / 1024, 3


def price(job):
    """Dollars by what they are for, but for the AMI's own storage."""
    of_calls = collections.Counter()
    for call, count in job.calls.items():
        of_calls[call.split(":")[0]] += count * prices.CALLS.get(call, 0)
    return {
        "EBS": of_calls["ebs"] + job.copied * KEPT_HOURS * prices.SNAPSHOT_BYTE_HOUR,
        "S3": of_calls["s3"] + job.stored * KEPT_HOURS * prices.S3_BYTE_HOUR,
        "Lambda": job.invocations * prices.LAMBDA_CALL + job.gb_seconds * prices.LAMBDA_GB_SECOND,
        "other": of_calls["dynamodb"]
        + job.transitions * prices.TRANSITION
        + prices.API_CALL
        + (job.log + job.invocations * LOG_BYTES) * prices.LOG_BYTE,
    }


def idle():
    """What a month without jobs costs: a text."""
    template = (TOP / "infra" / "template.yaml").read_text()
    # But for the canary's, which is not there without parameters of its own.
    alarms = len(re.findall(r"^    Type: AWS::CloudWatch::Alarm$(?!\n    Condition:)", template, re.MULTILINE))
    sweeper = SWEEPS * (
        prices.LAMBDA_CALL
        + SWEEP_GB_SECONDS * prices.LAMBDA_GB_SECOND
        + SWEEP_QUERIES * prices.READ_UNIT
        + LOG_BYTES * prices.LOG_BYTE
    )
    return (
        f"${alarms * prices.ALARM_MONTH:.2f} for {alarms} alarms (the first ten of an account are free), "
        f"${prices.SECRET_MONTH:.2f} for the secret of OBS, "
        f"${sweeper:.2f} for the sweeper, which runs every minute"
    )
