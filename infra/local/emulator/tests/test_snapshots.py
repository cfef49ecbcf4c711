"""EC2's side of snapshots: listing, sharing, copying, deleting."""

from __future__ import annotations

import time
from typing import Any

from harness import BLOCK, REGION, EbsCase, block_arguments, emulator, image_arguments, noise, user

OTHER = "777788889999"
"""An account to share with."""

NOWHERE = "snap-0123456789abcdef0"
TAGS = [{"Key": "obs:job", "Value": "17"}]


class SnapshotCase(EbsCase):
    def setUp(self) -> None:
        super().setUp()
        self.other = emulator.client("ec2", OTHER)

    def share(self, snapshot: str, account: str = OTHER, operation: str = "add") -> None:
        self.ec2.modify_snapshot_attribute(
            SnapshotId=snapshot, Attribute="createVolumePermission", OperationType=operation, UserIds=[account]
        )

    def copy(self, snapshot: str, **arguments: Any) -> str:
        given = {"SourceRegion": REGION, "SourceSnapshotId": snapshot, **arguments}
        return self.other.copy_snapshot(**given)["SnapshotId"]

    def names(self, client: Any = None, **asked: Any) -> list[str]:
        return [found["SnapshotId"] for found in (client or self.ec2).describe_snapshots(**asked)["Snapshots"]]


class Sharing(SnapshotCase):
    def test_with_one_account(self) -> None:
        snapshot = self.written({})
        self.refused("InvalidSnapshot.NotFound", self.other.describe_snapshots, SnapshotIds=[snapshot])
        for add, remove in (
            ({"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [OTHER]}, False),
            ({"CreateVolumePermission": {"Remove": [{"UserId": OTHER}]}}, True),
            ({"CreateVolumePermission": {"Add": [{"UserId": OTHER}]}}, False),
            ({"Attribute": "createVolumePermission", "OperationType": "remove", "UserIds": [OTHER]}, True),
        ):
            self.ec2.modify_snapshot_attribute(SnapshotId=snapshot, **add)
            attribute = {"SnapshotId": snapshot, "Attribute": "createVolumePermission"}
            found = self.ec2.describe_snapshot_attribute(**attribute)["CreateVolumePermissions"]
            self.assertEqual(found, [] if remove else [{"UserId": OTHER}])
            self.assertEqual(snapshot in self.names(self.other, RestorableByUserIds=["self"]), not remove)

    def test_what_the_other_account_sees(self) -> None:
        snapshot = self.start(Tags=TAGS)
        self.ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=0)
        self.until_final(snapshot)
        self.share(snapshot)
        found = self.state(snapshot, OTHER)
        self.assertEqual((found["OwnerId"], found["Tags"]), (self.account, []))
        self.assertIn(snapshot, self.names(self.other, OwnerIds=[self.account]))
        self.assertNotIn(snapshot, self.names(self.other, OwnerIds=["self"]))
        self.assertIn(snapshot, self.names(RestorableByUserIds=[OTHER]))
        self.assertEqual(self.names(RestorableByUserIds=["123123123123"]), [])
        missing = "InvalidSnapshot.NotFound"
        self.refused(missing, self.other.delete_snapshot, SnapshotId=snapshot)
        share = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [OTHER]}
        self.refused(missing, self.other.modify_snapshot_attribute, SnapshotId=snapshot, **share)
        self.refused(missing, self.other.register_image, **image_arguments("shared", snapshot))

    def test_what_is_refused(self) -> None:
        plain, managed = self.written({}), self.written({}, Encrypted=True)
        share = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [OTHER]}
        modify = self.ec2.modify_snapshot_attribute
        text = "Encrypted snapshots with EBS default key cannot be shared"
        self.refused("OperationNotPermitted", modify, text, SnapshotId=managed, **share)
        self.refused("InvalidSnapshot.NotFound", modify, SnapshotId=NOWHERE, **share)
        wrong = {**share, "UserIds": ["tom"]}
        self.refused("InvalidAMIAttributeItemValue", modify, "UserId (tom) is invalid.", SnapshotId=plain, **wrong)
        public = {"Attribute": "createVolumePermission", "OperationType": "add", "GroupNames": ["all"]}
        self.refused("UnsupportedOperation", modify, SnapshotId=plain, **public)
        self.refused("DryRunOperation", modify, status=412, SnapshotId=plain, DryRun=True, **share)
        self.assertEqual(self.names(self.other, OwnerIds=[self.account]), [])

    def test_who_may(self) -> None:
        snapshot = self.written({})
        allow = {"Action": "ec2:ModifySnapshotAttribute", "Resource": f"arn:aws:ec2:{REGION}::snapshot/{snapshot}"}
        share = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [OTHER]}
        added = {"CreateVolumePermission": {"Add": [{"UserId": OTHER}]}}
        for condition, allowed in (
            ({}, True),
            ({"Condition": {"StringEquals": {"ec2:Add/userId": OTHER}}}, True),
            ({"Condition": {"StringEquals": {"ec2:Add/userId": "123123123123"}}}, False),
            ({"Condition": {"Null": {"ec2:Add/userId": "true"}}}, False),
        ):
            modify = emulator.client("ec2", **user(allow | condition, account=self.account)).modify_snapshot_attribute
            for arguments in (share, added):
                with self.subTest(condition=condition, arguments=arguments):
                    code = "DryRunOperation" if allowed else "UnauthorizedOperation"
                    self.refused(code, modify, SnapshotId=snapshot, DryRun=True, **arguments)


class Copying(SnapshotCase):
    def test_a_shared_snapshot(self) -> None:
        self.with_settings(OTHER, snapshot_copy_seconds=2)
        data = noise(BLOCK)
        snapshot = self.written({3: data})
        self.share(snapshot)
        tags = [{"ResourceType": "snapshot", "Tags": TAGS}]
        copied = self.copy(snapshot, Description="a copy", TagSpecifications=tags)
        progress = []
        while (found := self.state(copied, OTHER))["State"] == "pending":
            progress.append(int(found["Progress"].rstrip("%")))
            time.sleep(0.05)
        self.assertEqual(progress, sorted(progress))
        self.assertTrue(any(0 < percent < 100 for percent in progress), progress)
        expected = {
            "State": "completed",
            "Progress": "100%",
            "VolumeId": "vol-ffffffff",
            "VolumeSize": 1,
            "OwnerId": OTHER,
            "Description": "a copy",
            "Encrypted": False,
            "Tags": TAGS,
        }
        self.assertEqual({name: found.get(name) for name in expected}, expected)
        self.ec2.delete_snapshot(SnapshotId=snapshot)
        disk = self.disk(copied, OTHER)
        self.assertEqual((disk[: 3 * BLOCK], disk[3 * BLOCK : 4 * BLOCK]), (bytes(3 * BLOCK), data))
        self.refused("InvalidSnapshot.NotFound", self.ec2.describe_snapshots, SnapshotIds=[copied])

    def test_a_source_that_cannot_be_copied_ends_in_an_error(self) -> None:
        unshared, pending = self.written({}), self.start()
        self.share(pending)
        key = f"arn:aws:kms:{REGION}:{self.account}:key/12345678-1234-1234-1234-123456789012"
        encrypted = self.written({}, Encrypted=True, KmsKeyArn=key)
        self.share(encrypted)
        for source, region, message in (
            (NOWHERE, REGION, "Source snapshot is not found"),
            (unshared, REGION, "Source snapshot is not found"),
            (pending, "eu-west-1", "Source snapshot is not found"),
            (pending, REGION, "Source snapshot is not complete"),
            (encrypted, REGION, "Given key ID is not accessible"),
        ):
            with self.subTest(message=message, region=region):
                found = self.until_final(self.copy(source, SourceRegion=region), OTHER)
                self.assertEqual((found["State"], found["StateMessage"]), ("error", message))

    def test_encryption(self) -> None:
        data = noise(BLOCK)
        snapshot = self.written({0: data})
        self.share(snapshot)
        key = f"arn:aws:kms:{REGION}:{OTHER}:key/12345678-1234-1234-1234-123456789012"
        found = self.until_final(self.copy(snapshot, Encrypted=True, KmsKeyId=key.rpartition("/")[2]), OTHER)
        self.assertEqual((found["Encrypted"], found["KmsKeyId"]), (True, key))
        self.other.enable_ebs_encryption_by_default()
        self.addCleanup(self.other.disable_ebs_encryption_by_default)
        found = self.until_final(self.copy(snapshot), OTHER)
        self.assertTrue(found["Encrypted"])
        disk = self.disk(found["SnapshotId"], OTHER)
        self.assertEqual(disk[:BLOCK], data)
        self.assertNotEqual(disk[BLOCK : 2 * BLOCK], bytes(BLOCK))
        for code, arguments in (
            ("InvalidParameterDependency", {"KmsKeyId": key}),
            ("InvalidParameterValue", {"Encrypted": True, "KmsKeyId": key.replace(REGION, "eu-west-1")}),
            ("InvalidParameterValue", {"Encrypted": True, "KmsKeyId": "no key"}),
        ):
            self.refused(code, self.copy, snapshot=snapshot, **arguments)

    def test_a_limit_of_copies(self) -> None:
        self.with_settings(OTHER, snapshot_copies=2, snapshot_copy_seconds=3600)
        snapshot = self.written({})
        self.share(snapshot)
        copies = [self.copy(snapshot), self.copy(snapshot)]
        text = "Too many snapshot copies in progress. The limit is 2 for this destination region."
        self.refused("ResourceLimitExceeded", self.copy, text, 400, snapshot=snapshot)
        emulator.settings(OTHER, snapshot_copies=2)
        for copied in copies:
            self.until_final(copied, OTHER)
        self.copy(snapshot)

    def test_who_may(self) -> None:
        snapshot = self.written({})
        self.share(snapshot)
        copies = {"Action": "ec2:CopySnapshot", "Resource": f"arn:aws:ec2:{REGION}::snapshot/*"}
        source = {"Action": "ec2:CopySnapshot", "Resource": f"arn:aws:ec2:{REGION}::snapshot/{snapshot}"}
        tags = {"Action": "ec2:CreateTags", "Resource": "arn:aws:ec2:*::snapshot/*"}
        own = {"Condition": {"StringEquals": {"aws:RequestTag/obs:job": "17"}}}
        by_copy = {"Condition": {"StringEquals": {"ec2:CreateAction": "CopySnapshot"}}}
        for statements, allowed in (
            ([copies], False),
            ([copies, tags], True),
            ([source, tags], False),
            ([copies, tags | own], True),
            ([copies, tags | by_copy], True),
            ([copies | own, tags], False),
            ([copies | own, source, tags], True),
        ):
            with self.subTest(statements=statements):
                copy = emulator.client("ec2", **user(*statements, account=OTHER)).copy_snapshot
                code = "DryRunOperation" if allowed else "UnauthorizedOperation"
                specification = [{"ResourceType": "snapshot", "Tags": TAGS}]
                given = {"SourceRegion": REGION, "SourceSnapshotId": snapshot, "TagSpecifications": specification}
                self.refused(code, copy, DryRun=True, **given)


class Listing(SnapshotCase):
    def test_filters(self) -> None:
        tagged, plain = self.start(Tags=TAGS, Description="disk one"), self.written({})
        for name, value, expected in (
            ("tag:obs:job", "17", [tagged]),
            ("tag:obs:job", "18", []),
            ("tag-key", "obs:*", [tagged]),
            ("status", "completed", [plain]),
            ("status", "pending", [tagged]),
            ("snapshot-id", plain, [plain]),
            ("owner-id", self.account, [tagged, plain]),
            ("description", "disk *", [tagged]),
            ("encrypted", "false", [tagged, plain]),
        ):
            filters = [{"Name": name, "Values": [value]}]
            self.assertEqual(sorted(self.names(OwnerIds=["self"], Filters=filters)), sorted(expected), name)
        unknown = [{"Name": "unknown", "Values": ["a"]}]
        self.refused("InvalidParameterValue", self.ec2.describe_snapshots, Filters=unknown)

    def test_pages(self) -> None:
        made = []
        for _ in range(7):
            made.append(self.start())
            time.sleep(0.1)
        first = self.ec2.describe_snapshots(OwnerIds=["self"], MaxResults=5)
        second = self.ec2.describe_snapshots(OwnerIds=["self"], MaxResults=5, NextToken=first["NextToken"])
        found = [snapshot["SnapshotId"] for page in (first, second) for snapshot in page["Snapshots"]]
        self.assertEqual(sorted(found), sorted(made))
        self.assertNotIn("NextToken", second)

    def test_a_new_one_is_not_listed_yet(self) -> None:
        self.with_settings(self.account, new_snapshots_unlisted_seconds=3600)
        snapshot = self.start(Tags=TAGS)
        asked = {"OwnerIds": ["self"], "Filters": [{"Name": "tag:obs:job", "Values": ["17"]}]}
        self.assertEqual(self.names(**asked), [])
        self.refused("InvalidSnapshot.NotFound", self.ec2.describe_snapshots, SnapshotIds=[snapshot])
        self.ebs.put_snapshot_block(**block_arguments(snapshot, 0, noise(BLOCK)))
        emulator.settings(self.account, new_snapshots_unlisted_seconds=0)
        self.assertEqual(self.names(**asked), [snapshot])

    def test_permissions_come_before_all_else(self) -> None:
        snapshot = self.written({})
        nobody = emulator.client("ec2", **user({"Action": "s3:*", "Resource": "*"}, account=self.account))
        share = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [OTHER]}
        tags = {"Resources": [snapshot], "Tags": TAGS}
        for name, arguments in (
            ("register_image", image_arguments("dry", snapshot)),
            ("copy_snapshot", {"SourceRegion": REGION, "SourceSnapshotId": snapshot}),
            ("create_tags", tags),
            ("describe_snapshots", {}),
            ("describe_images", {}),
            ("delete_snapshot", {"SnapshotId": snapshot}),
            ("deregister_image", {"ImageId": "ami-0123456789abcdef0"}),
            ("modify_snapshot_attribute", {"SnapshotId": snapshot, **share}),
            ("describe_snapshot_attribute", {"SnapshotId": snapshot, "Attribute": "createVolumePermission"}),
            ("get_ebs_encryption_by_default", {}),
            ("enable_ebs_encryption_by_default", {}),
            ("disable_ebs_encryption_by_default", {}),
        ):
            with self.subTest(call=name):
                for dry in ({}, {"DryRun": True}):
                    self.refused("UnauthorizedOperation", getattr(nobody, name), status=403, **arguments, **dry)
                self.refused("DryRunOperation", getattr(self.ec2, name), status=412, **arguments, DryRun=True)
        self.assertEqual(self.state(snapshot)["State"], "completed")

    def test_one_that_an_image_uses_stays(self) -> None:
        snapshot = self.written({})
        image = self.ec2.register_image(**image_arguments("user-of-it", snapshot))["ImageId"]
        self.refused("InvalidSnapshot.InUse", self.ec2.delete_snapshot, image, SnapshotId=snapshot)
        self.ec2.deregister_image(ImageId=image)
        self.ec2.delete_snapshot(SnapshotId=snapshot)
        self.refused("InvalidSnapshot.NotFound", self.ec2.delete_snapshot, SnapshotId=snapshot)
