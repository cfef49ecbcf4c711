"""The roles in the user's account."""

import copy
import json
import urllib.parse

from acceptance.stacks import Stack
from common.failure import Failure
from common.paths import TOP

TAKEN = "ec2:RegisterImage"
"""What the role lacks that is tried: every route needs it."""


def deploy(target):
    """Deploys user-account.yaml and the other roles. Returns the outputs of both, in one."""
    trust = {"ServiceAccountId": target.service.id, "ExternalId": target.secrets["external_id"]}
    infra, run = TOP / "infra", target.names.run
    template = (infra / "user-account.yaml").read_text()
    outputs = Stack(target.user, target.names.user).create({**trust, "ImportRoute": "yes"}, body=template, run=run)
    template = (infra / "acceptance" / "roles.yaml").read_text()
    outputs |= Stack(target.user, target.names.roles).create(trust, body=template, run=run)
    give_less(target.user.client("iam"), name_of(outputs["RoleArn"]), name_of(outputs["LackingRole"]))
    return outputs


def name_of(arn):
    return arn.rpartition("/")[2]


def give_less(iam, whole, lacking):
    """Gives a role the policies of another, less one action."""
    taken = 0
    for name in iam.list_role_policies(RoleName=whole)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=whole, PolicyName=name)["PolicyDocument"]
        if isinstance(document, str):  # as it comes over the wire (IAM API reference, GetRolePolicy)
            document = json.loads(urllib.parse.unquote(document))
        less = without(document, TAKEN)
        taken += less != document
        if less["Statement"]:
            iam.put_role_policy(RoleName=lacking, PolicyName=name, PolicyDocument=json.dumps(less))
    if not taken:
        raise Failure(f"no policy of the role {whole} has {TAKEN}")


def without(document, action):
    """A policy without one action. A statement that has no other is left out."""
    less = copy.deepcopy(document)
    for statement in less["Statement"]:
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else actions
        statement["Action"] = [one for one in actions if one != action]
    less["Statement"] = [statement for statement in less["Statement"] if statement["Action"]]
    return less


def empty(target):
    """Takes from the role what CloudFormation has not given to it: else it does not delete the role."""
    stack = Stack(target.user, target.names.roles)
    if stack.describe() is None:
        return
    role, iam = stack.resources().get("LackingRole"), target.user.client("iam")
    if not role:
        return
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=name)
