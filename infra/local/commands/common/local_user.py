"""A user with a token on the local stack, made as docs/operators.md tells operators to ("Let users in").

`env` are the settings of the stack.
"""

import contextlib
import hashlib
import json
import secrets
import urllib.parse
from typing import NamedTuple

from common import aws
from common.failure import Failure
from common.loopback import fetch, without_secret

ADMINISTRATOR = "local-administrator"

ACTIONS = [
    "ec2:DescribeImages",
    "ec2:DescribeSnapshots",
    "ec2:RegisterImage",
    "ec2:CreateTags",
    "ec2:DeregisterImage",
    "ec2:DeleteSnapshot",
    "ebs:StartSnapshot",
    "ebs:PutSnapshotBlock",
    "ebs:CompleteSnapshot",
]
"""What the role may do: what the route `direct` needs."""


class LocalUser(NamedTuple):
    token: str
    role: str
    """A role that the user can connect: the console of AWS, where users make theirs, is not on this machine."""


def make(env, name):
    """A new user in place of an earlier one of that name."""
    with administrator(env) as api:
        remove_user(api, name)
        post(f"{api}/v1/users", {"name": name})
        token = post(f"{api}/v1/users/{name}/tokens", {"name": "local"})["token"]
    return LocalUser(token, make_role(env, f"{name}-{secrets.token_hex(4)}", setup(env, token)))


def remove(env, name):
    with administrator(env) as api:
        remove_user(api, name)


def is_known(env, token):
    """Whether a token still counts."""
    try:
        setup(env, token)
    except Failure:
        return False
    return True


def page_url(env):
    return without_secret(env["CLOUDUPLOAD_URL"])[0] + "/"


def setup(env, token):
    """What the user needs to make a role."""
    return json.loads(fetch(f"{page_url(env)}v1/me/role", headers={"Authorization": f"Bearer {token}"}))


@contextlib.contextmanager
def administrator(env):
    """The URL by which users are made, until the end of the block."""
    secret = secrets.token_hex(32)
    key = {"name": {"S": ADMINISTRATOR}}
    digest = {"S": hashlib.sha256(secret.encode()).hexdigest()}
    item = {**key, "rights": {"S": "administer_users"}, "secrets": {"L": [digest]}}
    aws.dynamodb(env, "PutItem", TableName=env["CALLERS_TABLE"], Item=item)
    try:
        yield page_url(env).rstrip("/").replace("://", f"://{ADMINISTRATOR}:{secret}@", 1)
    finally:
        aws.dynamodb(env, "DeleteItem", TableName=env["CALLERS_TABLE"], Key=key)


def remove_user(api, name):
    if name in {user["name"] for user in json.loads(fetch(f"{api}/v1/users"))["users"]}:
        fetch(f"{api}/v1/users/{name}", method="DELETE")


def post(url, body):
    return json.loads(fetch(url, json.dumps(body).encode(), {"Content-Type": "application/json"}))


def make_role(env, name, setup):
    trusted = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{setup['service_account']}:root"},
        "Condition": {"StringEquals": {"sts:ExternalId": setup["external_id"]}},
    }
    allowed = {"Effect": "Allow", "Action": ACTIONS, "Resource": "*"}
    iam(env, "CreateRole", RoleName=name, AssumeRolePolicyDocument=document(trusted))
    iam(env, "PutRolePolicy", RoleName=name, PolicyName="uploads", PolicyDocument=document(allowed))
    return f"arn:aws:iam::{env['USER_ACCOUNT']}:role/{name}"


def document(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def iam(env, action, **parameters):
    """A call in the user's account."""
    form = urllib.parse.urlencode({"Action": action, "Version": "2010-05-08", **parameters})
    headers = {
        "Authorization": aws.authorization(env["USER_ACCOUNT"], "us-east-1", "iam"),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    fetch(env["AWS_ENDPOINT_URL"] + "/", form.encode(), headers)
