"""The two accounts, and the AWS that they are in."""

import boto3
from botocore.config import Config

from common.failure import Failure

USER_ROLES = ("obs-cloudupload", "obs-cloudupload-vmimport")
"""The roles of user-account.yaml, whose names are fixed."""


class Account:
    """An account, as its administrator reaches it."""

    def __init__(self, session, endpoint=None):
        self.session, self.endpoint = session, endpoint
        self.region = session.region_name
        self.id = self.client("sts").get_caller_identity()["Account"]

    def client(self, service, region=None):
        # An emulator has one host for all buckets.
        style = {"s3": {"addressing_style": "path"}} if self.endpoint else {}
        config = Config(retries={"mode": "standard", "max_attempts": 8}, **style)
        return self.session.client(service, region_name=region, endpoint_url=self.endpoint, config=config)

    def assume(self, role, external_id):
        """The account of a role of a user, as the uploader assumes it: with all that the role may do."""
        answer = self.client("sts").assume_role(RoleArn=role, RoleSessionName="acceptance", ExternalId=external_id)
        given = answer["Credentials"]
        session = boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=self.region
        )
        return Account(session, self.endpoint)


def require_two(service, user):
    if service.id == user.id:
        raise Failure(f"both profiles are of account {user.id}: the uploader refuses roles of its own account")


def require_no_role(user):
    """user-account.yaml can be deployed once in an account."""
    iam = user.client("iam")
    for name in USER_ROLES:
        try:
            iam.get_role(RoleName=name)
        except iam.exceptions.NoSuchEntityException:
            continue
        raise Failure(f"account {user.id} has the role {name} already: take an account without user-account.yaml")
