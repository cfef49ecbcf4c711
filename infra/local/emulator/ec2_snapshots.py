"""EC2's side of snapshots: listing, deleting, sharing and copying them, and encryption by default.

DescribeSnapshots, DeleteSnapshot, ModifySnapshotAttribute, DescribeSnapshotAttribute, CopySnapshot,
EnableEbsEncryptionByDefault and its like (EC2 API Reference); "Share an Amazon EBS snapshot", "Copy an Amazon EBS
snapshot" (EBS User Guide). Texts that those do not give come from what AWS answered elsewhere; README.md lists them.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import ec2

import control
import ec2_access
import encryption
import snapshots
from ec2_query import Answer, Query, Refusal, add_tags, check_filters, ec2_element, invalid_value, serve
from image_checks import check_snapshot_id
from snapshots import COMPLETED, ERROR, Record, SnapshotStore

FILTERS = (
    "description",
    "encrypted",
    "owner-id",
    "progress",
    "snapshot-id",
    "start-time",
    "status",
    "storage-tier",
    "tag-key",
    "volume-id",
    "volume-size",
)
"""Besides `tag:<key>`; AWS has a few more."""

SMALLEST_PAGE, LARGEST_PAGE = 5, 1000
"""DescribeSnapshots, MaxResults."""

_ACCOUNT = re.compile(r"\d{12}")


@dataclass
class Copying:
    """The course of a copy."""

    fault: str
    started: float = field(default_factory=time.monotonic)

    def changes(self, settings: control.Settings) -> Record:
        passed = time.monotonic() - self.started
        if passed < settings.snapshot_copy_seconds:
            return {"Progress": f"{int(100 * passed / settings.snapshot_copy_seconds)}%"}
        if self.fault:
            return {"State": ERROR, "StateMessage": self.fault}
        return {"State": COMPLETED, "Progress": "100%"}


class Snapshots:
    def __init__(self, store: SnapshotStore) -> None:
        self.store = store

    def install(self) -> None:
        serve("DescribeSnapshots", describe)
        serve("DeleteSnapshot", self.delete)
        serve("CopySnapshot", self.copy)
        serve("ModifySnapshotAttribute", modify_attribute)
        serve("DescribeSnapshotAttribute", describe_attribute)
        serve("GetEbsEncryptionByDefault", encryption_by_default(None))
        serve("EnableEbsEncryptionByDefault", encryption_by_default(True))
        serve("DisableEbsEncryptionByDefault", encryption_by_default(False))

    def delete(self, query: Query) -> Answer:
        """DeleteSnapshot: "You cannot delete a snapshot of the root device of an EBS volume used by a registered AMI".

        Text as in boto/boto issue 3019. A pending snapshot goes too, and later puts find none.
        """
        record = own(query)
        snapshot = record["SnapshotId"]
        if image := image_using(snapshot):
            raise Refusal("InvalidSnapshot.InUse", f"The snapshot {snapshot} is currently in use by {image}")
        ec2._snapshots.pop(snapshot, None)
        ec2._tags.pop(snapshot, None)
        self.store.delete(snapshot)
        return ec2._xml(200, "DeleteSnapshotResponse", "<return>true</return>")

    def copy(self, query: Query) -> Answer:
        """What is wrong with the source is told by the copy's state, not here."""
        source, region = query.required("SourceSnapshotId"), query.required("SourceRegion")
        check_snapshot_id(source)
        tags = query.tag_specification("snapshot")
        ec2_access.require_all("CopySnapshot", query)
        ec2_access.require_tagging("CopySnapshot", ec2_access.snapshot_arn("*"), tags)
        ec2_access.dry_run(query)
        if query.text("DestinationRegion") not in ("", get_region()):
            raise invalid_value("DestinationRegion", query.text("DestinationRegion"), f"It must be {get_region()}")
        settings = control.of_account(get_account_id())
        copying = [each for each in snapshots.of_caller() if isinstance(each.get("Course"), Copying)]
        if len(copying) >= settings.snapshot_copies:
            raise Refusal(
                "ResourceLimitExceeded",
                "Too many snapshot copies in progress. "
                f"The limit is {settings.snapshot_copies:.0f} for this destination region.",
            )
        found = snapshots.usable(source, region)
        key = encryption.key_of(query, found is not None and found[1]["Encrypted"])
        record = snapshots.new_record(
            found[1]["VolumeSize"] if found else 0,
            query.text("Description"),
            key,
            Course=Copying(fault_of(found)),
        )
        if found and found[1]["State"] == COMPLETED:
            self.take_bytes(record, *found, region)
        add_tags(record["SnapshotId"], tags)
        return ec2._xml(
            200,
            "CopySnapshotResponse",
            f"<snapshotId>{record['SnapshotId']}</snapshotId>{ec2._tag_set_xml(record['SnapshotId'])}",
        )

    def take_bytes(self, record: Record, owner: str, source: Record, region: str) -> None:
        """A completed snapshot never changes, so that its copy can be a second name of its file."""
        path, its_path = self.store.path(record["SnapshotId"]), self.store.path(source["SnapshotId"], owner, region)
        record["Blocks"] = snapshots.written_blocks(source, its_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if its_path.exists():  # a snapshot that ministack made of a volume has no bytes
            os.link(its_path, path)


def own(query: Query) -> Record:
    """The snapshot that a request names, which is the caller's own, once permissions are checked."""
    snapshot = query.required("SnapshotId")
    check_snapshot_id(snapshot)
    ec2_access.dry_run(query)
    record = snapshots.find(snapshot)
    if record is None:
        raise no_snapshot(snapshot)
    return record


def no_snapshot(snapshot: str) -> Refusal:
    return Refusal("InvalidSnapshot.NotFound", f"The snapshot '{snapshot}' does not exist.")


def snapshots_of(image: dict[str, Any]) -> list[str]:
    mapped = (mapping.get("Ebs", {}).get("SnapshotId") for mapping in image.get("BlockDeviceMappings") or [])
    return [snapshot for snapshot in mapped if snapshot]


def image_using(snapshot: str) -> str | None:
    return next((image["ImageId"] for image in ec2._images.values() if snapshot in snapshots_of(image)), None)


# CopySnapshot


def fault_of(found: tuple[str, Record] | None) -> str:
    """What ends a copy in the state `error`: no such source, or none that the caller may use; a source that is not
    complete; a key of another account, for which the emulator knows no permissions."""
    if found is None:
        return "Source snapshot is not found"
    owner, source = found
    if source["State"] != COMPLETED:
        return "Source snapshot is not complete"
    if source["Encrypted"] and owner != get_account_id():
        return "Given key ID is not accessible"
    return ""


# DescribeSnapshots


def describe(query: Query) -> Answer:
    ec2_access.dry_run(query)
    check_filters(query, FILTERS)
    named = query.members("SnapshotId")
    for snapshot in named:
        check_snapshot_id(snapshot)
    listed = [record for owner, record in snapshots.in_region(get_region()) if is_listed(owner, record)]
    known = {record["SnapshotId"] for record in listed}
    if missing := [snapshot for snapshot in named if snapshot not in known]:
        raise no_snapshot(missing[0])
    matching = [
        record
        for record in listed
        if (not named or record["SnapshotId"] in named)
        and is_of(record, query.members("Owner"))
        and is_restorable(record, query.members("RestorableBy"))
        and matches(record, query.filters())
    ]
    page, next_token = page_of(matching, query)
    items = "".join(f"<item>{snapshot_xml(record)}</item>" for record in page)
    more = f"<nextToken>{next_token}</nextToken>" if next_token else ""
    return ec2._xml(200, "DescribeSnapshotsResponse", f"<snapshotSet>{items}</snapshotSet>{more}")


def is_listed(owner: str, record: Record) -> bool:
    """Whether the caller may see a snapshot, and whether it is listed yet, as a test may have asked for."""
    caller = get_account_id()
    lag = control.of_account(caller).new_snapshots_unlisted_seconds
    is_old = time.monotonic() >= record.get("Made", 0) + lag
    return is_old and (owner == caller or snapshots.is_shared_with(record, caller))


def is_of(record: Record, owners: list[str]) -> bool:
    return not owners or record["OwnerId"] in [get_account_id() if owner == "self" else owner for owner in owners]


def is_restorable(record: Record, accounts: list[str]) -> bool:
    """RestorableByUserIds: "You can specify AWS account IDs (if you own the snapshots), self for snapshots for which
    you own or have explicit permissions, or all for public snapshots." Nothing is public here."""
    named = [get_account_id() if account == "self" else account for account in accounts]
    return not accounts or any(
        account == record["OwnerId"] or snapshots.is_shared_with(record, account) for account in named
    )


def matches(record: Record, filters: dict[str, list[str]]) -> bool:
    """Filters match with wildcards ("Filtering your resources", EC2 User Guide)."""
    values = {
        "description": record["Description"],
        "encrypted": str(bool(record["Encrypted"])).lower(),
        "owner-id": record["OwnerId"],
        "progress": record["Progress"],
        "snapshot-id": record["SnapshotId"],
        "start-time": record["StartTime"],
        "status": record["State"],
        "storage-tier": record["StorageTier"],
        "volume-id": record["VolumeId"],
        "volume-size": str(record["VolumeSize"]),
    }
    return ec2._resource_matches_tag_filters(record["SnapshotId"], filters) and all(
        any(ec2._glob_match(pattern, values[name]) for pattern in patterns)
        for name, patterns in filters.items()
        if name in values
    )


def page_of(records: list[Record], query: Query) -> tuple[list[Record], str]:
    """One page of snapshots and the token of the next, which is the id of its first one."""
    most, token = query.number("MaxResults"), query.text("NextToken")
    if most is not None and not SMALLEST_PAGE <= most <= LARGEST_PAGE:
        raise invalid_value("MaxResults", str(most), f"It must be between {SMALLEST_PAGE} and {LARGEST_PAGE}")
    ids = [record["SnapshotId"] for record in records]
    if token and token not in ids:
        raise Refusal("InvalidPaginationToken", "The specified pagination token is invalid or expired.")
    start = ids.index(token) if token else 0
    end = start + (most or len(records))
    return records[start:end], ids[end] if end < len(ids) else ""


def snapshot_xml(record: Record) -> str:
    """Another account's tags are not shown ("Share an Amazon EBS snapshot")."""
    key = record.get("KmsKeyId")
    more = {
        "KmsKeyId": key,
        "SseType": encryption.sse_type(key),
        "StatusMessage": record.get("StateMessage"),
    }
    return ec2._snapshot_inner_xml(record) + "".join(ec2_element(name, value) for name, value in more.items() if value)


# ModifySnapshotAttribute and DescribeSnapshotAttribute


def modify_attribute(query: Query) -> Answer:
    record = own(query)
    added, removed = changes_of(query)
    for account in (*added, *removed):
        if not _ACCOUNT.fullmatch(account):
            raise Refusal("InvalidAMIAttributeItemValue", f"UserId ({account}) is invalid.")
    if added and record.get("KmsKeyId") == encryption.managed_key():
        raise Refusal("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
    kept = [account for account in snapshots.sharers(record) if account not in (*added, *removed)]
    new = [account for account in dict.fromkeys(added) if account != record["OwnerId"]]
    record["CreateVolumePermissions"] = [{"UserId": account} for account in (*kept, *new)]
    return ec2._xml(200, "ModifySnapshotAttributeResponse", "<return>true</return>")


def changes_of(query: Query) -> tuple[list[str], list[str]]:
    """The accounts to add and to remove, in either of the two forms of the request."""
    if query.members("UserGroup") or any("Group" in name for name in query.parameters):
        raise Refusal("UnsupportedOperation", "The emulator makes no snapshot public.")
    added = users_of(query, "CreateVolumePermission.Add")
    removed = users_of(query, "CreateVolumePermission.Remove")
    if added and removed:
        text = "One and only one operation type may be specified for createVolumePermissions"
        raise Refusal("InvalidParameterCombination", text)
    if added or removed:
        return added, removed
    if query.text("Attribute") != "createVolumePermission":
        raise Refusal("InvalidParameterValue", "Unrecognized attribute.")
    operation, accounts = query.text("OperationType"), query.members("UserId")
    if operation not in ("add", "remove"):
        text = "No operation specified for createVolumePermission attribute."
        raise Refusal("InvalidParameterCombination", text)
    return (accounts, []) if operation == "add" else ([], accounts)


def users_of(query: Query, prefix: str) -> list[str]:
    users = []
    while user := query.text(f"{prefix}.{len(users) + 1}.UserId"):
        users.append(user)
    return users


def describe_attribute(query: Query) -> Answer:
    attribute = query.required("Attribute")
    if attribute not in ("createVolumePermission", "productCodes"):
        raise Refusal("InvalidRequest", "The request received was invalid.")
    record = own(query)
    items = "".join(f"<item><userId>{account}</userId></item>" for account in snapshots.sharers(record))
    body = f"<createVolumePermission>{items}</createVolumePermission>" if attribute != "productCodes" else ""
    return ec2._xml(
        200, "DescribeSnapshotAttributeResponse", f"<snapshotId>{record['SnapshotId']}</snapshotId>{body}"
    )


# Encryption by default, per account and region


def encryption_by_default(wanted: bool | None) -> Any:
    verb = {None: "Get", True: "Enable", False: "Disable"}[wanted]

    def answer(query: Query) -> Answer:
        ec2_access.dry_run(query)
        if wanted is not None:
            encryption.set_by_default(wanted)
        enabled = str(encryption.is_by_default()).lower()
        element = f"<ebsEncryptionByDefault>{enabled}</ebsEncryptionByDefault>"
        return ec2._xml(200, f"{verb}EbsEncryptionByDefaultResponse", element)

    return answer
