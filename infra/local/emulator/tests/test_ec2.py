"""Images, snapshots and tags."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError
from harness import (
    LAUNCHER,
    MIB,
    REGION,
    STRANGER,
    USER,
    Case,
    ImportCase,
    emulator,
    image_arguments,
    noise,
    policy,
    user,
)


def snapshot_of_a_volume(account: str = USER) -> str:
    """Made by ministack itself, at once."""
    ec2 = emulator.client("ec2", account)
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    return ec2.create_snapshot(VolumeId=volume)["SnapshotId"]


class Images(ImportCase):
    BUCKET, ROLE = "image-bucket", "image-role"

    def ebs(self, **ebs: Any) -> list[dict[str, Any]]:
        return [{"DeviceName": "/dev/xvda", "Ebs": ebs}]

    def test_an_image_keeps_what_it_was_told(self) -> None:
        snapshot = self.snapshot()
        tags = [{"Key": "obs:package", "Value": "leap & <more>"}]
        image = self.ec2.register_image(
            **image_arguments(
                "kept",
                snapshot,
                Architecture="arm64",
                BootMode="uefi",
                EnaSupport=True,
                ImdsSupport="v2.0",
                TpmSupport="v2.0",
                SriovNetSupport="simple",
                TagSpecifications=[{"ResourceType": "image", "Tags": tags}],
            )
        )["ImageId"]
        for asked in (
            {"ImageIds": [image]},
            {"Owners": ["self"], "Filters": [{"Name": "name", "Values": ["kept"]}]},
            {"Owners": ["self"], "Filters": [{"Name": "tag:obs:package", "Values": ["leap & <more>"]}]},
        ):
            found = self.ec2.describe_images(**asked)["Images"]
            self.assertEqual([each["ImageId"] for each in found], [image])
        expected = {
            "Architecture": "arm64",
            "BootMode": "uefi",
            "EnaSupport": True,
            "ImdsSupport": "v2.0",
            "TpmSupport": "v2.0",
            "SriovNetSupport": "simple",
            "Tags": tags,
            "State": "available",
            "OwnerId": USER,
            "RootDeviceName": "/dev/xvda",
        }
        self.assertEqual({name: found[0].get(name) for name in expected}, expected)
        self.assertEqual(
            found[0]["BlockDeviceMappings"][0]["Ebs"],
            {
                "SnapshotId": snapshot,
                "VolumeSize": 1,
                "VolumeType": "gp3",
                "DeleteOnTermination": True,
                "Encrypted": False,
            },
        )
        self.assertIn("CreationDate", found[0])
        self.assertEqual(self.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["Tags"], [])
        self.ec2.create_tags(Resources=[image, snapshot], Tags=[{"Key": "late", "Value": "tag"}])
        late = [{"Name": "tag:late", "Values": ["tag"]}]
        self.assertEqual(len(self.ec2.describe_images(Owners=["self"], Filters=late)["Images"]), 1)
        self.assertEqual(len(self.ec2.describe_snapshots(OwnerIds=["self"], Filters=late)["Snapshots"]), 1)
        self.assertEqual(emulator.client("ec2", STRANGER).describe_images(Owners=["self"])["Images"], [])
        for describe in (self.ec2.describe_images, self.ec2.describe_snapshots):
            self.refused("InvalidParameterValue", describe, Filters=[{"Name": "no-such", "Values": ["x"]}])

    def test_what_register_image_refuses(self) -> None:
        snapshot = self.snapshot()
        theirs, tags = snapshot_of_a_volume(STRANGER), [{"Key": "a", "Value": "b"}]
        self.ec2.register_image(**image_arguments("taken", snapshot))
        for code, text, changes in (
            ("InvalidAMIName.Malformed", "between 3 and 128", {"Name": "ab"}),
            ("InvalidAMIName.Malformed", "between 3 and 128", {"Name": "a" * 129}),
            ("InvalidAMIName.Malformed", "between 3 and 128", {"Name": "colon:"}),
            ("InvalidAMIName.Duplicate", "AMI name taken is already in use by AMI ami-", {"Name": "taken"}),
            ("InvalidParameterValue", "x86_64, arm64", {"Architecture": "aarch64"}),
            ("InvalidParameterValue", "BootMode", {"BootMode": "bios"}),
            ("InvalidParameterValue", "ImdsSupport", {"ImdsSupport": "v3.0"}),
            ("InvalidParameterValue", "gp3", {"BlockDeviceMappings": self.ebs(SnapshotId=snapshot, VolumeType="gp4")}),
            ("InvalidParameterCombination", "arm64", {"Architecture": "arm64", "BootMode": "legacy-bios"}),
            ("InvalidParameterCombination", "arm64", {"Architecture": "arm64", "VirtualizationType": "paravirtual"}),
            ("InvalidParameterCombination", "TpmSupport", {"TpmSupport": "v2.0"}),
            ("InvalidParameterCombination", "TpmSupport", {"TpmSupport": "v2.0", "BootMode": "uefi-preferred"}),
            ("InvalidParameterValue", "Valid values: v2.0", {"TpmSupport": "v1.2", "BootMode": "uefi"}),
            (
                "InvalidParameterValue",
                "Volume of 65537GiB is too large for volume type gp3; maximum is 65536GiB",
                {"BlockDeviceMappings": self.ebs(SnapshotId=snapshot, VolumeType="gp3", VolumeSize=65_537)},
            ),
            (
                "InvalidParameterValue",
                "Volume of 1GiB is too small for volume type st1",
                {"BlockDeviceMappings": self.ebs(SnapshotId=snapshot, VolumeType="st1")},
            ),
            (
                "UnsupportedOperation",
                "KmsKeyId",
                {"BlockDeviceMappings": self.ebs(SnapshotId=snapshot, KmsKeyId="alias/images")},
            ),
            (
                "InvalidSnapshot.NotFound",
                "does not exist",
                {"BlockDeviceMappings": self.ebs(SnapshotId="snap-0123456789abcdef0")},
            ),
            ("InvalidSnapshot.NotFound", "does not exist", {"BlockDeviceMappings": self.ebs(SnapshotId=theirs)}),
            ("InvalidSnapshotID.Malformed", "snap-", {"BlockDeviceMappings": self.ebs(SnapshotId="nonsense")}),
            (
                "InvalidBlockDeviceMapping",
                "encrypted flag",
                {"BlockDeviceMappings": self.ebs(SnapshotId=snapshot, Encrypted=False)},
            ),
            ("InvalidBlockDeviceMapping", "Either snapshot ID", {"BlockDeviceMappings": self.ebs(VolumeType="gp3")}),
            ("InvalidBlockDeviceMapping", "root device /dev/sda1", {"RootDeviceName": "/dev/sda1"}),
            (
                "InvalidParameterValue",
                "'snapshot' is not a valid taggable resource type",
                {"TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")]},
            ),
            ("DryRunOperation", "would have succeeded", {"DryRun": True}),
        ):
            with self.subTest(code=code, changes=changes):
                arguments = image_arguments(f"fresh-{time.monotonic_ns()}", snapshot, **changes)
                self.refused(code, self.ec2.register_image, text, **arguments)
        self.assertEqual(
            len(self.ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["fresh-*"]}])["Images"]),
            0,
        )

    def test_a_pending_snapshot_and_a_small_volume(self) -> None:
        key = self.put(b"")
        with (emulator.data / "two-gib").open("wb") as file:
            file.truncate(1025 * MIB)
        self.s3.upload_file(str(emulator.data / "two-gib"), self.BUCKET, key)
        task = self.meet(key, self.refused_as_pending)
        snapshot = self.finish(task)["SnapshotId"]
        small = self.ebs(SnapshotId=snapshot, VolumeSize=1)
        text = f"Volume of size 1GB is smaller than snapshot '{snapshot}', expect size >= 2GB"
        arguments = image_arguments("small", snapshot, BlockDeviceMappings=small)
        self.refused("InvalidBlockDeviceMapping", self.ec2.register_image, text, **arguments)
        large = self.ebs(SnapshotId=snapshot, VolumeSize=3)
        image = self.ec2.register_image(**image_arguments("large", snapshot, BlockDeviceMappings=large))["ImageId"]
        (mapping,) = self.ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"]
        self.assertEqual(mapping["Ebs"]["VolumeSize"], 3)
        self.assertLess(self.bytes_of(snapshot).stat().st_blocks * 512, MIB)

    def refused_as_pending(self, task: str) -> str | None:
        """The task, if its snapshot was still pending when an image was to be registered from it."""
        mine = [{"Name": "description", "Values": [f"Created by AWS-VMImport service for {task}"]}]
        found: list[dict[str, Any]] = []
        while not found:
            self.assertIn(self.detail(task)["Status"], ("active", "completed"))
            found = self.ec2.describe_snapshots(Filters=mine)["Snapshots"]
        arguments = image_arguments("pending", found[0]["SnapshotId"])
        try:
            self.ec2.deregister_image(ImageId=self.ec2.register_image(**arguments)["ImageId"])
        except ClientError as error:
            self.assertEqual(error.response["Error"]["Code"], "IncorrectState")
            self.assertIn("is not 'completed'", error.response["Error"]["Message"])
            return task
        return None

    def test_a_used_snapshot_stays(self) -> None:
        snapshot = self.snapshot()
        image = self.ec2.register_image(**image_arguments("user-of-it", snapshot))["ImageId"]
        text = f"The snapshot {snapshot} is currently in use by {image}"
        self.refused("InvalidSnapshot.InUse", self.ec2.delete_snapshot, text, SnapshotId=snapshot)
        self.refused("DryRunOperation", self.ec2.deregister_image, status=412, ImageId=image, DryRun=True)
        self.ec2.deregister_image(ImageId=image)
        self.refused("InvalidAMIID.NotFound", self.ec2.describe_images, ImageIds=[image])
        self.refused("DryRunOperation", self.ec2.delete_snapshot, status=412, SnapshotId=snapshot, DryRun=True)
        self.ec2.delete_snapshot(SnapshotId=snapshot)
        self.refused("InvalidSnapshot.NotFound", self.ec2.delete_snapshot, SnapshotId=snapshot)

    def test_tags(self) -> None:
        snapshot, gone = snapshot_of_a_volume(), snapshot_of_a_volume()
        self.ec2.create_tags(Resources=[gone], Tags=[{"Key": "a", "Value": "b"}])
        self.ec2.delete_snapshot(SnapshotId=gone)
        for code, resource, key in (
            ("InvalidSnapshot.NotFound", gone, "a"),
            ("InvalidAMIID.NotFound", "ami-0123", "a"),
            ("InvalidParameterValue", snapshot, "aws:a"),
            ("InvalidParameterValue", snapshot, "a" * 129),
        ):
            self.refused(code, self.ec2.create_tags, Resources=[resource], Tags=[{"Key": key, "Value": "b"}])
        many = [{"Key": f"k{n}", "Value": ""} for n in range(51)]
        self.refused("TagLimitExceeded", self.ec2.create_tags, Resources=[snapshot], Tags=many)
        dry = {"Resources": [snapshot], "Tags": many[:1], "DryRun": True}
        self.refused("DryRunOperation", self.ec2.create_tags, status=412, **dry)

    def test_ami_to_file(self) -> None:
        disk = noise(2 * MIB) + bytes(MIB)
        image = self.ec2.register_image(**image_arguments("to-file", self.snapshot(disk)))["ImageId"]
        target = emulator.data / "disk.raw"
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{emulator.port}",
            "USER_ACCOUNT": USER,
            "USER_REGION": REGION,
            "EMULATOR_DATA": str(emulator.data / "data"),
        }
        command = [sys.executable, str(LAUNCHER / "ami_to_file.py")]
        subprocess.run([*command, image, str(target)], env=environment, check=True)
        self.assertEqual(target.read_bytes(), disk)
        failed = subprocess.run([*command, "ami-0123", str(target)], env=environment, capture_output=True, text=True)
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("ami-0123", failed.stderr)
        self.assertNotIn("Traceback", failed.stderr)


JOB = [{"Key": "obs:job", "Value": "mine"}]
OTHER = [{"Key": "obs:job", "Value": "other"}]


class WhoMayTag(Case):
    """ec2:CreateTags, with the conditions that a role of ours can have."""

    SNAPSHOTS, IMAGES = "arn:aws:ec2:*::snapshot/*", "arn:aws:ec2:*::image/*"

    def setUp(self) -> None:
        super().setUp()
        self.one = snapshot_of_a_volume()
        self.image = self.ec2.register_image(**image_arguments(f"tagged-{time.monotonic_ns()}", self.one))["ImageId"]

    def caller(self, *statements: dict[str, Any]) -> BaseClient:
        return emulator.client("ec2", **user(*({"Action": "ec2:CreateTags", **each} for each in statements)))

    def may(self, caller: BaseClient, tags: list[dict[str, str]], *resources: str) -> None:
        caller.create_tags(Resources=list(resources), Tags=tags)
        for resource in resources:
            found = self.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [resource]}])["Tags"]
            found = [{name: tag[name] for name in ("Key", "Value")} for tag in found]
            self.assertTrue(all(tag in found for tag in tags), found)

    def may_not(self, caller: BaseClient, tags: list[dict[str, str]], *resources: str) -> None:
        arguments = {"Resources": list(resources), "Tags": tags}
        self.refused("UnauthorizedOperation", caller.create_tags, "ec2:CreateTags", 403, **arguments)

    def test_by_resource(self) -> None:
        caller = self.caller({"Resource": self.SNAPSHOTS})
        self.may(caller, JOB, self.one)
        for resources in ([self.image], [self.image, self.one], [self.one, self.image]):
            self.may_not(caller, OTHER, *resources)
        self.may(self.caller({"Resource": [self.SNAPSHOTS, self.IMAGES]}), OTHER, self.one, self.image)

    def test_by_keys(self) -> None:
        ours = {"ForAllValues:StringLike": {"aws:TagKeys": ["Name", "obs:*"]}}
        caller = self.caller({"Resource": self.SNAPSHOTS, "Condition": ours}, {"Resource": self.IMAGES})
        more = [*JOB, {"Key": "Name", "Value": "n"}]
        self.may(caller, more, self.one)
        self.may(caller, more, self.image, self.one)
        more += [{"Key": "theirs", "Value": "x"}]
        self.may(caller, more, self.image)
        for resources in ([self.one], [self.image, self.one], [self.one, self.image]):
            self.may_not(caller, more, *resources)

    def test_by_values(self) -> None:
        mine = {"StringEquals": {"aws:RequestTag/obs:job": "mine"}}
        caller = self.caller({"Resource": "*", "Condition": mine})
        self.may(caller, JOB, self.one, self.image)
        for tags in (OTHER, [{"Key": "Name", "Value": "mine"}]):
            self.may_not(caller, tags, self.one)

    def test_by_the_tags_that_are_there(self) -> None:
        mine = {"StringEquals": {"aws:ResourceTag/obs:job": "mine"}}
        caller = self.caller({"Resource": "*", "Condition": mine})
        self.may_not(caller, JOB, self.one)
        self.ec2.create_tags(Resources=[self.one], Tags=JOB)
        self.may(caller, OTHER, self.one)
        self.may_not(caller, JOB, self.one)

    def test_by_the_action_that_makes_the_resource(self) -> None:
        making = {"StringEquals": {"ec2:CreateAction": ["ImportSnapshot", "RegisterImage"]}}
        key = user(
            {"Action": "ec2:RegisterImage", "Resource": "*"},
            {"Action": "ec2:CreateTags", "Resource": self.IMAGES, "Condition": making},
        )
        caller = emulator.client("ec2", **key)
        specification = [{"ResourceType": "image", "Tags": JOB}]
        arguments = image_arguments(f"made-{time.monotonic_ns()}", self.one, TagSpecifications=specification)
        image = caller.register_image(**arguments)["ImageId"]
        self.may_not(caller, JOB, image)
        caller = self.caller({"Resource": "*", "Condition": {"Null": {"ec2:CreateAction": "true"}}})
        self.may(caller, JOB, image, self.one)


class WhoMayRemove(ImportCase):
    """DeleteSnapshot, DeregisterImage and CancelImportTask, by the tags of what is to go."""

    BUCKET, ROLE = "remove-bucket", "remove-role"

    def made(self, tags: list[dict[str, str]]) -> dict[str, dict[str, str]]:
        """A task, a snapshot and an image with these tags, each as the argument of the call that removes it."""

        def specification(kind: str) -> dict[str, Any]:
            return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]} if tags else {}

        task = self.start(self.put(bytes(512)), **specification("import-snapshot-task"))
        snapshot = snapshot_of_a_volume()
        if tags:
            self.ec2.create_tags(Resources=[snapshot], Tags=tags)
        named = image_arguments(f"remove-{time.monotonic_ns()}", snapshot, **specification("image"))
        return {
            "cancel_import_task": {"ImportTaskId": task},
            "delete_snapshot": {"SnapshotId": snapshot},
            "deregister_image": {"ImageId": self.ec2.register_image(**named)["ImageId"]},
        }

    def session(self, of_role: dict[str, Any], of_session: dict[str, Any]) -> BaseClient:
        """A session of a role that has these conditions in its policy and in the session's own."""

        def removing(condition: dict[str, Any]) -> dict[str, Any]:
            actions = ["ec2:CancelImportTask", "ec2:DeleteSnapshot", "ec2:DeregisterImage"]
            return {"Action": actions, "Resource": "*", "Condition": condition}

        name = f"remover-{time.monotonic_ns()}"
        trust = policy({"Principal": {"AWS": USER}, "Action": "sts:AssumeRole"})
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        self.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(removing(of_role)))
        sts = emulator.client("sts", **user({"Action": "sts:AssumeRole", "Resource": arn}))
        given = sts.assume_role(RoleArn=arn, RoleSessionName="obs", Policy=policy(removing(of_session)))["Credentials"]
        return emulator.client("ec2", given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def test_by_tags(self) -> None:
        mine = {"StringEquals": {"aws:ResourceTag/obs:job": "mine"}}
        tagged = {"Null": {"aws:ResourceTag/obs:job": "false"}}
        untagged = {"Null": {"aws:ResourceTag/obs:job": "true"}}
        things = {"mine": self.made(JOB), "other": self.made(OTHER), "none": self.made([])}
        for of_role, of_session, allowed in (
            ({}, {}, {"mine", "other", "none"}),
            (mine, {}, {"mine"}),
            ({}, mine, {"mine"}),
            (tagged, {}, {"mine", "other"}),
            ({}, tagged, {"mine", "other"}),
            (tagged, mine, {"mine"}),
            ({}, untagged, {"none"}),
            (untagged, mine, set()),
        ):
            caller = self.session(of_role, of_session)
            for whose, calls in things.items():
                code = "DryRunOperation" if whose in allowed else "UnauthorizedOperation"
                for call, arguments in calls.items():
                    with self.subTest(call=call, whose=whose, of_role=of_role, of_session=of_session):
                        self.refused(code, getattr(caller, call), DryRun=True, **arguments)

    def test_tags_given_later(self) -> None:
        caller = self.session({}, {"StringEquals": {"aws:ResourceTag/obs:job": "mine"}})
        snapshot = snapshot_of_a_volume()
        self.refused("UnauthorizedOperation", caller.delete_snapshot, "ec2:DeleteSnapshot", SnapshotId=snapshot)
        self.ec2.create_tags(Resources=[snapshot], Tags=JOB)
        caller.delete_snapshot(SnapshotId=snapshot)
        self.refused("InvalidSnapshot.NotFound", self.ec2.delete_snapshot, SnapshotId=snapshot)
