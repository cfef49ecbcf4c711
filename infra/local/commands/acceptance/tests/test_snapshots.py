import base64
import hashlib
import io
import tempfile
import unittest
from pathlib import Path

from botocore.response import StreamingBody

from acceptance import snapshots
from acceptance.snapshots import BLOCK, Snapshot
from acceptance.tests.stubs import Free, StubbedAccount

SNAPSHOT = Snapshot("snap-0123456789abcdef0", 1, False)
IMAGE = {
    "ImageId": "ami-1",
    "RootDeviceName": "/dev/sda1",
    "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": SNAPSHOT.id}}],
}


class SnapshotsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.disk = Path(folder.name, "disk.raw")
        # A block of data, one of zeros, and half a block of data.
        self.disk.write_bytes(b"a" * BLOCK + bytes(BLOCK) + b"b" * (BLOCK // 2))
        self.account = StubbedAccount()

    def stored(self, blocks):
        ebs = self.account.stub("ebs")
        listed = [{"BlockIndex": index, "BlockToken": f"token{index}"} for index in blocks]
        pages = [{"Blocks": listed[:1], "NextToken": "page2"}, {"Blocks": listed[1:]}]
        asked = {"SnapshotId": SNAPSHOT.id, "MaxResults": 1000}
        ebs.add_response("list_snapshot_blocks", pages[0], asked)
        ebs.add_response("list_snapshot_blocks", pages[1], {**asked, "NextToken": "page2"})
        for index, data in blocks.items():
            answer = {
                "DataLength": BLOCK,
                "BlockData": StreamingBody(io.BytesIO(data), len(data)),
                "Checksum": base64.b64encode(hashlib.sha256(data).digest()).decode(),
                "ChecksumAlgorithm": "SHA256",
            }
            asked = {"SnapshotId": SNAPSHOT.id, "BlockIndex": index, "BlockToken": f"token{index}"}
            ebs.add_response("get_snapshot_block", answer, asked)

    def differences(self, guard=None):
        snapshots.READERS = 1  # in the order of the answers
        with self.account.stubbed():
            return snapshots.differences(self.account.client("ebs"), SNAPSHOT, self.disk, guard or Free())

    def test_the_disk_is_found_again_with_zeros_that_nobody_wrote(self):
        guard = Free()
        self.stored({0: b"a" * BLOCK, 2: b"b" * (BLOCK // 2) + bytes(BLOCK // 2)})
        self.assertEqual(self.differences(guard), ([], 2))
        self.assertEqual(guard.counts["blocks read (GetSnapshotBlock)"], 2)
        self.assertEqual(guard.counts["lists of blocks (ListSnapshotBlocks)"], 2)

    def test_a_block_with_other_bytes_differs(self):
        self.stored({0: b"a" * BLOCK, 2: b"b" * BLOCK})
        self.assertEqual(self.differences(), ([2], 2))

    def test_a_block_that_is_missing_differs(self):
        self.stored({0: b"a" * BLOCK, 1: bytes(BLOCK)})
        self.assertEqual(self.differences(), ([2], 2))

    def test_data_behind_the_end_of_the_disk_differs(self):
        self.stored({0: b"a" * BLOCK, 2: b"b" * (BLOCK // 2) + bytes(BLOCK // 2), 9: b"c" * BLOCK})
        self.assertEqual(self.differences(), ([9], 3))

    def test_an_encrypted_snapshot_with_blocks_that_nobody_wrote_is_a_failure(self):
        ec2 = self.account.stub("ec2")
        ec2.add_response("describe_images", {"Images": [IMAGE]}, {"ImageIds": ["ami-1"]})
        found = {"SnapshotId": SNAPSHOT.id, "VolumeSize": 1, "Encrypted": True}
        ec2.add_response("describe_snapshots", {"Snapshots": [found]}, {"SnapshotIds": [SNAPSHOT.id]})
        self.stored({0: b"a" * BLOCK, 2: b"b" * (BLOCK // 2) + bytes(BLOCK // 2)})
        snapshots.READERS = 1
        with self.account.stubbed():
            finding = snapshots.compare(self.account, None, "ami-1", self.disk, Free())
        self.assertFalse(finding.ok)
        self.assertIn("only 2 of 2048 blocks", finding.found)


if __name__ == "__main__":
    unittest.main()
