"""The bytes behind an AMI, read by EBS direct, and compared with the disk.

EBS direct API reference: ListSnapshotBlocks, GetSnapshotBlock. A block that is not listed was never written; a volume
of an unencrypted snapshot has zeros there.
"""

import base64
import concurrent.futures
import hashlib
import os
from dataclasses import dataclass

from acceptance.report import Finding
from common.failure import Failure

BLOCK = 512 * 1024
READERS = 8


@dataclass(frozen=True)
class Snapshot:
    id: str
    volume_gib: int
    encrypted: bool


def of_ami(ec2, ami):
    (image,) = ec2.describe_images(ImageIds=[ami])["Images"]
    for mapping in image["BlockDeviceMappings"]:
        if mapping["DeviceName"] == image["RootDeviceName"] and "SnapshotId" in mapping.get("Ebs", {}):
            (found,) = ec2.describe_snapshots(SnapshotIds=[mapping["Ebs"]["SnapshotId"]])["Snapshots"]
            return Snapshot(found["SnapshotId"], found["VolumeSize"], found["Encrypted"])
    raise Failure(f"{ami} has no snapshot as its root device")


def tokens(ebs, snapshot, guard):
    """The written blocks: their tokens by their indexes."""
    found, page = {}, {}
    while True:
        guard.spend("lists of blocks (ListSnapshotBlocks)", 1)
        answer = ebs.list_snapshot_blocks(SnapshotId=snapshot.id, MaxResults=1000, **page)
        found |= {block["BlockIndex"]: block["BlockToken"] for block in answer["Blocks"]}
        if not answer.get("NextToken"):
            return found
        page = {"NextToken": answer["NextToken"]}


def read(ebs, snapshot, index, token, guard):
    guard.spend("blocks read (GetSnapshotBlock)", 1)
    answer = ebs.get_snapshot_block(SnapshotId=snapshot.id, BlockIndex=index, BlockToken=token)
    data = answer["BlockData"].read()
    if base64.b64encode(hashlib.sha256(data).digest()).decode() != answer["Checksum"]:
        raise Failure(f"block {index} of {snapshot.id} has another checksum than EBS says")
    return data


def expected(disk, index):
    """What a block of the disk's volume has: behind the disk's end, zeros."""
    with disk.open("rb") as file:
        file.seek(index * BLOCK)
        return file.read(BLOCK).ljust(BLOCK, b"\0")


def differences(ebs, snapshot, disk, guard):
    """(indexes of the blocks that are not those of the disk, number of written blocks)."""
    written = tokens(ebs, snapshot, guard)

    def differs(index):
        return read(ebs, snapshot, index, written[index], guard) != expected(disk, index)

    with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
        wrong = [index for index, bad in zip(written, pool.map(differs, written)) if bad]
    blocks = -(-os.path.getsize(disk) // BLOCK)
    wrong += [index for index in range(blocks) if index not in written and any(expected(disk, index))]
    return sorted(wrong), len(written)


def compare(account, region, ami, disk, guard):
    """A finding: whether the AMI's bytes are those of the disk."""
    snapshot = of_ami(account.client("ec2", region), ami)
    wrong, written = differences(account.client("ebs", region), snapshot, disk, guard)
    if wrong:
        return Finding(False, f"{len(wrong)} blocks differ, the first is block {wrong[0]}")
    whole = snapshot.volume_gib * (1 << 30) // BLOCK
    if snapshot.encrypted and written < whole:
        return Finding(False, f"encrypted, but only {written} of {whole} blocks are written: the others read as noise")
    kind = "encrypted" if snapshot.encrypted else "unencrypted"
    return Finding(True, f"{ami}, {snapshot.id}, {kind}: {written} blocks are written, all are those of the disk")
