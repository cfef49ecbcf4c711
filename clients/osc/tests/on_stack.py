"""An image's way from OBS to an AMI by the real osc, on the local stack.

Its settings are in the environment, and the modules of infra/local/commands on the path: infra/local/check runs it.
"""

import contextlib
import hashlib
import json
import lzma
import os
import secrets
import shutil
import tempfile
import unittest
import urllib.parse
from pathlib import Path

from common import aws
from common.loopback import fetch, without_secret

from tests import fake_obs
from tests.osc import Home

NAME = "osc-on-stack"
"""The user, the administrator, the package and the role."""

PROJECT, FILE = "Cloud:Images", f"{NAME}.x86_64-15.6.raw.xz"
ADDRESS = without_secret(os.environ["CLOUDUPLOAD_URL"])[0].rstrip("/")

ALLOWED = {"Effect": "Allow", "Action": ["ebs:*", "ec2:*"], "Resource": "*"}
"""What the role may: all but the route `import`."""


def disk():
    """A disk of 2 MiB: a boot sector with one partition of Linux, and what only looks like data."""
    partition = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (2048).to_bytes(4, "little")
    sector = bytes(446) + partition + bytes(48) + b"\x55\xaa"
    return sector + bytes(2**20 - len(sector)) + hashlib.shake_256(b"disk").digest(2**20)


def iam(action, **parameters):
    account = os.environ["USER_ACCOUNT"]
    headers = {"Authorization": aws.authorization(account, "us-east-1", "iam")}
    form = urllib.parse.urlencode({"Action": action, "Version": "2010-05-08", "RoleName": NAME, **parameters})
    fetch(os.environ["AWS_ENDPOINT_URL"], form.encode(), headers)


def document(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextlib.contextmanager
def role(external_id):
    """A role that trusts the uploader with this external ID."""
    principal = {"AWS": f"arn:aws:iam::{os.environ['SERVICE_ACCOUNT']}:root"}
    condition = {"StringEquals": {"sts:ExternalId": external_id}}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, "Condition": condition}
    iam("CreateRole", AssumeRolePolicyDocument=document(trust))
    iam("PutRolePolicy", PolicyName="uploads", PolicyDocument=document(ALLOWED))
    try:
        yield f"arn:aws:iam::{os.environ['USER_ACCOUNT']}:role/{NAME}"
    finally:
        iam("DeleteRolePolicy", PolicyName="uploads")
        iam("DeleteRole")


@contextlib.contextmanager
def token():
    """The token of a new user, whom an administrator makes."""
    secret = secrets.token_hex(32)
    key = {"name": {"S": NAME}}
    rights = {
        "rights": {"S": "administer_users"},
        "secrets": {"L": [{"S": hashlib.sha256(secret.encode()).hexdigest()}]},
    }
    aws.dynamodb(os.environ, "PutItem", TableName=os.environ["CALLERS_TABLE"], Item={**key, **rights})
    users = f"{ADDRESS.replace('://', f'://{NAME}:{secret}@')}/v1/users"
    is_json = {"Content-Type": "application/json"}
    try:
        fetch(users, json.dumps({"name": NAME}).encode(), is_json)
        made = fetch(f"{users}/{NAME}/tokens", json.dumps({"name": "test"}).encode(), is_json)
        yield json.loads(made)["token"]
        fetch(f"{users}/{NAME}", method="DELETE")
    finally:
        aws.dynamodb(os.environ, "DeleteItem", TableName=os.environ["CALLERS_TABLE"], Key=key)


@contextlib.contextmanager
def build_result():
    file = Path(os.environ["OBS_ROOT"], PROJECT, "images", "x86_64", NAME, FILE)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(lzma.compress(disk()))
    try:
        yield
    finally:
        shutil.rmtree(file.parent)


class OnStack(unittest.TestCase):
    def test_from_a_token_to_an_ami(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(build_result())
            obs = stack.enter_context(fake_obs.Obs(os.environ["OBS_ROOT"]))
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            self.home = Home(folder, obs.url, fake_obs.USER, fake_obs.PASSWORD)
            self.home.env |= {"OSC_CLOUDUPLOAD_URL": ADDRESS, "OSC_CLOUDUPLOAD_TOKEN": stack.enter_context(token())}

            # Nothing is connected yet.
            self.assertIn("no role is connected", self.fails("create", PROJECT, NAME))
            shown = self.home.osc("setup", "--json")
            setup = json.loads(shown.stdout)
            self.assertIn(setup["external_id"], shown.stderr)
            self.assertIn(os.environ["SERVICE_ACCOUNT"], shown.stderr)
            self.assertTrue(setup["quick_create_url"].endswith(setup["external_id"]), setup)

            arn = stack.enter_context(role(setup["external_id"]))
            tried = self.succeeds("setup", "--role", arn, "--region", os.environ["USER_REGION"])
            self.assertRegex(tried, r"direct +yes\n")
            self.assertRegex(tried, r"import +(no|perhaps)")
            self.assertIn("Uploads can succeed.", tried)

            # A job that is killed, and another try of it.
            ami_name = f"osc {secrets.token_hex(4)}"
            number = self.succeeds("create", PROJECT, NAME, "--ami-name", ami_name).strip()
            self.assertEqual(self.succeeds("kill", number), f"job {number}: failed, killed\n")
            self.assertIn("killed", self.fails("watch", number))
            ami = self.succeeds("retry", number, "--watch").strip()
            self.assertRegex(ami, r"^ami-[0-9a-f]{17}$")

            again, killed = json.loads(self.succeeds("list", "--json"))
            self.assertEqual((again["state"], again["ami"], again["ami_name"]), ("succeeded", ami, ami_name))
            self.assertEqual((str(killed["id"]), killed["state"], killed["details"]), (number, "failed", "killed"))
            self.assertIn(f"Created image: {ami}", self.succeeds("log", "-f"))
            self.assertIn(ami, self.succeeds("status"))
            self.assertEqual(self.succeeds("watch"), f"{ami}\n")

            # The image is deleted, and its name is free for another try.
            said = self.succeeds("delete-image", "--yes")
            self.assertEqual(said, f"job {again['id']}: {ami} and its snapshot are deleted\n")
            self.assertIn(f"Removed the image {ami} and its snapshot snap-", self.succeeds("log"))
            self.assertEqual(self.succeeds("delete-image"), said)
            self.assertIn("was deleted", self.fails("watch"))
            self.assertNotIn(self.succeeds("retry", "--watch").strip(), ("", ami))

            # The image comes from here: from OBS by osc, and then from a file.
            name = f"osc pushed {secrets.token_hex(4)}"
            self.assertIn("ami-", self.succeeds("create", "--push", PROJECT, NAME, "--ami-name", name, "--watch"))
            file = Path(folder, "local.raw")
            file.write_bytes(disk())
            words = ["--file", file, "--arch", "x86_64", "--name", "local-image", "--ami-name", f"{name} from a file"]
            self.assertIn("ami-", self.succeeds("create", "--push", *words, "--watch"))
            pushed = json.loads(self.succeeds("status", "--json"))
            self.assertEqual((pushed["project"], pushed["size"]), ("local", len(disk())))

            # What the service refuses, it refuses in its own words.
            self.assertIn("'Secret'", self.fails("create", "Secret", NAME, "images", "x86_64", FILE))
            self.assertEqual(self.fails("status", "99999"), "no such job\n")
            self.assertIn("token", self.fails("list", env={"OSC_CLOUDUPLOAD_TOKEN": f"cloudup_{NAME}_{'0' * 64}"}))

    def succeeds(self, *words):
        done = self.home.osc(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def fails(self, *words, **options):
        done = self.home.osc(*words, **options)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        return done.stderr
