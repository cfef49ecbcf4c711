"""What becomes of an image on its way through the relay when that ends, and when AWS is away."""

import contextlib
import json
import os
import signal
import time

from common import uploads
from common.failure import Failure

STALLED = "leap-stalled"
"""A package whose image the repository server sends to a part only."""

PATIENCE = 60
"""Seconds that a job may take to get somewhere."""

AWAY = 40
"""Seconds without AWS: longer than the relay's connections last without a sign from their other end (30 s)."""


def check(relay, door, image):
    """`image` is the file of the package STALLED in the stand-in for the repository server."""
    faults = image.with_name(f"{image.name}.faults.json")
    for how, end, reason in (
        ("stopped", relay.down, "the relay beside OBS was stopped while the image came in: upload it again"),
        ("killed", relay.kill, "the relay beside OBS was interrupted while the image came in: upload it again"),
    ):
        faults.write_text(json.dumps([{"after": 9 << 20, "do": "stall"}]))
        answer = door.create(f"{door.name} - {how}", package=STALLED)
        job = uploads.job_number(answer.text)
        wait(door, job, lambda fields: fields["state"] == "receiving" and (relay.home / "state" / job).exists())
        end()
        relay.up()
        fields = wait(door, job, lambda fields: fields["state"] == "failed")
        if fields["details"] != reason:
            raise Failure(f"{door.name}: job {job} has failed, but {fields['details']!r} is not {reason!r}")
        if list((relay.home / "state").iterdir()):
            raise Failure(f"{door.name}: the relay has not forgotten job {job}")
        door.say(f"ends job {job} when the relay is {how}")


def check_without_aws(relay, door, folder):
    """AWS answers nothing for a while, from the moment at which the source server has its job. `folder` is the stack's."""
    job = uploads.job_number(door.create(f"{door.name} - AWS away").text)
    with stopped(json.loads((folder / "emulator.pid").read_text())["pid"]):
        time.sleep(AWAY)
        if not (relay.home / "state" / job).exists():
            raise Failure(f"{door.name}: the image of job {job} was through before AWS was away")
    wait(door, job, lambda fields: fields["state"] == "succeeded")
    door.say(f"sends the image of job {job} when AWS is back")


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def wait(door, job, is_met):
    """The job's fields, as the API itself has them."""
    deadline = time.monotonic() + PATIENCE
    while not is_met(fields := uploads.status(door.env, job)):
        if time.monotonic() > deadline:
            raise Failure(f"{door.name}: job {job} stays {fields}")
        time.sleep(0.2)
    return fields
