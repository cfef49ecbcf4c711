"""EBS snapshots of all accounts and regions: their records, which ministack keeps, and their bytes, which lie in
`<data>/snapshots/<account>/<region>/<snapshot>.raw` as long as a snapshot lives.

A record is ministack's, with more: `KmsKeyId`, `Blocks` (the indexes of the blocks that were written), `Made` (when, by
the monotonic clock), `StateMessage`, and `Course`, which says how its state goes on until it is final.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Protocol

from ministack.core.responses import get_account_id, get_region
from ministack.services import ec2

import blocks
import control
from file_body import Bytes, save

PENDING, COMPLETED, ERROR = "pending", "completed", "error"

WITHOUT_VOLUME = "vol-ffffffff"
"""The volume of a snapshot that was not made of one (seen: aws/aws-sdk 762 for imports; CopySnapshot: "an arbitrary
volume ID that should not be used for any purpose")."""

Record = dict[str, Any]


class Course(Protocol):
    def changes(self, settings: control.Settings) -> Record:
        """What is new in the record by now; a state other than `pending` ends the course."""


class SnapshotStore:
    """The bytes. Unless it is told otherwise, of the account and region of the request being served."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, snapshot: str, account: str | None = None, region: str | None = None) -> Path:
        return self.root / (account or get_account_id()) / (region or get_region()) / f"{snapshot}.raw"

    def put(self, snapshot: str, image: Bytes) -> None:
        path = self.path(snapshot)
        path.parent.mkdir(parents=True, exist_ok=True)
        save(image, path)

    def delete(self, snapshot: str) -> None:
        self.path(snapshot).unlink(missing_ok=True)


def new_record(gib: int, description: str, key: str | None, **more: Any) -> Record:
    """A new, pending snapshot of the caller's, put where ministack keeps them."""
    record = {
        "SnapshotId": ec2._new_snapshot_id(),
        "VolumeId": WITHOUT_VOLUME,
        "VolumeSize": gib,
        "Description": description,
        "State": PENDING,
        "StartTime": ec2._now_ts(),
        "Progress": "0%",
        "OwnerId": get_account_id(),
        "Encrypted": key is not None,
        "KmsKeyId": key,
        "StorageTier": "standard",
        "Made": time.monotonic(),
        **more,
    }
    ec2._snapshots[record["SnapshotId"]] = record
    return record


def find(snapshot: str) -> Record | None:
    """The caller's own snapshot."""
    record = ec2._snapshots.get(snapshot)
    return current(record) if record else None


def of_caller() -> list[Record]:
    return [current(record) for record in ec2._snapshots.values()]


def in_region(region: str) -> Iterator[tuple[str, Record]]:
    """The snapshots of all accounts in a region, each with its owner."""
    for (owner, where, _), record in ec2._snapshots.all_items():
        if where == region:
            yield owner, current(record)


def usable(snapshot: str, region: str) -> tuple[str, Record] | None:
    """A snapshot that is the caller's own or shared with them, and its owner."""
    for owner, record in in_region(region):
        if record["SnapshotId"] == snapshot and (owner == get_account_id() or is_shared_with(record, get_account_id())):
            return owner, record
    return None


def is_shared_with(record: Record, account: str) -> bool:
    return account in sharers(record)


def sharers(record: Record) -> list[str]:
    return [permission["UserId"] for permission in record.get("CreateVolumePermissions", [])]


def current(record: Record) -> Record:
    course: Course | None = record.get("Course")
    if course:
        record.update(course.changes(control.of_account(record["OwnerId"])))
        if record["State"] != PENDING:
            record["Course"] = None
    return record


def written_blocks(record: Record, path: Path) -> Collection[int]:
    """The blocks that a snapshot has. A snapshot that ministack made of a volume has none, nor a file."""
    written: Collection[int] | None = record.get("Blocks")
    if written is not None:
        return written
    return list(blocks.data_of(path)) if path.exists() else []
