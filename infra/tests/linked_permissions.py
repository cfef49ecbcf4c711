"""No function's role allows a call that the function does not make.

A call is one that the function's binary has linked: each call of AWS in the sources names itself to `Failure::of`, and
the linker leaves out what cannot be reached from the function's `main`. What is linked may still never be called, so
this finds permissions of whole features that a function lacks, and no others. In functions that work in users'
accounts, the session policies name many calls of S3, EC2 and EBS, so there it finds fewer. That a permission is missing
shows on the local stack, which enforces IAM.

The functions have to be built (`make build`):

    target/tools/sam/bin/python -B -m unittest discover -s infra/tests -t infra -p linked_permissions.py
"""

import os
import re
import unittest
from pathlib import Path

from tests.template import RESOURCES, TOP, of_type

BINARIES = Path(os.environ.get("FUNCTIONS", TOP / "target" / "quick"))

NEEDED = {
    "dynamodb:TransactWriteItems": [
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
    ],
    "ebs:StartSnapshot": ["ebs:StartSnapshot", "ec2:CreateTags"],
    "s3:CompleteMultipartUpload": ["s3:PutObject"],
    "s3:CreateMultipartUpload": ["s3:PutObject"],
    "s3:HeadBucket": ["s3:ListBucket"],
    "s3:HeadObject": ["s3:GetObject"],
    "s3:ListMultipartUploads": ["s3:ListBucketMultipartUploads"],
    "s3:ListParts": ["s3:ListMultipartUploadParts"],
    "s3:UploadPart": ["s3:PutObject"],
}
"""The permissions that a call needs, where they are not called as the call (Service Authorization Reference; DynamoDB
developer guide, "Using IAM with DynamoDB transactions"; S3 user guide, "Required permissions for Amazon S3 API
operations")."""

BY_LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
"""What Lambda itself does with a function's role, for its log and its traces."""

IN_VPC = "VpcPolicy"
"""What Lambda itself does with a function's role, for its network interfaces."""


def calls_in_sources():
    """The calls that the sources name, as IAM does."""
    sources = (TOP / "functions").glob("*/src/**/*.rs")
    named = (re.findall(r'Failure::of\(\s*"(\w+:\w+)"', source.read_text()) for source in sources)
    return {call for calls in named for call in calls}


def allowed(statements):
    for statement in statements:
        if statement["Effect"] == "Allow":
            actions = statement["Action"]
            yield from [actions] if isinstance(actions, str) else actions


def policies(role):
    """The documents of a role: its own, the managed ones that it names, and those that name it."""
    for policy in RESOURCES[role]["Properties"].get("Policies", []):
        policy = policy["Fn::If"][1] if "Fn::If" in policy else policy
        yield policy["PolicyDocument"]
    named = str(RESOURCES[role]["Properties"].get("ManagedPolicyArns", []))
    for name, policy in of_type("AWS::IAM::ManagedPolicy").items():
        if name != IN_VPC and (f"'{name}'" in named or {"Ref": role} in policy.get("Roles", [])):
            yield policy["PolicyDocument"]


def permissions(role):
    return {action for document in policies(role) for action in allowed(document["Statement"])}


def functions():
    """Role and binary of each function that is built."""
    for name, function in of_type("AWS::Serverless::Function").items():
        built = RESOURCES[name]["Metadata"].get("BuildProperties")
        if built:
            (role, _attribute) = function["Role"]["Fn::GetAtt"]
            yield role, BINARIES / built["Binary"]


class LinkedPermissions(unittest.TestCase):
    def test_no_role_allows_what_its_function_has_not_linked(self):
        calls = calls_in_sources()
        self.assertGreater(len(calls), 30)
        for role, binary in functions():
            with self.subTest(role):
                code = binary.read_bytes()
                linked = {call for call in calls if call.encode() in code}
                needed = {action for call in linked for action in NEEDED.get(call, [call])}
                self.assertEqual(permissions(role) - needed - BY_LAMBDA, set())

    def test_permissions_that_calls_need_are_known_for_each_call_without_its_own(self):
        self.assertLessEqual(set(NEEDED), calls_in_sources())


if __name__ == "__main__":
    unittest.main()
