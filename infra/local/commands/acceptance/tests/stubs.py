"""Accounts whose clients answer what a test says. botocore holds parameters and answers against AWS's own models."""

import contextlib
from types import SimpleNamespace

import boto3
from botocore.stub import Stubber

from acceptance.target import Names


class StubbedAccount:
    region = "eu-central-1"

    def __init__(self, account="111122223333"):
        self.id, self.stubs = account, {}

    def client(self, service, region=None):
        return self.stub(service).client

    def stub(self, service):
        if service not in self.stubs:
            client = boto3.client(
                service, region_name=self.region, aws_access_key_id="test", aws_secret_access_key="test"
            )
            self.stubs[service] = Stubber(client)
        return self.stubs[service]

    @contextlib.contextmanager
    def stubbed(self):
        """All that was stubbed has to be called, in its order."""
        for stub in self.stubs.values():
            stub.activate()
        yield self
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()


class Free:
    """A guard that lets everything pass, and counts it."""

    def __init__(self):
        self.counts = {}

    def spend(self, item, count):
        self.counts[item] = self.counts.get(item, 0) + count


def target(**fields):
    return SimpleNamespace(names=Names("acceptance-261127-120000-abcd"), emulated=False, **fields)
