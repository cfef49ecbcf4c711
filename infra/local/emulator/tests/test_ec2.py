"""Images, snapshots and tags."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

from harness import LAUNCHER, MIB, REGION, STRANGER, USER, ImportCase, emulator, image_arguments, noise


class Images(ImportCase):
    BUCKET, ROLE = "image-bucket", "image-role"

    def ebs(self, **ebs: Any) -> list[dict[str, Any]]:
        return [{"DeviceName": "/dev/xvda", "Ebs": ebs}]

    def test_an_image_keeps_what_it_was_told(self) -> None:
        snapshot = self.snapshot()
        tags = [{"Key": "obs:package", "Value": "leap & <more>"}]
        specifications = [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")]
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
                TagSpecifications=specifications,
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
        by_tag = [{"Name": "tag:obs:package", "Values": ["leap*"]}]
        self.assertEqual(self.ec2.describe_snapshots(OwnerIds=["self"], Filters=by_tag)["Snapshots"][0]["Tags"], tags)
        self.ec2.create_tags(Resources=[image, snapshot], Tags=[{"Key": "late", "Value": "tag"}])
        late = [{"Name": "tag:late", "Values": ["tag"]}]
        self.assertEqual(len(self.ec2.describe_images(Owners=["self"], Filters=late)["Images"]), 1)
        self.assertEqual(len(self.ec2.describe_snapshots(OwnerIds=["self"], Filters=late)["Snapshots"]), 1)
        self.assertEqual(emulator.client("ec2", STRANGER).describe_images(Owners=["self"])["Images"], [])
        for describe in (self.ec2.describe_images, self.ec2.describe_snapshots):
            self.refused("InvalidParameterValue", describe, Filters=[{"Name": "no-such", "Values": ["x"]}])

    def test_what_register_image_refuses(self) -> None:
        snapshot = self.snapshot()
        theirs = self.stranger_snapshot()
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
                "taggable",
                {"TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]}]},
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

    def stranger_snapshot(self) -> str:
        ec2 = emulator.client("ec2", STRANGER)
        volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        return ec2.create_snapshot(VolumeId=volume)["SnapshotId"]

    def test_a_pending_snapshot_and_a_small_volume(self) -> None:
        key = self.put(b"")
        with (emulator.data / "two-gib").open("wb") as file:
            file.truncate(1025 * MIB)
        self.s3.upload_file(str(emulator.data / "two-gib"), self.BUCKET, key)
        task = self.start(key)
        pending: list[dict[str, Any]] = []
        while not pending and self.detail(task)["Status"] == "active":
            pending = self.ec2.describe_snapshots(Filters=[{"Name": "status", "Values": ["pending"]}])["Snapshots"]
        self.assertTrue(pending, "the task ended, and no snapshot was seen pending")
        arguments = image_arguments("pending", pending[0]["SnapshotId"])
        self.refused("IncorrectState", self.ec2.register_image, "is not 'completed'", **arguments)
        snapshot = self.finish(task)["SnapshotId"]
        small = self.ebs(SnapshotId=snapshot, VolumeSize=1)
        text = f"Volume of size 1GB is smaller than snapshot '{snapshot}', expect size >= 2GB"
        arguments = image_arguments("small", snapshot, BlockDeviceMappings=small)
        self.refused("InvalidBlockDeviceMapping", self.ec2.register_image, text, **arguments)
        self.assertLess(self.bytes_of(snapshot).stat().st_blocks * 512, MIB)

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

    def test_copies_and_tags(self) -> None:
        snapshot = self.snapshot(noise(1024))
        copy = self.ec2.copy_snapshot(SourceSnapshotId=snapshot, SourceRegion=REGION)["SnapshotId"]
        self.assertEqual(self.bytes_of(copy).read_bytes(), self.bytes_of(snapshot).read_bytes())
        self.ec2.delete_snapshot(SnapshotId=snapshot)
        self.assertTrue(self.bytes_of(copy).exists())
        for code, resource, key in (
            ("InvalidSnapshot.NotFound", snapshot, "a"),
            ("InvalidAMIID.NotFound", "ami-0123", "a"),
            ("InvalidParameterValue", copy, "aws:a"),
            ("InvalidParameterValue", copy, "a" * 129),
        ):
            self.refused(code, self.ec2.create_tags, Resources=[resource], Tags=[{"Key": key, "Value": "b"}])
        many = [{"Key": f"k{n}", "Value": ""} for n in range(51)]
        self.refused("TagLimitExceeded", self.ec2.create_tags, Resources=[copy], Tags=many)
        dry = {"Resources": [copy], "Tags": many[:1], "DryRun": True}
        self.refused("DryRunOperation", self.ec2.create_tags, status=412, **dry)

    def test_encryption_by_default(self) -> None:
        self.assertFalse(self.ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"])
        self.assertTrue(self.ec2.enable_ebs_encryption_by_default()["EbsEncryptionByDefault"])
        self.assertTrue(self.ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"])
        self.assertFalse(emulator.client("ec2", STRANGER).get_ebs_encryption_by_default()["EbsEncryptionByDefault"])
        self.assertFalse(self.ec2.disable_ebs_encryption_by_default()["EbsEncryptionByDefault"])

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
