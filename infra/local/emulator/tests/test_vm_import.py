"""VM Import: the tasks, and who may start one."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from botocore.exceptions import ClientError
from harness import (
    MIB,
    PATIENCE,
    REGION,
    STRANGER,
    TRIES,
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
        key = self.put(disk)

        def followed() -> tuple[str, list[str]]:
            """A task that has ended, and what it said meanwhile."""
            answer = self.ec2.import_snapshot(**self.arguments(key, Description="job 17", TagSpecifications=tags))
            detail = answer["SnapshotTaskDetail"]
            first = ("active", "pending", "3", "", 0.0)
            fields = ("Status", "StatusMessage", "Progress", "SnapshotId", "DiskImageSize")
            self.assertEqual(tuple(detail[field] for field in fields), first)
            seen, progress = [], []
            while detail["Status"] == "active":
                seen.append(detail["StatusMessage"])
                progress.append(int(detail["Progress"]))
                time.sleep(0.02)
                detail = self.detail(answer["ImportTaskId"])
            self.assertEqual(progress, sorted(progress))
            return answer["ImportTaskId"], list(dict.fromkeys(seen))

        tasks = {}
        while "downloading/converting" not in tasks.setdefault(*followed()):
            self.assertLess(len(tasks), TRIES)
        task, seen = list(tasks.items())[-1]
        self.assertEqual(seen, ["pending", "downloading/converting"])
        detail = self.detail(task)
        self.assertEqual((detail["Status"], detail["DiskImageSize"]), ("completed", float(len(disk))))
        snapshot = self.ec2.describe_snapshots(SnapshotIds=[detail["SnapshotId"]], OwnerIds=["self"])["Snapshots"][0]
        self.assertEqual((snapshot["State"], snapshot["VolumeSize"], snapshot["Encrypted"]), ("completed", 1, False))
        self.assertEqual(snapshot["Description"], f"Created by AWS-VMImport service for {task}")
        self.assertEqual(self.bytes_of(detail["SnapshotId"]).read_bytes(), disk)
        self.assertLess(self.bytes_of(detail["SnapshotId"]).stat().st_blocks * 512, len(disk) - 3 * MIB)
        self.ec2.delete_snapshot(SnapshotId=detail["SnapshotId"])
        self.assertFalse(self.bytes_of(detail["SnapshotId"]).exists())

    def test_a_large_object_is_a_file_and_shares_it(self) -> None:
        part, key, files = noise(40 * MIB), "large.raw", emulator.data / "data/objects"
        before = set(files.iterdir())
        upload = self.s3.create_multipart_upload(Bucket=self.BUCKET, Key=key)["UploadId"]
        where = {"Bucket": self.BUCKET, "Key": key}
        parts = []
        for number in (1, 2):
            answer = self.s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=part)
            checksum = {"ETag": answer["ETag"], "ChecksumCRC32": answer["ChecksumCRC32"]}
            parts.append({"PartNumber": number, **checksum})
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
        for image_format in ("vhd", "VHDX", "VMDK"):
            source = {"S3Bucket": self.BUCKET, "S3Key": self.put(bytes(512))}
            task = self.start("", DiskContainer={"Format": image_format, "UserBucket": source})
            starts[task] = f"Unsupported {image_format.upper()} File Format"
        for task, text in starts.items():
            detail = self.finish(task)
            self.assertEqual(detail["Status"], "deleted")
            self.assertRegex(detail["StatusMessage"], r"^ClientError: Disk validation failed \[.+\]$")
            self.assertIn(text, detail["StatusMessage"])
            self.assertEqual(detail["SnapshotId"], "")

    def test_what_vanishes_while_reading_fails_the_task(self) -> None:
        def object_deleted(task: str) -> str | None:
            self.s3.delete_object(Bucket=self.BUCKET, Key=key)
            detail = self.finish(task)
            self.put(bytes(512), key)
            return detail["StatusMessage"] if detail["Status"] == "deleted" else None

        key = self.put(bytes(512))
        self.assertIn("Reason 404 Not Found", self.meet(key, object_deleted))

        def role_blinded(task: str) -> str | None:
            while self.detail(task)["StatusMessage"] == "pending":
                time.sleep(0.02)
            self.iam.delete_role_policy(**of_role)
            detail = self.finish(task)
            self.iam.put_role_policy(**of_role, PolicyDocument=self.reading())
            return detail["StatusMessage"] if detail["Status"] == "deleted" else None

        of_role = {"RoleName": "short-lived", "PolicyName": "read"}
        self.iam.create_role(RoleName="short-lived", AssumeRolePolicyDocument=TRUST)
        self.iam.put_role_policy(**of_role, PolicyDocument=self.reading())
        self.assertIn("Reason 403 Forbidden", self.meet(key, role_blinded, RoleName="short-lived"))
        deadline = time.monotonic() + PATIENCE  # another test's import may be about to make one
        while self.with_bytes() - self.known():
            self.assertLess(time.monotonic(), deadline, "bytes that no snapshot has")
            time.sleep(0.1)

    def with_bytes(self) -> set[str]:
        return {path.stem for path in self.bytes_of("any").parent.iterdir()}

    def known(self) -> set[str]:
        found = self.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        return {snapshot["SnapshotId"] for snapshot in found}

    def test_cancel(self) -> None:
        def cancelled(task: str) -> tuple[str, dict[str, Any]] | None:
            try:
                return task, self.ec2.cancel_import_task(ImportTaskId=task)
            except ClientError as error:
                self.assertEqual(error.response["Error"]["Code"], "IncorrectState")
                self.finish(task)
                return None

        task, answer = self.meet(self.put(bytes(512)), cancelled)
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

    def test_lists(self) -> None:
        tasks = {}
        for number in ("1", "2", "3"):
            tags = [{"Key": "obs:job", "Value": number}, {"Key": "Name", "Value": "listed"}]
            specification = [{"ResourceType": "import-snapshot-task", "Tags": tags}]
            tasks[self.start(self.put(bytes(512)), TagSpecifications=specification)] = tags
        describe = self.ec2.describe_import_snapshot_tasks
        listed: list[dict[str, Any]] = []
        page: dict[str, Any] = {}
        while not page or "NextToken" in page:
            token = {"NextToken": page["NextToken"]} if page else {}
            page = describe(MaxResults=2, **token)
            self.assertLessEqual(len(page["ImportSnapshotTasks"]), 2)
            listed += page["ImportSnapshotTasks"]
        ids = [task["ImportTaskId"] for task in listed]
        self.assertEqual(len(ids), len(set(ids)))
        found = {task["ImportTaskId"]: task["Tags"] for task in listed if task["ImportTaskId"] in tasks}
        self.assertEqual(found, tasks)
        self.assertEqual([task["ImportTaskId"] for task in describe()["ImportSnapshotTasks"]][: len(ids)], ids)
        elsewhere = emulator.client("ec2", STRANGER), emulator.client("ec2", region="eu-central-1")
        for other in elsewhere:
            self.assertEqual(other.describe_import_snapshot_tasks()["ImportSnapshotTasks"], [])
            self.refused(
                "InvalidConversionTaskId.Malformed", other.describe_import_snapshot_tasks, ImportTaskIds=list(tasks)
            )
        for name in ("tag:obs:job", "tag-key", "task-state"):
            text = f"The filter '{name}' is invalid"
            self.refused("InvalidParameterValue", describe, text, Filters=[{"Name": name, "Values": ["1"]}])
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

    def test_a_role_made_a_moment_ago(self) -> None:
        name, key = self.role("made-just-now", TRUST, self.reading()), self.put(bytes(512))
        arguments, text = self.arguments(key, RoleName=name), f"The service role {name} provided does not exist or does"
        self.with_settings(USER, new_roles_unknown_seconds=3600)
        self.refused("InvalidParameter", self.ec2.import_snapshot, text, **arguments)
        self.with_settings(USER, new_roles_unknown_seconds=2)
        for _ in range(TRIES):
            try:
                self.ec2.import_snapshot(**arguments)
                break
            except ClientError:
                time.sleep(0.5)
        else:
            self.fail(f"{name} stays unknown")

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
            ("InvalidParameter", {"Format": "RAW", "Url": f"s3://{self.BUCKET}/{key}"}),
        ):
            self.refused(code, self.ec2.import_snapshot, RoleName=self.ROLE, DiskContainer=container)
        specification = [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}]
        arguments = self.arguments(key, TagSpecifications=specification)
        self.refused("InvalidParameterValue", self.ec2.import_snapshot, "not a valid taggable resource", **arguments)
        elsewhere = f"arn:aws:kms:eu-west-1:{USER}:key/12345678-1234-1234-1234-123456789012"
        for code, more in (
            ("InvalidParameterDependency", {"KmsKeyId": "alias/aws/ebs"}),
            ("InvalidParameterValue", {"Encrypted": True, "KmsKeyId": elsewhere}),
        ):
            self.refused(code, self.ec2.import_snapshot, **self.arguments(key, **more))

    def test_encryption(self) -> None:
        detail = self.finish(self.start(self.put(bytes(512)), Encrypted=True, KmsKeyId="alias/aws/ebs"))
        (snapshot,) = self.ec2.describe_snapshots(SnapshotIds=[detail["SnapshotId"]])["Snapshots"]
        self.assertTrue(detail["Encrypted"])
        self.assertEqual((snapshot["Encrypted"], snapshot["KmsKeyId"]), (True, detail["KmsKeyId"]))
        self.assertRegex(detail["KmsKeyId"], f"^arn:aws:kms:{REGION}:{USER}:key/")

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
