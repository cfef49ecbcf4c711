"""What a run deploys, and how it is found again."""

import threading
import time
import urllib.parse
from dataclasses import dataclass

from acceptance import disk, released
from acceptance.leftovers import unique_id
from acceptance.stacks import Stack
from acceptance.uploader import Answer, Uploader, request
from common.failure import Failure
from common.paths import TOP

SLOTS = {"Slots": 6, "SlotsPerUser": 1}
"""All uploads at the same time, but for the second one of a user, which waits."""

ANSWER_SECONDS = 120
"""Until a new API answers."""


@dataclass(frozen=True)
class Deployed:
    """The stacks of a run, once they are there."""

    uploader: Uploader
    outputs: dict
    resources: dict
    deployment: str
    """The unique part of the stack's id, which is in the tags of all that the uploader makes."""


def deploy_obs(target, image):
    """The bucket, and the stand-in for OBS with the disk in it. Returns the stack's outputs."""
    folder = TOP / "infra" / "acceptance"
    code = (folder / "build_results.py").read_text()
    stack = Stack(target.service, target.names.obs)
    parameters = {"Code": code, "Password": target.secrets["obs"]}
    outputs = stack.create(parameters, body=(folder / "obs.yaml").read_text(), run=target.names.run)
    disk.publish(target.service.client("s3"), outputs["Bucket"], image)
    require_answer(f"{target.obs_url(outputs)}/build/{'/'.join(disk.BUILD.values())}", disk.FILE)
    return outputs


def require_answer(url, text):
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            if text in (answer := request(url)):
                return
            said = answer
        except (Answer, OSError) as error:
            said = str(error)
        if time.monotonic() > deadline:
            raise Failure(f"no answer with {text!r} within {ANSWER_SECONDS} s, but: {said}")
        time.sleep(1)


def deploy_service(target, release, obs):
    """The uploader, of the files of a release."""
    url = released.put(target.service.client("s3"), obs["Bucket"], release)
    parameters = {
        "CodeBucket": obs["Bucket"],
        "CodePrefix": "code",
        "ObsUrl": target.obs_url(obs),
        "LogRetentionDays": 7,
        "UserTemplateReaders": "nobody" if target.public_access_is_blocked() else "everyone",
        **SLOTS,
    }
    Stack(target.service, target.names.service).create(parameters, url=url, run=target.names.run)


def find(target, guard, stop=None):
    """The uploader of a run, if its stack is there. `stop` ends whoever waits for a job."""
    stack = Stack(target.service, target.names.service)
    found = stack.describe()
    if found is None or not found["StackStatus"].endswith("_COMPLETE") or "Outputs" not in found:
        return None
    outputs, resources = stack.outputs(), stack.resources()
    secret = target.service.client("secretsmanager").get_secret_value(SecretId=outputs["FrontendSecret"])
    parts = urllib.parse.urlsplit(target.api_url(outputs, resources["HttpApi"]))
    credentials = f"obs:{urllib.parse.quote(secret['SecretString'], safe='')}"
    url = urllib.parse.urlunsplit(parts._replace(netloc=f"{credentials}@{parts.netloc}"))
    uploader = Uploader(url, guard, target, stop or threading.Event())
    return Deployed(uploader, outputs, resources, unique_id(found["StackId"]))


def require_uploader(deployed):
    """A job that cannot be there: whoever answers that with OBS's error has read the table."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            deployed.uploader.call("/0")
        except Answer as answer:
            if answer.status == 404 and "<status" in answer.body:
                return
            said = str(answer)
        except OSError as error:
            said = str(error)
        else:
            raise Failure("the API knows a job 0")
        if time.monotonic() > deadline:
            raise Failure(f"the API does not answer within {ANSWER_SECONDS} s: {said}")
        time.sleep(1)
