"""The open questions: what the docs assume of AWS and could not be known without it. Each has a name, under which the
docs refer to it, and a probe."""

import base64
import hashlib
import os
import re
import secrets
import urllib.parse
from dataclasses import dataclass
from typing import Callable

from botocore.exceptions import ClientError

from acceptance.report import Finding, NotTried
from acceptance.snapshots import BLOCK
from acceptance.uploader import Answer, request
from common.paths import TOP

NO_SNAPSHOT = "snap-00000000000000000"
"""A snapshot that does not exist, with an id that could: that of the preflight (account/src/preflight/probes.rs)."""

DENIED = ("UnauthorizedOperation", "AccessDeniedException", "AccessDenied", "403", "Forbidden")


@dataclass(frozen=True)
class Question:
    name: str
    page: str
    """The page that has the assumption."""

    asked: str
    assumed: str
    probe: Callable


class Witness:
    """What the probes need: the target, the deployment, the user's roles, and the uploads that succeeded."""

    def __init__(self, target, deployed, roles, uploads):
        self.target, self.deployed, self.roles, self.uploads = target, deployed, roles, uploads
        self.whole = target.service.assume(roles["RoleArn"], target.secrets["external_id"])
        self.powerless = target.service.assume(roles["PowerlessRole"], target.secrets["external_id"])

    def both(self, service, call):
        """(code without the permission, code with it) of a call under the user's roles."""
        region = self.target.user.region
        return code_of(lambda: call(self.powerless.client(service, region))), code_of(
            lambda: call(self.whole.client(service, region))
        )

    def upload(self, route):
        for upload in self.uploads:
            if upload.route == route and upload.ami and upload.region == self.target.user.region:
                return upload
        raise NotTried(f"the upload by {route} made no AMI")


def code_of(call):
    """The error's code, or "no error"."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "no error"


def denied_first(witness, service, call):
    without, granted = witness.both(service, call)
    found = f"without the permission {without}, with it {granted}"
    return Finding(without in DENIED and granted not in DENIED and granted != "no error", found)


def start_snapshot(witness):
    tags = [{"Key": "obs:job", "Value": "acceptance/probe"}]
    return denied_first(
        witness,
        "ebs",
        lambda ebs: ebs.start_snapshot(ParentSnapshotId=NO_SNAPSHOT, VolumeSize=1, Timeout=10, Tags=tags),
    )


def block_call(ebs, snapshot):
    data = bytes(BLOCK)
    return ebs.put_snapshot_block(
        SnapshotId=snapshot,
        BlockIndex=0,
        BlockData=data,
        DataLength=BLOCK,
        Checksum=base64.b64encode(hashlib.sha256(data).digest()).decode(),
        ChecksumAlgorithm="SHA256",
    )


def put_block(witness):
    return denied_first(witness, "ebs", lambda ebs: block_call(ebs, NO_SNAPSHOT))


def complete_snapshot(witness):
    return denied_first(
        witness, "ebs", lambda ebs: ebs.complete_snapshot(SnapshotId=NO_SNAPSHOT, ChangedBlocksCount=0)
    )


def register_image(witness):
    mapping = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": NO_SNAPSHOT}}]
    return denied_first(
        witness,
        "ec2",
        lambda ec2: ec2.register_image(
            Name="acceptance probe", RootDeviceName="/dev/sda1", BlockDeviceMappings=mapping, DryRun=True
        ),
    )


def missing_bucket(witness):
    """The role's permission has the condition aws:ResourceAccount, which a missing bucket does not meet."""
    bucket = f"obs-cloudupload-{witness.target.user.id}-{secrets.token_hex(8)}"
    code = code_of(lambda: witness.whole.client("s3", witness.target.user.region).head_bucket(Bucket=bucket))
    return Finding(code == "403", f"HeadBucket answers {code}")


def late_writer(witness):
    ebs = witness.target.user.client("ebs")
    ec2 = witness.target.user.client("ec2")
    tags = [{"Key": "obs:acceptance", "Value": witness.target.names.run}]
    snapshot = ebs.start_snapshot(VolumeSize=1, Timeout=10, Tags=tags)["SnapshotId"]
    ec2.delete_snapshot(SnapshotId=snapshot)
    code = code_of(lambda: block_call(ebs, snapshot))
    return Finding(code != "no error", f"PutSnapshotBlock on a deleted snapshot: {code}")


def packed_policy(witness):
    """STS tells how much of its limit a session policy takes; the functions' log has it."""
    logs = witness.target.service.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=witness.deployed.resources["FunctionLogs"], filterPattern='"packed_policy_percent"'
    )
    found = [
        int(match[1])
        for page in pages
        for event in page["events"]
        if (match := re.search(r"packed_policy_percent\D{1,12}(\d+)", event["message"]))
    ]
    if not found:
        return Finding(False, "no line of the functions' log has packed_policy_percent")
    return Finding(max(found) <= 100, f"{max(found)} % at most, in {len(found)} sessions")


def import_time(witness):
    upload = witness.upload("import")
    return Finding(True, f"{upload.seconds:.0f} s from the slot to the AMI, for a disk of 64 MiB")


def disabled_ami(witness):
    upload = witness.upload("copy")
    ec2 = witness.target.user.client("ec2")
    (image,) = ec2.describe_images(ImageIds=[upload.ami])["Images"]
    ec2.disable_image(ImageId=upload.ami)
    try:
        try:
            listed = len(ec2.describe_images(ImageIds=[upload.ami])["Images"])
        except ClientError as error:
            listed = error.response["Error"]["Code"]
        name = code_of(lambda: register_again(ec2, image))
    finally:
        ec2.enable_image(ImageId=upload.ami)
    ok = listed in (0, "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable") and name == "InvalidAMIName.Duplicate"
    return Finding(ok, f"DescribeImages by its id: {listed}; another AMI of that name: {name}")


def register_again(ec2, image):
    """Registers an AMI under a name that is taken. If that works, the AMI goes at once."""
    (mapping,) = image["BlockDeviceMappings"][:1]
    made = ec2.register_image(
        Name=image["Name"],
        RootDeviceName=image["RootDeviceName"],
        Architecture=image["Architecture"],
        VirtualizationType="hvm",
        BlockDeviceMappings=[
            {"DeviceName": mapping["DeviceName"], "Ebs": {"SnapshotId": mapping["Ebs"]["SnapshotId"]}}
        ],
    )
    ec2.deregister_image(ImageId=made["ImageId"])


def status_of(url, data=None, method=None):
    try:
        request(url, data, method)
    except Answer as answer:
        return answer.status
    except OSError as error:
        return f"the connection ends: {error}"
    return 200


def long_request(witness):
    status = status_of(f"{witness.deployed.uploader.url}/cloudupload?{'name=1&' * 1600}name=1")
    return Finding(status in (414, 431), f"a request line of 11 KB: {status}")


def large_put(witness):
    status = status_of(f"{witness.deployed.uploader.url}/cloudupload/1", os.urandom(10 * 1024 * 1024 + 1), "PUT")
    return Finding(status == 413, f"a PUT of 10 MiB and a byte: {status}")


def user_template(witness):
    link = witness.deployed.outputs.get("UserQuickCreateUrl")
    if not link:
        raise NotTried("S3's Block Public Access is on for the whole account, so the stack has no link")
    query = urllib.parse.urlsplit(link).fragment.partition("?")[2]
    url = witness.target.object_url(urllib.parse.parse_qs(query)["templateURL"][0])
    same = request(url) == (TOP / "infra" / "user-account.yaml").read_text()
    other = status_of(url.removesuffix("user-account.yaml") + "other")
    found = f"the template is {'the same' if same else 'another'}, other objects: {other}"
    return Finding(same and other == 403, found)


QUESTIONS = (
    Question(
        "start-snapshot-permission",
        "docs/architecture.md",
        "Does EBS check the permission before it looks for StartSnapshot's parent snapshot?",
        "AccessDeniedException without the permission, another error with it",
        start_snapshot,
    ),
    Question(
        "put-block-permission",
        "docs/architecture.md",
        "Does EBS check the permission before it looks for PutSnapshotBlock's snapshot?",
        "AccessDeniedException without the permission, another error with it",
        put_block,
    ),
    Question(
        "complete-snapshot-permission",
        "docs/architecture.md",
        "Does EBS check the permission before it looks for CompleteSnapshot's snapshot?",
        "AccessDeniedException without the permission, another error with it",
        complete_snapshot,
    ),
    Question(
        "dry-run-permission",
        "docs/architecture.md",
        "Does EC2 check the permission before it looks for what a dry run of RegisterImage names?",
        "UnauthorizedOperation without the permission, another error with it",
        register_image,
    ),
    Question(
        "missing-bucket",
        "docs/architecture.md",
        "What does HeadBucket answer for a missing bucket, to a role with a condition on aws:ResourceAccount?",
        "403",
        missing_bucket,
    ),
    Question(
        "late-writer",
        "docs/architecture.md",
        "Does a snapshot that was deleted while it was pending take blocks?",
        "an error",
        late_writer,
    ),
    Question(
        "packed-policy",
        "docs/architecture.md",
        "How much of STS's limit do the session policies take?",
        "100 % at most",
        packed_policy,
    ),
    Question(
        "large-put",
        "docs/architecture.md",
        "Does API Gateway refuse a PUT of more than 10 MB?",
        "413",
        large_put,
    ),
    Question(
        "import-time",
        "README.md",
        "How long does VM Import take?",
        "a time",
        import_time,
    ),
    Question(
        "long-request",
        "docs/operators.md",
        "Does API Gateway refuse a request line of more than 10,240 bytes?",
        "414 or 431",
        long_request,
    ),
    Question(
        "user-template",
        "docs/operators.md",
        "Can the template behind the quick-create link be read without credentials, and nothing else in its bucket?",
        "the file of the repository, and 403 for another object",
        user_template,
    ),
    Question(
        "disabled-ami",
        "infra/local/emulator/README.md",
        "Is a disabled AMI left out when it is asked for by its id, and does its name stay taken?",
        "no AMI, and InvalidAMIName.Duplicate",
        disabled_ami,
    ),
)


def ask_all(report, witness):
    for question in QUESTIONS:
        report.check(
            "Questions", f"{question.name}: {question.asked}", question.assumed, lambda: question.probe(witness)
        )
