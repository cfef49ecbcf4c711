"""The API, held against docs/openapi.yaml by schemathesis.

The requests to OBS's paths are those of a caller with rights for one user of OBS, to whom the jobs of other tests do not
exist. Its own jobs name a role that trusts nobody, or a file that OBS does not have: none of them takes a slot or uploads
anything. The requests below /v1 are those of an administrator, and of a user who has no role, and so no jobs.
"""

import contextlib
import hashlib
import json
import secrets
import time
import urllib.parse
from pathlib import Path

from common import aws, uploads
from common.failure import Failure
from common.loopback import fetch
from common.paths import LOCAL, TOP

HOME = LOCAL / "schemathesis"
CALLER = "described-api"
"""The caller, its user in OBS and the package."""

BUILD = uploads.build_result(CALLER)
FILE = "leap-ec2.x86_64-15.6.raw.xz"
"""The file of the description's examples."""

ROLE = "arn:aws:iam::123456789012:role/obs-cloudupload"
"""The role of the description's examples. It does not exist."""

END_TIMEOUT = 120
"""Seconds that a job may take until its role has been refused."""


def hold(shell, env, schemathesis):
    secret = secrets.token_hex(32)
    host = urllib.parse.urlsplit(env["CLOUDUPLOAD_URL"]).netloc.rpartition("@")[2]
    own = {**env, "CLOUDUPLOAD_URL": f"http://{CALLER}:{secret}@{host}"}
    administrator = f"{CALLER}-administrator"
    with (
        caller(env, CALLER, {"M": {"one_user": {"S": CALLER}}}, secret),
        caller(env, administrator, {"S": "administer_users"}, secret),
        user(f"http://{administrator}:{secret}@{host}") as token,
        build_result(env),
    ):
        jobs = [failed(own, create(own)), failed(own, submit(own))]
        names = {"CALLER_NAME": CALLER, "CALLER_USER": CALLER, "CALLER_PACKAGE": CALLER}
        variables = {**names, "CALLER_SECRET": secret, "CALLER_JOBS": " ".join(jobs)}
        variables |= {"ADMINISTRATOR_NAME": administrator, "USER_TOKEN": token}
        description = TOP / "docs" / "openapi.yaml"
        command = [schemathesis, "--config-file", HOME / "schemathesis.toml", "run", description]
        python = {"PYTHONPATH": str(HOME), "PYTHONDONTWRITEBYTECODE": "1"}
        shell(*command, "--url", f"http://{host}", env={**shell.env, **python, **variables})


@contextlib.contextmanager
def caller(env, name, rights, secret):
    digest = hashlib.sha256(secret.encode()).hexdigest()
    key = {"name": {"S": name}}
    item = {**key, "rights": rights, "secrets": {"L": [{"S": digest}]}}
    aws.dynamodb(env, "PutItem", TableName=env["CALLERS_TABLE"], Item=item)
    try:
        yield
    finally:
        aws.dynamodb(env, "DeleteItem", TableName=env["CALLERS_TABLE"], Key=key)


@contextlib.contextmanager
def user(api):
    """The token of a user. Users that the requests make are removed, too."""
    before = users(api)
    post(f"{api}/v1/users", {"name": CALLER})
    try:
        yield post(f"{api}/v1/users/{CALLER}/tokens", {"name": "schemathesis"})["token"]
    finally:
        for name in users(api) - before:
            fetch(f"{api}/v1/users/{urllib.parse.quote(name)}", method="DELETE")


def users(api):
    return {user["name"] for user in json.loads(fetch(f"{api}/v1/users"))["users"]}


def post(url, body):
    return json.loads(fetch(url, json.dumps(body).encode(), {"Content-Type": "application/json"}))


@contextlib.contextmanager
def build_result(env):
    """A file in OBS, for jobs that are created."""
    file = Path(env["OBS_ROOT"], *BUILD.values(), FILE)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(512))
    try:
        yield
    finally:
        file.unlink()
        file.parent.rmdir()


def create(env):
    """A job that is created and fails, as its role is refused."""
    query = urllib.parse.urlencode({**BUILD, "filename": FILE, "user": CALLER, "target": "ec2"}, safe=":")
    wishes = {"arn": ROLE, "external_id": "no-secret", "region": env["USER_REGION"]}
    return uploads.job_number(fetch(f"{env['CLOUDUPLOAD_URL']}/cloudupload?{query}", json.dumps(wishes).encode()))


def submit(env):
    """A job that has failed from the start, as the source server's request has no wishes."""
    fields = {**BUILD, "filename": FILE, "user": CALLER, "target": "ec2"}
    xml = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    skeleton = f"<clouduploadjob>{xml}</clouduploadjob>"
    return uploads.job_number(fetch(f"{env['CLOUDUPLOAD_URL']}/cloudupload", skeleton.encode()))


def failed(env, job):
    """The job, once it has failed."""
    deadline = time.monotonic() + END_TIMEOUT
    while uploads.status(env, job)["state"] != "failed":
        if time.monotonic() > deadline:
            raise Failure(f"job {job} has not failed: {uploads.status(env, job)}")
        time.sleep(0.5)
    return job
