"""The emulated AWS on this machine."""

import contextlib
import os
import urllib.parse

import boto3

from acceptance.accounts import Account
from acceptance.target import Names, Target
from common.loopback import no_proxy
from stack import running, tools
from stack.deployment import REGION, USER_ACCOUNT, USER_REGION

ENCRYPTED_REGION = "eu-west-1"


class Emulator(Target):
    where = "emulator"
    emulated = True
    end_seconds = 180
    clean_up_seconds = 120
    pause_seconds = 1

    def at(self, options, data):
        """Where the emulator is reached: it answers HTTP APIs under its own address."""
        self.endpoint, self.data = f"http://127.0.0.1:{options.port}", data
        self.api = f"http://127.0.0.1:{options.api_port}"
        return self

    def obs_url(self, outputs):
        host = self.endpoint.removeprefix("http://")
        return f"http://uploader:{self.secrets['obs']}@{host}/_aws/execute-api/{outputs['ApiId']}/$default"

    def api_url(self, _outputs, api_id):
        # Its front serves one HTTP API: this one.
        (self.data / "api-id").write_text(api_id)
        return self.api

    def object_url(self, url):
        parts = urllib.parse.urlsplit(url)
        return f"{self.endpoint}/{parts.hostname.partition('.')[0]}{parts.path}"

    def public_access_is_blocked(self):
        return False


def account(endpoint, key, region):
    # An access key of twelve digits is the root of that account (infra/local/emulator/README.md).
    return Account(boto3.Session(key, "test", region_name=region), endpoint)


@contextlib.contextmanager
def emulator(options, name):
    """Starts it with empty accounts, and ends it."""
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = no_proxy()
    tools.install("emulator")
    folder = options.dir.resolve()
    running.down(folder, clean=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        running.emulator_service(folder, options, None).up()
        endpoint = f"http://127.0.0.1:{options.port}"
        service, user = account(endpoint, "test", REGION), account(endpoint, USER_ACCOUNT, USER_REGION)
        user.client("ec2", ENCRYPTED_REGION).enable_ebs_encryption_by_default()
        yield Emulator(Names(name), service, user, ENCRYPTED_REGION).at(options, running.emulator_data(folder))
    finally:
        running.down(folder, clean=True)
