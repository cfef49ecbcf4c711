"""EBS direct: what it takes, in which order, and how it refuses the rest."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from typing import Any

from botocore.exceptions import ClientError
from harness import BLOCK, REGION, EbsCase, block_arguments, checksum, emulator, image_arguments, noise, policy, user

NOWHERE = "snap-00000000000000000"
TAGS = [{"Key": "obs:job", "Value": "17"}]
VALIDATION, MISSING = "ValidationException", "ResourceNotFoundException"


class Start(EbsCase):
    def test_the_answer(self) -> None:
        answer = self.ebs.start_snapshot(VolumeSize=3, Description="a disk", Tags=TAGS, Timeout=10)
        expected = {
            "Description": "a disk",
            "OwnerId": self.account,
            "Status": "pending",
            "VolumeSize": 3,
            "BlockSize": BLOCK,
            "Tags": TAGS,
            "SseType": "none",
        }
        self.assertEqual({name: answer.get(name) for name in expected}, expected)
        self.assertNotIn("KmsKeyArn", answer)
        self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 201)
        found = self.state(answer["SnapshotId"])
        expected = {
            "State": "pending",
            "Progress": "0%",
            "VolumeId": "vol-ffffffff",
            "VolumeSize": 3,
            "Encrypted": False,
            "Description": "a disk",
            "OwnerId": self.account,
            "Tags": TAGS,
        }
        self.assertEqual({name: found.get(name) for name in expected}, expected)

    def test_a_client_token(self) -> None:
        given: dict[str, Any] = {"VolumeSize": 1, "ClientToken": "job-17", "Tags": TAGS}
        first = self.ebs.start_snapshot(**given)
        second = self.ebs.start_snapshot(**given)
        self.assertEqual(first["SnapshotId"], second["SnapshotId"])
        text = "Current request does not match request stored with this token."
        self.refused("ConflictException", self.ebs.start_snapshot, text, 409, **{**given, "VolumeSize": 2})
        other = emulator.client("ebs", self.account, region="eu-west-1")
        self.assertNotEqual(other.start_snapshot(**given)["SnapshotId"], first["SnapshotId"])

    def test_what_is_refused(self) -> None:
        key = f"arn:aws:kms:eu-west-1:{self.account}:key/12345678-1234-1234-1234-123456789012"
        too_many = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
        for code, arguments in (
            (VALIDATION, {"VolumeSize": 0}),
            (VALIDATION, {"VolumeSize": 65_537}),
            (VALIDATION, {"Timeout": 9}),
            (VALIDATION, {"Timeout": 4321}),
            (VALIDATION, {"Tags": [{"Key": "aws:a", "Value": ""}]}),
            (VALIDATION, {"Tags": too_many}),
            (VALIDATION, {"Encrypted": False, "KmsKeyArn": key.replace("eu-west-1", REGION)}),
            (VALIDATION, {"KmsKeyArn": key}),
            (VALIDATION, {"KmsKeyArn": "alias/aws/ebs"}),
            (VALIDATION, {"ParentSnapshotId": "snap-of-mine"}),
            ("SerializationException", {"VolumeSize": True}),
            ("SerializationException", {"VolumeSize": 1.5}),
            ("SerializationException", {"Description": 1}),
        ):
            with self.subTest(arguments=arguments):
                self.refused(code, self.start, **arguments)
        self.assertEqual(self.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"], [])
        self.start(VolumeSize=65_536, Timeout=4320, Tags=too_many[:50])

    def test_a_parent(self) -> None:
        a, b = noise(BLOCK), noise(BLOCK)
        parent = self.written({0: a, 3: a})
        child = self.start(ParentSnapshotId=parent)
        self.put(child, 3, b)
        self.ebs.complete_snapshot(SnapshotId=child, ChangedBlocksCount=1)
        self.assertEqual(self.until_final(child)["State"], "completed")
        self.assertEqual([*self.listed(child)], [0, 3])
        disk = self.disk(child)
        self.assertEqual((disk[:BLOCK], disk[3 * BLOCK : 4 * BLOCK], len(disk)), (a, b, 1 << 30))
        self.refused(MISSING, self.start, status=404, ParentSnapshotId=NOWHERE)
        self.refused(VALIDATION, self.start, "cannot be specified together", ParentSnapshotId=parent, Encrypted=True)
        pending = self.start()
        self.refused(VALIDATION, self.start, "is not complete", ParentSnapshotId=pending)


class Put(EbsCase):
    def refused_put(self, code: str, text: str, status: int, *block: Any, **changes: Any) -> None:
        arguments = block_arguments(*block, **changes)
        self.refused(code, self.ebs.put_snapshot_block, text, status, **arguments)

    def test_what_is_refused(self) -> None:
        snapshot, data = self.start(), noise(BLOCK)
        full = (snapshot, 0, data)
        self.refused_put(VALIDATION, "expected 524288", 400, snapshot, 0, data[:512])
        self.refused_put(VALIDATION, "Failed to read block data", 400, snapshot, 0, data[:512], DataLength=BLOCK)
        self.refused_put(VALIDATION, "expected 524288", 400, *full, DataLength=1)
        self.refused_put(VALIDATION, "Block index 2048 is beyond", 400, snapshot, 2048, data)
        self.refused_put(VALIDATION, "Block index -1 is beyond", 400, snapshot, -1, data)
        self.refused_put(VALIDATION, "Unsupported Checksum Algorithm 'SHA1'", 400, *full, ChecksumAlgorithm="SHA1")
        text = f"Computed checksum: {checksum(data)} expected checksum: {checksum(b'')}"
        self.refused_put("InvalidSignatureException", text, 403, *full, Checksum=checksum(b""))
        self.refused_put(MISSING, NOWHERE, 404, NOWHERE, 0, data)
        stranger = emulator.client("ebs", "999999999999")
        self.refused(MISSING, stranger.put_snapshot_block, status=404, **block_arguments(*full))
        elsewhere = emulator.client("ebs", self.account, region="eu-west-1")
        self.refused(MISSING, elsewhere.put_snapshot_block, status=404, **block_arguments(*full))
        # Nothing of it counts.
        self.put(snapshot, 2047, data)
        self.ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=1)
        self.assertEqual(self.until_final(snapshot)["State"], "completed")
        self.assertEqual([*self.listed(snapshot)], [2047])

    def test_a_block_again(self) -> None:
        snapshot, data = self.start(), noise(BLOCK)
        for written in (data, bytes(BLOCK), data, bytes(BLOCK)):
            answer = self.ebs.put_snapshot_block(**block_arguments(snapshot, 1, written))
            self.assertEqual((answer["Checksum"], answer["ChecksumAlgorithm"]), (checksum(written), "SHA256"))
        self.ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=1)
        self.assertEqual(self.until_final(snapshot)["State"], "completed")
        token = self.listed(snapshot)[1]
        got = self.ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=1, BlockToken=token)
        self.assertEqual(got["BlockData"].read(), bytes(BLOCK))

    def test_a_sealed_or_deleted_snapshot_takes_none(self) -> None:
        self.with_settings(self.account, snapshot_pending_seconds=3600)
        snapshot, data = self.start(), noise(BLOCK)
        self.put(snapshot, 0, data)
        self.ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=1)
        self.refused_put(VALIDATION, "Snapshot is already completed", 400, snapshot, 1, data)
        emulator.settings(self.account)
        self.until_final(snapshot)
        self.refused_put(VALIDATION, "Snapshot is already completed", 400, snapshot, 1, data)
        pending = self.start()
        self.put(pending, 0, data)
        self.ec2.delete_snapshot(SnapshotId=pending)
        self.refused_put(MISSING, pending, 404, pending, 1, data)
        complete = self.ebs.complete_snapshot
        self.refused(MISSING, complete, status=404, SnapshotId=pending, ChangedBlocksCount=1)
        self.refused("InvalidSnapshot.NotFound", self.state, snapshot=pending)
        self.assertFalse((emulator.data / "data/snapshots" / self.account / REGION / f"{pending}.raw").exists())

    def test_a_large_volume_takes_no_room(self) -> None:
        snapshot = self.start(VolumeSize=2048)
        self.put(snapshot, 2048 * 2048 - 1, noise(BLOCK))
        file = os.stat(emulator.data / "data/snapshots" / self.account / REGION / f"{snapshot}.raw")
        self.assertEqual(file.st_size, 2048 << 30)
        self.assertLess(file.st_blocks * 512, 1 << 20)


class Complete(EbsCase):
    def test_it_is_pending_for_a_while(self) -> None:
        self.with_settings(self.account, snapshot_pending_seconds=3600)
        snapshot = self.start()
        answer = self.ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=0)
        self.assertEqual((answer["Status"], answer["ResponseMetadata"]["HTTPStatusCode"]), ("pending", 202))
        image = image_arguments("pending", snapshot)
        self.refused("IncorrectState", self.ec2.register_image, "is not 'completed'", **image)
        self.refused(MISSING, self.listed, snapshot=snapshot)
        emulator.settings(self.account)
        found = self.until_final(snapshot)
        self.assertEqual((found["State"], found["Progress"]), ("completed", "100%"))
        again = self.ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=0)
        self.assertEqual(again["Status"], "completed")
        self.ec2.register_image(**image)

    def test_a_wrong_count_or_checksum_ends_in_an_error(self) -> None:
        data = {2: noise(BLOCK), 0: noise(BLOCK)}
        right = checksum(b"".join(hashlib.sha256(data[index]).digest() for index in (0, 2)))
        wrong = checksum(b"".join(hashlib.sha256(data[index]).digest() for index in (2, 0)))
        linear = {"ChecksumAlgorithm": "SHA256", "ChecksumAggregationMethod": "LINEAR"}
        for arguments, message in (
            ({"ChangedBlocksCount": 2}, None),
            ({"ChangedBlocksCount": 2, "Checksum": right, **linear}, None),
            ({"ChangedBlocksCount": 2, "Checksum": wrong, **linear}, "Checksum mismatch for snapshot"),
            ({"ChangedBlocksCount": 1}, "Changed blocks count mismatch for snapshot"),
            ({"ChangedBlocksCount": 3}, "Changed blocks count mismatch for snapshot"),
        ):
            with self.subTest(arguments=arguments):
                snapshot = self.start()
                for index, block in data.items():
                    self.put(snapshot, index, block)
                answer = self.ebs.complete_snapshot(SnapshotId=snapshot, **arguments)
                self.assertEqual(answer["Status"], "pending")
                found = self.until_final(snapshot)
                self.assertEqual(found["State"], "error" if message else "completed")
                self.assertEqual(found.get("StateMessage"), message)
        self.refused("IncorrectState", self.ec2.register_image, **image_arguments("faulty", snapshot))
        self.refused(MISSING, self.put, snapshot=snapshot, index=0, data=data[0])
        self.ec2.delete_snapshot(SnapshotId=snapshot)

    def test_half_a_checksum(self) -> None:
        snapshot = self.start()
        for arguments in ({"Checksum": checksum(b"")}, {"ChecksumAlgorithm": "SHA256"}):
            complete = self.ebs.complete_snapshot
            self.refused(VALIDATION, complete, "is missing", SnapshotId=snapshot, ChangedBlocksCount=0, **arguments)
        self.assertEqual(self.state(snapshot)["State"], "pending")

    def test_a_time_out(self) -> None:
        self.with_settings(self.account, snapshot_timeout_minute_seconds=0.3)
        idle, busy = self.start(Timeout=10), self.start(Timeout=10)
        while (found := self.state(idle))["State"] == "pending":
            self.put(busy, 0, noise(BLOCK))
            time.sleep(0.2)
        self.assertEqual((found["State"], found["StateMessage"]), ("error", "Snapshot timed out"))
        self.assertEqual(self.state(busy)["State"], "pending")
        self.refused(MISSING, self.put, snapshot=idle, index=0, data=noise(BLOCK))
        self.assertEqual(self.until_final(busy)["State"], "error")


class Read(EbsCase):
    def test_pages(self) -> None:
        zero = bytes(BLOCK)
        snapshot = self.written({index: zero for index in range(0, 404, 2)})
        pages, more = [], {}
        while True:
            answer = self.ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=100, **more)
            pages.append([block["BlockIndex"] for block in answer["Blocks"]])
            if "NextToken" not in answer:
                break
            more = {"NextToken": answer["NextToken"]}
        self.assertEqual([len(page) for page in pages], [100, 100, 2])
        self.assertEqual(sum(pages, []), [*range(0, 404, 2)])
        self.assertEqual((answer["BlockSize"], answer["VolumeSize"]), (BLOCK, 1))
        later = self.ebs.list_snapshot_blocks(SnapshotId=snapshot, StartingBlockIndex=401)["Blocks"]
        self.assertEqual([block["BlockIndex"] for block in later], [402])
        token = base64.b64encode(b"other/0").decode()
        self.refused(VALIDATION, self.ebs.list_snapshot_blocks, "pagination", SnapshotId=snapshot, NextToken=token)

    def test_blocks_and_their_tokens(self) -> None:
        data = noise(BLOCK)
        snapshot = self.written({5: data, 6: data})
        tokens = self.listed(snapshot)
        got = self.ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=5, BlockToken=tokens[5])
        self.assertEqual(got["BlockData"].read(), data)
        self.assertEqual((got["Checksum"], got["DataLength"]), (checksum(data), BLOCK))
        for index in (6, 7):
            named = {"SnapshotId": snapshot, "BlockIndex": index, "BlockToken": tokens[5]}
            self.refused(VALIDATION, self.ebs.get_snapshot_block, "is invalid", **named)

    def test_a_shared_snapshot(self) -> None:
        snapshot, other = self.written({1: noise(BLOCK)}), "888888888888"
        stranger = emulator.client("ebs", other)
        self.refused(MISSING, stranger.list_snapshot_blocks, SnapshotId=snapshot)
        share = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [other]}
        self.ec2.modify_snapshot_attribute(SnapshotId=snapshot, **share)
        self.assertEqual(len(stranger.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]), 1)
        self.refused(MISSING, stranger.start_snapshot, VolumeSize=1, ParentSnapshotId=snapshot)


class Encryption(EbsCase):
    def test_unwritten_blocks_are_noise(self) -> None:
        data = noise(BLOCK)
        for arguments, is_noise in (({}, False), ({"Encrypted": True}, True)):
            snapshot = self.written({1: data, 3: bytes(BLOCK)}, **arguments)
            disk = self.disk(snapshot)
            self.assertEqual(len(disk), 1 << 30)
            self.assertEqual(disk[BLOCK : 2 * BLOCK], data)
            self.assertEqual(disk[3 * BLOCK : 4 * BLOCK], bytes(BLOCK))
            unwritten = {disk[index * BLOCK : (index + 1) * BLOCK] for index in (0, 2, 4, 2047)}
            self.assertEqual(len(unwritten), 4 if is_noise else 1)
            self.assertEqual(bytes(BLOCK) in unwritten, not is_noise)
            self.assertEqual([*self.listed(snapshot)], [1, 3])

    def test_keys(self) -> None:
        key = f"arn:aws:kms:{REGION}:{self.account}:key/12345678-1234-1234-1234-123456789012"
        managed = self.ebs.start_snapshot(VolumeSize=1, Encrypted=True)
        own = self.ebs.start_snapshot(VolumeSize=1, Encrypted=True, KmsKeyArn=key)
        self.assertRegex(managed["KmsKeyArn"], f"^arn:aws:kms:{REGION}:{self.account}:key/[0-9a-f-]{{36}}$")
        self.assertEqual((own["KmsKeyArn"], own["SseType"]), (key, "sse-kms"))
        found = self.state(own["SnapshotId"])
        self.assertEqual((found["Encrypted"], found["KmsKeyId"]), (True, key))

    def test_encryption_by_default(self) -> None:
        plain = self.written({})
        self.assertTrue(self.ec2.enable_ebs_encryption_by_default()["EbsEncryptionByDefault"])
        self.assertTrue(self.ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"])
        other = emulator.client("ec2", self.account, region="eu-west-1")
        self.assertFalse(other.get_ebs_encryption_by_default()["EbsEncryptionByDefault"])
        for arguments in ({}, {"Encrypted": False}):
            answer = self.ebs.start_snapshot(VolumeSize=1, **arguments)
            self.assertIn("KmsKeyArn", answer)
            self.assertTrue(self.state(answer["SnapshotId"])["Encrypted"])
        self.refused(VALIDATION, self.start, "unencrypted parent", ParentSnapshotId=plain)
        self.assertFalse(self.ec2.disable_ebs_encryption_by_default()["EbsEncryptionByDefault"])
        self.assertNotIn("KmsKeyArn", self.ebs.start_snapshot(VolumeSize=1))


class Quotas(EbsCase):
    def codes(self, call: Any, times: int) -> list[str]:
        codes = []
        for _ in range(times):
            try:
                call()
                codes.append("")
            except ClientError as error:
                self.assertEqual(error.response["ResponseMetadata"]["HTTPStatusCode"], 400)
                codes.append(error.response["Error"]["Code"])
        return codes

    def test_requests_a_second(self) -> None:
        self.with_settings(self.account, put_snapshot_block_per_second=2)
        snapshot, data = self.start(), noise(BLOCK)
        began = time.monotonic()
        codes = self.codes(lambda: self.put(snapshot, 0, data), 16)
        seconds = time.monotonic() - began
        self.assertEqual(set(codes), {"", "ThrottlingException"})
        self.assertLessEqual(codes.count(""), 2 * (int(seconds) + 1))
        emulator.settings(self.account, start_snapshot_per_second=1)
        self.assertIn("ThrottlingException", self.codes(self.start, 3))
        time.sleep(1)
        self.start()

    def test_pending_snapshots(self) -> None:
        self.with_settings(self.account, pending_snapshots=2)
        first = self.start()
        self.start()
        self.refused("ConcurrentLimitExceededException", self.start, "pending snapshots")
        self.ec2.delete_snapshot(SnapshotId=first)
        self.start()


class WhoMay(EbsCase):
    """ebs:* on the ARNs of snapshots, and ec2:CreateTags for tags."""

    SNAPSHOTS = "arn:aws:ec2:*::snapshot/*"
    DENIED = "AccessDeniedException"

    def caller(self, *statements: dict[str, Any], service: str = "ebs") -> Any:
        return emulator.client(service, **user(*statements, account=self.account))

    def test_permission_before_existence(self) -> None:
        """So that a call about a snapshot that is not there tells whether the caller may make it."""
        may = self.caller({"Action": "ebs:*", "Resource": self.SNAPSHOTS})
        may_not = self.caller({"Action": "ec2:*", "Resource": "*"})
        block = block_arguments(NOWHERE, 0, noise(BLOCK))
        for name, arguments in (
            ("start_snapshot", {"VolumeSize": 1, "ParentSnapshotId": NOWHERE}),
            ("put_snapshot_block", block),
            ("complete_snapshot", {"SnapshotId": NOWHERE, "ChangedBlocksCount": 0}),
            ("list_snapshot_blocks", {"SnapshotId": NOWHERE}),
            ("get_snapshot_block", {"SnapshotId": NOWHERE, "BlockIndex": 0, "BlockToken": "AAAA"}),
        ):
            action = "ebs:" + "".join(word.capitalize() for word in name.split("_"))
            with self.subTest(action=action):
                self.refused(MISSING, getattr(may, name), status=404, **arguments)
                self.refused(self.DENIED, getattr(may_not, name), action, 403, **arguments)

    def test_each_action_by_its_name(self) -> None:
        starting = self.caller({"Action": "ebs:StartSnapshot", "Resource": self.SNAPSHOTS})
        snapshot = starting.start_snapshot(VolumeSize=1)["SnapshotId"]
        arguments = block_arguments(snapshot, 0, noise(BLOCK))
        self.refused(self.DENIED, starting.put_snapshot_block, "ebs:PutSnapshotBlock", **arguments)
        named = f"arn:aws:ec2:{REGION}::snapshot/{snapshot}"
        putting = self.caller({"Action": "ebs:PutSnapshotBlock", "Resource": named})
        putting.put_snapshot_block(**arguments)
        complete = {"SnapshotId": snapshot, "ChangedBlocksCount": 1}
        self.refused(self.DENIED, putting.complete_snapshot, "ebs:CompleteSnapshot", **complete)
        with_account = f"arn:aws:ec2:{REGION}:{self.account}:snapshot/{snapshot}"
        by_account = self.caller({"Action": "ebs:*", "Resource": with_account})
        self.refused(self.DENIED, by_account.put_snapshot_block, **arguments)

    def test_tags_need_create_tags(self) -> None:
        starts = {"Action": "ebs:StartSnapshot", "Resource": self.SNAPSHOTS}
        tags = {"Action": "ec2:CreateTags", "Resource": self.SNAPSHOTS}
        own = {"Condition": {"StringEquals": {"aws:RequestTag/obs:job": "17"}}}
        other = {"Condition": {"StringEquals": {"aws:RequestTag/obs:job": "18"}}}
        created = {"Condition": {"StringLike": {"ec2:CreateAction": "*"}}}
        for statements, allowed in (
            ([starts], False),
            ([starts, tags], True),
            ([starts, tags | own], True),
            ([starts | own, tags], True),
            ([starts, tags | other], False),
            ([starts | other, tags], False),
            ([starts, tags | created], False),
        ):
            with self.subTest(statements=statements):
                start = self.caller(*statements).start_snapshot
                if allowed:
                    start(VolumeSize=1, Tags=TAGS)
                else:
                    self.refused(self.DENIED, start, VolumeSize=1, Tags=TAGS)
                time.sleep(0.1)  # ten snapshots a second may be started

    def test_the_tags_of_a_snapshot_in_a_session_policy(self) -> None:
        mine, others = self.start(Tags=TAGS), self.start(Tags=[{"Key": "obs:job", "Value": "18"}])
        iam = emulator.client("iam", self.account)
        trust = policy({"Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"})
        arn = iam.create_role(RoleName="writer", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        everything = {"Action": "ebs:*", "Resource": "*"}
        iam.put_role_policy(RoleName="writer", PolicyName="all", PolicyDocument=policy(everything))
        sts = emulator.client("sts", **user({"Action": "sts:AssumeRole", "Resource": arn}, account=self.account))
        narrow = everything | {"Condition": {"StringEquals": {"aws:ResourceTag/obs:job": "17"}}}
        given = sts.assume_role(RoleArn=arn, RoleSessionName="obs", Policy=policy(narrow))["Credentials"]
        caller = emulator.client("ebs", given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        caller.put_snapshot_block(**block_arguments(mine, 0, noise(BLOCK)))
        self.refused(self.DENIED, caller.put_snapshot_block, **block_arguments(others, 0, noise(BLOCK)))

    def test_the_policy_that_obs_asks_for_has_no_ebs(self) -> None:
        iam = emulator.client("iam", self.account)
        trust = policy({"Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"})
        arn = iam.create_role(RoleName="obs", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.attach_role_policy(RoleName="obs", PolicyArn="arn:aws:iam::aws:policy/AmazonEC2FullAccess")
        sts = emulator.client("sts", **user({"Action": "sts:AssumeRole", "Resource": arn}, account=self.account))
        given = sts.assume_role(RoleArn=arn, RoleSessionName="obs")["Credentials"]
        session = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        self.refused(self.DENIED, emulator.client("ebs", *session).start_snapshot, VolumeSize=1)
        copy = {"SourceRegion": REGION, "SourceSnapshotId": NOWHERE, "DryRun": True}
        self.refused("DryRunOperation", emulator.client("ec2", *session).copy_snapshot, **copy)

    def test_credentials(self) -> None:
        wrong = emulator.client("ebs", "AKIAABCDEFGHIJKLMNOP", "wrong")
        self.refused("UnrecognizedClientException", wrong.start_snapshot, status=403, VolumeSize=1)
        key = user({"Action": "ebs:*", "Resource": "*"}, account=self.account)
        forged = emulator.client("ebs", key["key"], "forged")
        self.refused("InvalidSignatureException", forged.start_snapshot, status=403, VolumeSize=1)
        self.with_settings(self.account, disabled_regions=["eu-south-1"])
        closed = emulator.client("ebs", **key, region="eu-south-1")
        self.refused("UnrecognizedClientException", closed.start_snapshot, status=403, VolumeSize=1)
