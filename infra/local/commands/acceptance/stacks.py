"""Stacks of CloudFormation, and what they leave when they are deleted."""

import time

from botocore.exceptions import ClientError

from common.failure import Failure

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
TIMEOUT = 1800
PAUSE = 2


class Stack:
    """A stack by its name."""

    def __init__(self, account, name):
        self.account, self.name = account, name
        self.client = account.client("cloudformation")

    def create(self, parameters, *, body=None, url=None, run):
        """Creates the stack and returns its outputs. Everything of it has the tag of the run."""
        template = {"TemplateBody": body} if body else {"TemplateURL": url}
        self.client.create_stack(
            StackName=self.name,
            Parameters=[{"ParameterKey": key, "ParameterValue": str(value)} for key, value in parameters.items()],
            Capabilities=CAPABILITIES,
            Tags=[{"Key": "obs:acceptance", "Value": run}],
            **template,
        )
        status = self.wait()
        if status != "CREATE_COMPLETE":
            raise Failure(f"the stack {self.name} is {status}: {self.reasons()}")
        return self.outputs()

    def describe(self):
        """None if there is no such stack."""
        try:
            (found,) = self.client.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":
                return None
            raise
        return None if found["StackStatus"] == "DELETE_COMPLETE" else found

    def outputs(self):
        return {output["OutputKey"]: output["OutputValue"] for output in self.describe().get("Outputs", [])}

    def wait(self):
        """Until nothing is in progress. Returns the status, or "DELETE_COMPLETE" once there is no such stack."""
        deadline = time.monotonic() + TIMEOUT
        while (found := self.describe()) and found["StackStatus"].endswith("_IN_PROGRESS"):
            if time.monotonic() > deadline:
                raise Failure(f"the stack {self.name} is still {found['StackStatus']}")
            time.sleep(PAUSE)
        return found["StackStatus"] if found else "DELETE_COMPLETE"

    def reasons(self):
        """What CloudFormation says of the resources that failed."""
        events = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        return "; ".join(
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
            for event in reversed(events)
            if event.get("ResourceStatus", "").endswith("_FAILED")
        )

    def resources(self):
        """The physical ids by logical ids. A resource that was not made has none."""
        return {found["LogicalResourceId"]: found["PhysicalResourceId"] for found in self.made()}

    def resources_of(self, kind):
        """The physical ids of the resources of a type."""
        return [found["PhysicalResourceId"] for found in self.made() if found["ResourceType"] == kind]

    def made(self):
        pages = self.client.get_paginator("list_stack_resources").paginate(StackName=self.name)
        found = [found for page in pages for found in page["StackResourceSummaries"]]
        return [one for one in found if one.get("PhysicalResourceId")]

    def delete(self):
        if self.describe() is None:
            return
        self.wait()
        self.client.delete_stack(StackName=self.name)
        status = self.wait()
        if status != "DELETE_COMPLETE":
            raise Failure(f"the stack {self.name} is {status}: {self.reasons()}")
