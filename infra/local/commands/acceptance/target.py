"""Where a run takes place, and under which names."""

import re
import secrets
import time
from dataclasses import dataclass, field

import boto3

from acceptance.accounts import Account

NAME = re.compile(r"acceptance-\d{6}-\d{6}-[0-9a-f]{4}")


def new_name():
    """Unique for each run: all that a run makes is found by it."""
    return time.strftime("acceptance-%y%m%d-%H%M%S-") + secrets.token_hex(2)


@dataclass(frozen=True)
class Names:
    """The names of the stacks of a run."""

    run: str

    @property
    def service(self):
        return self.run

    @property
    def obs(self):
        return f"{self.run}-obs"

    @property
    def user(self):
        return f"{self.run}-user"

    @property
    def roles(self):
        return f"{self.run}-roles"

    @property
    def network(self):
        return f"{self.run}-network"


@dataclass
class Target:
    """AWS, or an emulator of it."""

    names: Names
    service: Account
    user: Account
    encrypted_region: str | None
    secrets: dict = field(default_factory=lambda: {"external_id": secrets.token_hex(24), "obs": secrets.token_hex(24)})

    where = "AWS"
    emulated = False
    """Whether there are neither instances that boot, nor reports of Lambda."""

    end_seconds = 3600
    """How long a job may take. Users report 5 to 20 minutes for an import, and more."""

    clean_up_seconds = 600
    pause_seconds = 3
    """Between two looks at a job."""

    def obs_url(self, outputs):
        """Where the functions reach the stand-in for OBS."""
        return outputs["Url"].replace("https://", f"https://uploader:{self.secrets['obs']}@")

    def api_url(self, outputs, _api_id):
        return outputs["ApiUrl"]

    def object_url(self, url):
        """Where an object of S3 is reached."""
        return url

    def regions(self):
        """The regions of the uploads."""
        return list(dict.fromkeys(filter(None, (self.user.region, self.encrypted_region))))

    def user_bucket(self, region):
        """The bucket that the route import makes in the user's account."""
        return f"obs-cloudupload-{self.user.id}-{region}"

    def public_access_is_blocked(self):
        """Whether no bucket of the service's account can be public (S3 user guide, "Blocking public access")."""
        control = self.service.client("s3control")
        try:
            found = control.get_public_access_block(AccountId=self.service.id)["PublicAccessBlockConfiguration"]
        except control.exceptions.NoSuchPublicAccessBlockConfiguration:
            return False
        return bool(found.get("BlockPublicPolicy") or found.get("RestrictPublicBuckets"))


def on_aws(options, name):
    service = Account(boto3.Session(profile_name=options.service_profile, region_name=options.region))
    user = Account(boto3.Session(profile_name=options.user_profile, region_name=options.user_region or options.region))
    return Target(Names(name), service, user, options.encrypted_region)
