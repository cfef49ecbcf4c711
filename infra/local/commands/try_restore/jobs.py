"""Jobs of every end, and what the API tells of them."""

import time

from common import aws, uploads
from common.failure import Failure

FILE = "restore.x86_64-1.0.raw.xz"
TIMEOUT = 120
"""Seconds for an image of a few MiB, on a busy machine."""


def start(env, image, ami_name, **wishes):
    build = uploads.build_result("restore")
    uploads.publish(env, build, image, FILE)
    return uploads.create(env, build, FILE, ami_name, **wishes)


def wait_until(env, job, what, reached):
    deadline = time.monotonic() + TIMEOUT
    while not reached():
        if time.monotonic() > deadline:
            raise Failure(f"job {job} is not {what} within {TIMEOUT} s:\n{uploads.log(env, job)}")
        time.sleep(0.5)


def succeed(env, image, ami_name):
    """A job that has succeeded."""
    job = start(env, image, ami_name)
    wait_until(env, job, "at its end", lambda: uploads.status(env, job)["state"] in uploads.FINAL_STATES)
    if (status := uploads.status(env, job))["state"] != "succeeded":
        raise Failure(f"job {job} failed: {status.get('details')}\n{uploads.log(env, job)}")
    return job


def leave_open(env, image, ami_name):
    """A job whose import goes on."""
    job = start(env, image, ami_name, route="import")
    wait_until(env, job, "in its import", lambda: "Importing a disk" in uploads.log(env, job))
    return job


def kill(env, job):
    """Kills a job, and waits until it is cleaned up. It is among the unfinished ones for some minutes more."""
    uploads.kill(env, job)
    wait_until(env, job, "cleaned up", lambda: "cleaned" in aws.job_record(env, job))


def statuses(env):
    """What the list of all jobs tells of each, but for the progress of those that go on."""
    found = {job: uploads.status(env, job) for job in uploads.listed(env)}
    for status in found.values():
        if status["state"] not in uploads.FINAL_STATES:
            status.pop("progress", None)
    return found


def require_same(what, expected, found):
    if found != expected:
        raise Failure(f"{what}: the API tells {found}\ninstead of {expected}")
