"""Whether the jobs have ended as they should, and nothing of them is left."""

import time

from common import aws
from common.failure import Failure
from upgrade.jobs import user_bucket

LOG_OF_SUCCESS = (
    "Receiving ",
    "Received ",
    "Start uploading image ",
    "Importing a disk ",
    "Created image: ",
    "Cost: ",
    "Upload took: ",
)
LOG_OF_KILL = ("Receiving ", "Received ", "Start uploading image ", "Importing a disk ", "Killed.")

CLEAN_UP_TIMEOUT = 180
"""Seconds for what a killed job has left: the kill makes the job final before its clean-up."""


def problems_of(job):
    """How a job has ended otherwise than it should, in words."""
    status, log = job.status(), job.log()
    if job.end == "succeeded":
        ended = status["state"] == "succeeded" and status.get("details", "").startswith("ami-")
        lines = LOG_OF_SUCCESS
    else:
        ended = status["state"] == "failed" and status.get("details") == "killed"
        lines = LOG_OF_KILL
    problems = [] if ended else [f"it is {status['state']}: {status.get('details')}"]
    return problems + [f"its log lacks {line.strip()!r}" for line in lines if line not in log]


def wait_until_nothing_is_left(env):
    deadline = time.monotonic() + CLEAN_UP_TIMEOUT
    while left := leftovers(env):
        if time.monotonic() > deadline:
            raise Failure("something is left:\n" + "\n".join(f"    {line}" for line in left))
        time.sleep(1)


def leftovers(env):
    """What must not be there when all jobs have ended, in words."""
    root = env["AWS_ACCESS_KEY_ID"], env["AWS_REGION"]
    staged = aws.object_keys(env, env["STAGING_BUCKET"], "job-", *root)
    uploaded = aws.object_keys(env, user_bucket(env), "", env["USER_ACCOUNT"], env["USER_REGION"])
    running = aws.states(env, "ListExecutions", stateMachineArn=env["UPLOAD_MACHINE_ARN"], statusFilter="RUNNING")
    return [
        *(f"{key} in the staging bucket" for key in staged),
        *(f"{key} in the user's bucket" for key in uploaded),
        *(f"job {job} is {kind} in the slots table" for kind in ("held", "waiting") for job in slot_items(env, kind)),
        *(f"execution {execution['name']} is running" for execution in running["executions"]),
    ]


def slot_items(env, kind):
    found = aws.dynamodb(
        env,
        "Query",
        TableName=env["SLOTS_TABLE"],
        KeyConditionExpression="kind = :kind",
        ExpressionAttributeValues={":kind": {"S": kind}},
    )
    return [item["job"]["N"] for item in found["Items"]]
