"""VM Import: the tasks, and who may start one."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from harness import (
    MIB,
    STRANGER,
    TRUST,
    USER,
    ImportCase,
    emulator,
    image_arguments,
    noise,
    policy,
    user,
    vmie,
)


class Importing(ImportCase):
    def test_a_raw_disk_becomes_a_snapshot(self) -> None:
        disk = noise(3 * MIB) + bytes(5 * MIB) + noise(512)
        tags = [{"ResourceType": "import-snapshot-task", "Tags": [{"Key": "obs:job", "Value": "17"}]}]
        answer = self.ec2.import_snapshot(
            **self.arguments(self.put(disk), Description="job 17", TagSpecifications=tags)
        )
        task, detail = answer["ImportTaskId"], answer["SnapshotTaskDetail"]
        self.assertEqual((detail["Status"], detail["StatusMessage"], detail["Progress"]), ("active", "pending", "3"))
        self.assertEqual((detail["SnapshotId"], detail["DiskImageSize"]), ("", 0.0))
        seen: dict[str, None] = {}
        progress = []
        while (detail := self.detail(task))["Status"] == "active":
            seen[detail["StatusMessage"]] = None
            progress.append(int(detail["Progress"]))
            time.sleep(0.02)
        self.assertEqual(list(seen), ["pending", "downloading/converting"])
        self.assertEqual(progress, sorted(progress))
        self.assertEqual((detail["Status"], detail["DiskImageSize"]), ("completed", float(len(disk))))
        snapshot = self.ec2.describe_snapshots(SnapshotIds=[detail["SnapshotId"]], OwnerIds=["self"])["Snapshots"][0]
        self.assertEqual((snapshot["State"], snapshot["VolumeSize"], snapshot["Encrypted"]), ("completed", 1, False))
        self.assertEqual(snapshot["Description"], f"Created by AWS-VMImport service for {task}")
        self.assertEqual(self.bytes_of(detail["SnapshotId"]).read_bytes(), disk)
        self.assertLess(self.bytes_of(detail["SnapshotId"]).stat().st_blocks * 512, len(disk) - 3 * MIB)
        listed = self.ec2.describe_import_snapshot_tasks(Filters=[{"Name": "tag:obs:job", "Values": ["17"]}])
        self.assertEqual([each["ImportTaskId"] for each in listed["ImportSnapshotTasks"]], [task])
        self.assertEqual(listed["ImportSnapshotTasks"][0]["Tags"], [{"Key": "obs:job", "Value": "17"}])
        self.ec2.delete_snapshot(SnapshotId=detail["SnapshotId"])
        self.assertFalse(self.bytes_of(detail["SnapshotId"]).exists())

    def test_a_large_object_is_a_file_and_shares_it(self) -> None:
        part, key, files = noise(40 * MIB), "large.raw", emulator.data / "data/objects"
        before = set(files.iterdir())
        upload = self.s3.create_multipart_upload(Bucket=self.BUCKET, Key=key)["UploadId"]
        where = {"Bucket": self.BUCKET, "Key": key}
        parts = [
            {"PartNumber": n, "ETag": self.s3.upload_part(**where, UploadId=upload, PartNumber=n, Body=part)["ETag"]}
            for n in (1, 2)
        ]
        self.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
        self.assertEqual(self.s3.get_object(**where)["Body"].read(), part * 2)
        self.assertEqual(
            self.s3.get_object(**where, Range="bytes=41943035-41943044")["Body"].read(), part[-5:] + part[:5]
        )
        snapshot = self.finish(self.start(key))["SnapshotId"]
        self.s3.delete_object(**where)
        self.assertEqual(
            hashlib.sha256(self.bytes_of(snapshot).read_bytes()).digest(), hashlib.sha256(part * 2).digest()
        )
        self.assertEqual(set(files.iterdir()), before)

    def test_a_fixed_vhd_loses_its_footer(self) -> None:
        disk = noise(1024)
        footer = bytearray(512)
        footer[0:8], footer[48:56], footer[60:64] = b"conectix", len(disk).to_bytes(8), (2).to_bytes(4)
        task = self.start(
            self.put(disk + footer),
            DiskContainer={"Format": "vhd", "UserBucket": {"S3Bucket": self.BUCKET, "S3Key": self.put(disk + footer)}},
        )
        detail = self.finish(task)
        self.assertEqual((detail["Status"], detail["Format"]), ("completed", "VHD"))
        self.assertEqual(self.bytes_of(detail["SnapshotId"]).read_bytes(), disk)

    def test_a_disk_that_is_none_fails_the_task(self) -> None:
        formats = {
            b"QFI\xfb": "qcow2",
            b"KDMV": "vmdk",
            b"\xfd7zXZ\0": "xz",
            b"\x1f\x8b": "gz",
            b"\x28\xb5\x2f\xfd": "zst",
        }
        starts = {self.start(self.put(magic + bytes(1020))): "Unsupported specified file format" for magic in formats}
        starts[self.start(self.put(bytes(513)))] = "not a multiple of 512"
        starts[self.start(self.put(b""))] = "empty"
        for task, text in starts.items():
            detail = self.finish(task)
            self.assertEqual(detail["Status"], "deleted")
            self.assertRegex(detail["StatusMessage"], r"^ClientError: Disk validation failed \[.+\]$")
            self.assertIn(text, detail["StatusMessage"])
            self.assertEqual(detail["SnapshotId"], "")

    def test_what_vanishes_while_reading_fails_the_task(self) -> None:
        key = self.put(bytes(512))
        task = self.start(key)
        self.s3.delete_object(Bucket=self.BUCKET, Key=key)
        self.assertIn("Reason 404 Not Found", self.finish(task)["StatusMessage"])
        self.iam.create_role(RoleName="short-lived", AssumeRolePolicyDocument=TRUST)
        self.iam.put_role_policy(RoleName="short-lived", PolicyName="read", PolicyDocument=self.reading())
        task = self.start(self.put(bytes(512)), RoleName="short-lived")
        while self.detail(task)["StatusMessage"] == "pending":
            time.sleep(0.02)
        self.iam.delete_role_policy(RoleName="short-lived", PolicyName="read")
        self.assertIn("Reason 403 Forbidden", self.finish(task)["StatusMessage"])
        self.assertEqual([path for path in (emulator.data / "data/snapshots").rglob("*") if path.name in task], [])

    def test_cancel(self) -> None:
        task = self.start(self.put(bytes(512)))
        answer = self.ec2.cancel_import_task(ImportTaskId=task)
        self.assertEqual((answer["PreviousState"], answer["State"]), ("active", "deleting"))
        detail = self.finish(task)
        self.assertEqual((detail["Status"], detail["StatusMessage"]), ("deleted", "User initiated task cancelation"))
        self.refused("IncorrectState", self.ec2.cancel_import_task, ImportTaskId=task)
        done = self.start(self.put(bytes(512)))
        self.finish(done)
        self.refused("IncorrectState", self.ec2.cancel_import_task, ImportTaskId=done)
        self.refused("InvalidConversionTaskId.Malformed", self.ec2.cancel_import_task, ImportTaskId="import-snap-0")

    def test_client_token(self) -> None:
        key = self.put(bytes(512))
        first = self.start(key, ClientToken="token")
        self.assertEqual(self.start(key, ClientToken="token"), first)
        other = self.arguments(self.put(bytes(512)), ClientToken="token")
        self.refused("IdempotentParameterMismatch", self.ec2.import_snapshot, **other)

    def test_pages_accounts_and_filters(self) -> None:
        tasks = {self.start(self.put(bytes(512))) for _ in range(3)}
        listed: list[str] = []
        page: dict[str, Any] = {}
        while not page or "NextToken" in page:
            token = {"NextToken": page["NextToken"]} if page else {}
            page = self.ec2.describe_import_snapshot_tasks(MaxResults=2, **token)
            self.assertLessEqual(len(page["ImportSnapshotTasks"]), 2)
            listed += [each["ImportTaskId"] for each in page["ImportSnapshotTasks"]]
        self.assertEqual(len(listed), len(set(listed)))
        self.assertLessEqual(tasks, set(listed))
        elsewhere = emulator.client("ec2", STRANGER), emulator.client("ec2", region="eu-central-1")
        for other in elsewhere:
            self.assertEqual(other.describe_import_snapshot_tasks()["ImportSnapshotTasks"], [])
            self.refused(
                "InvalidConversionTaskId.Malformed", other.describe_import_snapshot_tasks, ImportTaskIds=list(tasks)
            )
        describe = self.ec2.describe_import_snapshot_tasks
        self.refused("InvalidParameterValue", describe, Filters=[{"Name": "no-such", "Values": ["x"]}])
        self.refused("InvalidPaginationToken", describe, NextToken="nonsense")


class WhoMayImport(ImportCase):
    BUCKET, ROLE = "who-may-bucket", "who-may-role"

    def role(self, name: str, trust: str, reads: str | None) -> str:
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        if reads:
            self.iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=reads)
        return name

    def test_the_service_role(self) -> None:
        other_service = policy({"Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
        other_id = vmie(Condition={"StringEquals": {"sts:ExternalId": "other"}})
        roles = [
            "no-such-role",
            self.role("trusts-ec2", other_service, self.reading()),
            self.role("other-external-id", other_id, self.reading()),
            self.role("sees-no-bucket", TRUST, self.reading(["s3:GetObject"])),
        ]
        key = self.put(bytes(512))
        for role in roles:
            text = f"The service role {role} provided does not exist or does not have sufficient permissions"
            self.refused("InvalidParameter", self.ec2.import_snapshot, text, **self.arguments(key, RoleName=role))
        default = self.arguments(key)
        del default["RoleName"]
        self.refused("InvalidParameter", self.ec2.import_snapshot, "The service role vmimport provided", **default)
        blind = self.role("may-not-get", TRUST, self.reading(["s3:GetBucketLocation", "s3:ListBucket"]))
        self.assertIn("Reason 403 Forbidden", self.finish(self.start(key, RoleName=blind))["StatusMessage"])
        stranger = emulator.client("ec2", STRANGER)
        self.refused("InvalidParameter", stranger.import_snapshot, "The service role", **self.arguments(key))

    def test_the_object(self) -> None:
        no_access = "User does not have access to the S3 object (who-may-bucket/no-such-key)."
        self.refused("InvalidParameter", self.ec2.import_snapshot, no_access, **self.arguments("no-such-key"))
        elsewhere = emulator.client("s3", region="eu-central-1")
        elsewhere.create_bucket(Bucket="far-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        elsewhere.put_object(Bucket="far-bucket", Key="disk", Body=bytes(512))
        allow_all = policy({"Action": "s3:*", "Resource": "*"})
        self.iam.put_role_policy(RoleName=self.ROLE, PolicyName="far", PolicyDocument=allow_all)
        far = {"Format": "RAW", "UserBucket": {"S3Bucket": "far-bucket", "S3Key": "disk"}}
        text = "The given S3 object is not local to the region. The object must be located in us-east-1."
        self.refused("InvalidParameter", self.ec2.import_snapshot, text, RoleName=self.ROLE, DiskContainer=far)
        nowhere = {"Format": "RAW", "UserBucket": {"S3Bucket": "no-such-bucket-17", "S3Key": "disk"}}
        text = "Invalid S3 source location"
        self.refused("InvalidParameter", self.ec2.import_snapshot, text, RoleName=self.ROLE, DiskContainer=nowhere)

    def test_the_parameters(self) -> None:
        key = self.put(bytes(512))
        source = {"S3Bucket": self.BUCKET, "S3Key": key}
        for code, container in (
            ("MissingParameter", {"UserBucket": source}),
            ("InvalidParameterValue", {"Format": "QCOW2", "UserBucket": source}),
            ("InvalidParameter", {"Format": "RAW"}),
            ("InvalidParameter", {"Format": "RAW", "Url": "ftp://x/y"}),
            (
                "InvalidParameterCombination",
                {"Format": "RAW", "Url": f"s3://{self.BUCKET}/{key}", "UserBucket": source},
            ),
        ):
            self.refused(code, self.ec2.import_snapshot, RoleName=self.ROLE, DiskContainer=container)
        specification = [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}]
        arguments = self.arguments(key, TagSpecifications=specification)
        self.refused("InvalidParameterValue", self.ec2.import_snapshot, "not a valid taggable resource", **arguments)
        by_url = {"Format": "RAW", "Url": f"s3://{self.BUCKET}/{key}"}
        self.assertEqual(self.finish(self.start(key, DiskContainer=by_url))["Status"], "completed")

    def test_the_caller(self) -> None:
        key, everything = self.put(bytes(512)), ["ec2:*", "s3:*", "iam:PassRole"]
        tags = [{"ResourceType": "import-snapshot-task", "Tags": [{"Key": "a", "Value": "b"}]}]
        for missing, code, extra in (
            ("ec2:ImportSnapshot", "UnauthorizedOperation", {}),
            ("iam:PassRole", "InvalidParameter", {}),
            ("s3:GetObject", "InvalidParameter", {}),
            ("ec2:CreateTags", "UnauthorizedOperation", {"TagSpecifications": tags}),
        ):
            service = missing.partition(":")[0]
            allowed = [action for action in everything if not action.startswith(f"{service}:")]
            allowed += {"ec2": ["ec2:Describe*"], "s3": ["s3:GetBucketLocation"], "iam": []}[service]
            if missing == "ec2:CreateTags":
                allowed.append("ec2:ImportSnapshot")
            caller = emulator.client("ec2", **user({"Action": allowed, "Resource": "*"}))
            self.refused(code, caller.import_snapshot, **self.arguments(key, **extra))
        caller = emulator.client("ec2", **user({"Action": everything, "Resource": "*"}))
        self.refused("DryRunOperation", caller.import_snapshot, status=412, **self.arguments(key, DryRun=True))
        caller.import_snapshot(**self.arguments(key, TagSpecifications=tags))

    def test_least_privilege_by_arn(self) -> None:
        """The ARNs of images and snapshots have no account; ministack's do."""
        arns = [
            "arn:aws:ec2:us-east-1::snapshot/*",
            "arn:aws:ec2:us-east-1::image/*",
            f"arn:aws:ec2:us-east-1:{USER}:import-snapshot-task/*",
        ]
        actions = [
            "ec2:ImportSnapshot",
            "ec2:RegisterImage",
            "ec2:DeleteSnapshot",
            "ec2:DeregisterImage",
            "ec2:CreateTags",
            "ec2:CancelImportTask",
        ]
        credentials = user({"Action": actions, "Resource": arns})
        extra = policy(
            {
                "Action": ["iam:PassRole"],
                "Resource": f"arn:aws:iam::{USER}:role/{self.ROLE}",
                "Condition": {"StringEquals": {"iam:PassedToService": "vmie.amazonaws.com"}},
            },
            {"Action": ["s3:GetObject", "s3:GetBucketLocation"], "Resource": f"arn:aws:s3:::{self.BUCKET}*"},
        )
        name = self.iam.get_access_key_last_used(AccessKeyId=credentials["key"])["UserName"]
        self.iam.put_user_policy(UserName=name, PolicyName="extra", PolicyDocument=extra)
        caller = emulator.client("ec2", **credentials)
        snapshot = self.finish(caller.import_snapshot(**self.arguments(self.put(bytes(512))))["ImportTaskId"])[
            "SnapshotId"
        ]
        image = caller.register_image(**image_arguments("by-arn", snapshot))["ImageId"]
        caller.create_tags(Resources=[image, snapshot], Tags=[{"Key": "a", "Value": "b"}])
        caller.deregister_image(ImageId=image)
        caller.delete_snapshot(SnapshotId=snapshot)

    def test_tag_conditions(self) -> None:
        mine = {"StringEquals": {"aws:ResourceTag/owner": "obs"}}
        caller = emulator.client("ec2", **user({"Action": "ec2:DeleteSnapshot", "Resource": "*", "Condition": mine}))
        snapshot = self.snapshot()
        self.refused("UnauthorizedOperation", caller.delete_snapshot, SnapshotId=snapshot)
        self.ec2.create_tags(Resources=[snapshot], Tags=[{"Key": "owner", "Value": "obs"}])
        caller.delete_snapshot(SnapshotId=snapshot)
