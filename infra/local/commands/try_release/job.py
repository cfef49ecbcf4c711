"""An upload, from the image that OBS has built to the AMI in the user's account."""

import os
import time

from common import uploads
from common.failure import Failure
from common.paths import LOCAL
from common.process import output

TIMEOUT = 120
"""Seconds for an image of a few MiB, on a busy machine."""


def upload(settings, image):
    """Uploads the image. Returns the AMI's id."""
    build, name = uploads.build_result("leap-ec2"), "leap-ec2.x86_64-15.6.raw.xz"
    uploads.publish(settings, build, image, name)
    job = uploads.create(settings, build, name, "leap-ec2 15.6 by a release")
    deadline = time.monotonic() + TIMEOUT
    while (status := uploads.status(settings, job))["state"] not in uploads.FINAL_STATES:
        if time.monotonic() > deadline:
            raise Failure(f"the job is still {status['state']} after {TIMEOUT} s")
        time.sleep(0.5)
    if status["state"] != "succeeded":
        raise Failure(f"the job failed: {status.get('details')}\n{uploads.log(settings, job)}")
    return status["details"]


def compare(settings, ami, raw):
    """Whether the AMI's bytes are those of the disk. EC2 counts a snapshot in GiB: zeros follow."""
    back = raw.with_name("from-ami.raw")
    env = {**os.environ, **{name: str(value) for name, value in settings.items()}}
    output(LOCAL / "ami-to-file", ami, back, env=env)
    disk = raw.read_bytes()
    with back.open("rb") as file:
        if file.read(len(disk)) != disk or any(file.read(len(disk))):
            raise Failure(f"the bytes of {ami} are not those of {raw}")
    back.unlink()
