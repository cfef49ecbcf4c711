"""EBS direct: writing a new snapshot block by block, and reading one.

StartSnapshot, PutSnapshotBlock, CompleteSnapshot, ListSnapshotBlocks, GetSnapshotBlock (EBS direct APIs Reference);
"Encryption outcomes …", "Ensure idempotency in StartSnapshot API requests", "Error retries", "Frequently asked
questions for EBS direct APIs" (EBS User Guide). Where those leave open what AWS says, README.md has the source.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region

import blocks
import control
import ebs_api
import encryption
import snapshots
from blocks import BLOCK
from ebs_api import Answer, Refusal, Request, answered, authorize, invalid, missing
from ec2_access import snapshot_arn
from ec2_query import MOST_TAGS, Tags, add_tags, tags_of
from rates import Rates
from snapshots import COMPLETED, ERROR, PENDING, Record, SnapshotStore

LARGEST_VOLUME = 65_536
"""GiB."""

SHORTEST_TIMEOUT, LONGEST_TIMEOUT, DEFAULT_TIMEOUT = 10, 4320, 60
"""Minutes of StartSnapshot's Timeout."""

LARGEST_PAGE, SMALLEST_PAGE = 10_000, 100
"""Blocks on a page of ListSnapshotBlocks. "If you submit a request with a MaxResult parameter value of under 100 […]
then the API will return at least 100 results." """

_TYPES = {
    "VolumeSize": int,
    "ParentSnapshotId": str,
    "Tags": list,
    "Description": str,
    "ClientToken": str,
    "Encrypted": bool,
    "KmsKeyArn": str,
    "Timeout": int,
}

TOKEN_LIFETIME = 7 * 24 * 3600
"""Seconds, as AWS says when the tokens expire; none does here."""


@dataclass
class Writing:
    """The course of a snapshot that is being written: a time-out, or its completion once it is sealed."""

    timeout: int
    """Minutes "after which the snapshot is automatically cancelled"."""
    digests: dict[int, bytes] = field(default_factory=dict)
    """The SHA-256 of each block that was written."""
    last: float = field(default_factory=time.monotonic)
    """When the last block was written, or the snapshot started."""
    sealed: float | None = None
    fault: str = ""
    """What CompleteSnapshot found wrong, which the snapshot's state tells afterwards."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def changes(self, settings: control.Settings) -> Record:
        now = time.monotonic()
        if self.sealed is None:
            late = now - self.last > self.timeout * settings.snapshot_timeout_minute_seconds
            return {"State": ERROR, "StateMessage": "Snapshot timed out"} if late else {}
        if now - self.sealed < settings.snapshot_pending_seconds:
            return {}
        if self.fault:
            return {"State": ERROR, "StateMessage": self.fault}
        return {"State": COMPLETED, "Progress": "100%"}

    def linear_checksum(self) -> str:
        digests = b"".join(self.digests[index] for index in sorted(self.digests))
        return base64.b64encode(hashlib.sha256(digests).digest()).decode()


class EbsDirect:
    def __init__(self, store: SnapshotStore) -> None:
        self.store = store
        self.rates = Rates()
        self.tokens = AccountRegionScopedDict()

    def install(self) -> None:
        ebs_api.install(
            {
                "StartSnapshot": self.start,
                "PutSnapshotBlock": self.put,
                "CompleteSnapshot": self.complete,
                "ListSnapshotBlocks": self.list,
                "GetSnapshotBlock": self.get,
            }
        )

    def admit(self, operation: str, per_second: float) -> None:
        """ "ThrottlingException […] throttling limit for the account." """
        if not self.rates.take((operation, get_account_id(), get_region()), per_second):
            raise Refusal("ThrottlingException", "Rate exceeded")

    async def start(self, request: Request) -> Answer:
        given = request.json()
        check_types(given)
        tags = given_tags(given)
        parent = given.get("ParentSnapshotId")
        authorize(request, "ebs:StartSnapshot", parent or "null", start_context(given, tags))
        if tags:
            authorize(request, "ec2:CreateTags", "*", tag_context(tags))
        settings = control.of_account(get_account_id())
        self.admit("StartSnapshot", settings.start_snapshot_per_second)
        token = given.get("ClientToken")
        if token and (known := self.tokens.get(token)):
            if known[0] != given:
                raise Refusal(
                    "ConflictException", "Current request does not match request stored with this token.", 409
                )
            return answered(201, known[1])
        check_start(given, tags)
        source = parent_of(given) if parent else None
        writing = [each for each in snapshots.of_caller() if isinstance(each.get("Course"), Writing)]
        if len(writing) >= settings.pending_snapshots:
            raise Refusal(
                "ConcurrentLimitExceededException", "You have reached the limit for pending snapshots in this account."
            )
        record = self.new(given, source)
        add_tags(record["SnapshotId"], tags)
        answer = described(record, given)
        if token:
            self.tokens[token] = given, answer
        return answered(201, answer)

    def new(self, given: dict[str, Any], source: Record | None) -> Record:
        key = source["KmsKeyId"] if source else key_of(given)
        record = snapshots.new_record(
            given["VolumeSize"],
            given.get("Description") or "",
            key,
            Blocks=set(),
            Course=Writing(given.get("Timeout") or DEFAULT_TIMEOUT),
        )
        path = self.store.path(record["SnapshotId"])
        blocks.create(path, given["VolumeSize"])
        if source:
            inherit(record, path, source, self.store.path(source["SnapshotId"]))
        return record

    async def put(self, request: Request, snapshot: str, block: str) -> Answer:
        authorize(request, "ebs:PutSnapshotBlock", snapshot)
        settings = control.of_account(get_account_id())
        self.admit("PutSnapshotBlock", settings.put_snapshot_block_per_second)
        record = own(snapshot)
        digest = await asyncio.to_thread(lambda: hashlib.sha256(request.body).digest())
        checksum = base64.b64encode(digest).decode()
        index = request.number(block, "BlockIndex")
        writing = open_writing(record)
        check_block(request, record, index, checksum)
        await asyncio.to_thread(self.write, record, writing, index, digest, request.body)
        return answered(201, {}, **{"x-amz-Checksum": checksum, "x-amz-Checksum-Algorithm": "SHA256"})

    def write(self, record: Record, writing: Writing, index: int, digest: bytes, data: bytes) -> None:
        """In a thread of its own; the lock keeps CompleteSnapshot from counting while a block is written."""
        with writing.lock:
            if writing.sealed is not None:
                raise already_completed()
            try:
                if index in record["Blocks"] or any(data):  # else the file has zeros there
                    blocks.write(self.store.path(record["SnapshotId"]), index, data)
            except FileNotFoundError:
                raise missing(record["SnapshotId"]) from None
            record["Blocks"].add(index)
            writing.digests[index] = digest
            writing.last = time.monotonic()

    async def complete(self, request: Request, snapshot: str) -> Answer:
        """What is wrong with the count or the checksum is told by the snapshot's state, not here."""
        authorize(request, "ebs:CompleteSnapshot", snapshot)
        settings = control.of_account(get_account_id())
        self.admit("CompleteSnapshot", settings.complete_snapshot_per_second)
        record = own(snapshot)
        writing = record.get("Course")
        if isinstance(writing, Writing):
            check_aggregate(request)
            count = request.number(request.header("x-amz-ChangedBlocksCount"), "ChangedBlocksCount")
            await asyncio.to_thread(seal, writing, count, request.header("x-amz-Checksum"))
        return answered(202, {"Status": snapshots.current(record)["State"]})

    async def list(self, request: Request, snapshot: str) -> Answer:
        authorize(request, "ebs:ListSnapshotBlocks", snapshot)
        settings = control.of_account(get_account_id())
        self.admit("ListSnapshotBlocks", settings.list_snapshot_blocks_per_second)
        record, path = self.readable(snapshot)
        start = request.number(request.parameter("startingBlockIndex") or "0", "StartingBlockIndex")
        if token := request.parameter("pageToken"):
            start = page_start(snapshot, token)
        most = request.number(request.parameter("maxResults") or str(LARGEST_PAGE), "MaxResults")
        most = min(max(most, SMALLEST_PAGE), LARGEST_PAGE)
        indexes = sorted(index for index in snapshots.written_blocks(record, path) if index >= start)
        answer: dict[str, Any] = {
            "Blocks": [{"BlockIndex": index, "BlockToken": token_of(snapshot, index)} for index in indexes[:most]],
            "BlockSize": BLOCK,
            "ExpiryTime": time.time() + TOKEN_LIFETIME,
            "VolumeSize": record["VolumeSize"],
        }
        if len(indexes) > most:
            answer["NextToken"] = page_token(snapshot, indexes[most])
        return answered(200, answer)

    async def get(self, request: Request, snapshot: str, block: str) -> Answer:
        authorize(request, "ebs:GetSnapshotBlock", snapshot)
        settings = control.of_account(get_account_id())
        self.admit("GetSnapshotBlock", settings.get_snapshot_block_per_second)
        record, path = self.readable(snapshot)
        index, token = request.number(block, "BlockIndex"), request.parameter("blockToken")
        if token != token_of(snapshot, index) or index not in snapshots.written_blocks(record, path):
            raise invalid("INVALID_BLOCK_TOKEN", f"The block token {token} is invalid.")
        data = await asyncio.to_thread(blocks.read, path, index)
        headers = {
            "Content-Type": "application/octet-stream",
            "x-amz-Data-Length": str(len(data)),
            "x-amz-Checksum": base64.b64encode(hashlib.sha256(data).digest()).decode(),
            "x-amz-Checksum-Algorithm": "SHA256",
        }
        return 200, headers, data

    def readable(self, snapshot: str) -> tuple[Record, Path]:
        """ "The snapshot can be accessed only if it has a completed status." By its owner and who it is shared with."""
        found = snapshots.usable(snapshot, get_region())
        if found is None or found[1]["State"] != COMPLETED:
            raise missing(snapshot)
        owner, record = found
        return record, self.store.path(snapshot, owner)


def own(snapshot: str) -> Record:
    record = snapshots.find(snapshot)
    if record is None:
        raise missing(snapshot)
    return record


# StartSnapshot


def check_types(given: dict[str, Any]) -> None:
    for name, wanted in _TYPES.items():
        if given.get(name) is not None and type(given[name]) is not wanted:
            raise Refusal("SerializationException", f"{name} is no {wanted.__name__}")
    if (parent := given.get("ParentSnapshotId")) is not None:
        ebs_api.check_snapshot_id(parent)


def given_tags(given: dict[str, Any]) -> Tags:
    tags = given.get("Tags") or []
    if not all(isinstance(tag, dict) for tag in tags):
        raise invalid("INVALID_TAG", "Tags is a list of keys and values")
    named = {str(tag.get("Key") or ""): str(tag.get("Value") or "") for tag in tags}
    if len(named) < len(tags):
        raise invalid("INVALID_TAG", "Duplicate tag key.")
    return named


def start_context(given: dict[str, Any], tags: Tags) -> dict[str, Any]:
    context = tag_context(tags)
    for key, name in (("ebs:Description", "Description"), ("ebs:VolumeSize", "VolumeSize")):
        if name in given:
            context[key] = str(given[name])
    if parent := given.get("ParentSnapshotId"):
        context["ebs:ParentSnapshot"] = snapshot_arn(parent)
    return context


def tag_context(tags: Tags) -> dict[str, Any]:
    """No ec2:CreateAction: EBS, not EC2, creates the snapshot."""
    context: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return context | ({"aws:TagKeys": list(tags)} if tags else {})


def check_start(given: dict[str, Any], tags: Tags) -> None:
    if not 1 <= (given.get("VolumeSize") or 0) <= LARGEST_VOLUME:
        raise invalid("INVALID_VOLUME_SIZE", f"Volume size must be between 1 and {LARGEST_VOLUME} GiB.")
    timeout = given.get("Timeout")
    if timeout is not None and not SHORTEST_TIMEOUT <= timeout <= LONGEST_TIMEOUT:
        text = f"Timeout must be between {SHORTEST_TIMEOUT} and {LONGEST_TIMEOUT} minutes."
        raise invalid("INVALID_PARAMETER_VALUE", text)
    for name in ("ClientToken", "Description"):
        if len(given.get(name) or "") > 255:
            raise invalid("INVALID_PARAMETER_VALUE", f"{name} has more than 255 characters.")
    if len(tags) > MOST_TAGS:
        raise invalid("INVALID_TAG", f"A snapshot has {MOST_TAGS} tags at most.")
    for key, value in tags.items():
        if not 1 <= len(key) <= 127 or len(value) > 255 or key.lower().startswith("aws:"):
            raise invalid("INVALID_TAG", f"The tag '{key}' is invalid.")


def key_of(given: dict[str, Any]) -> str | None:
    encrypted, key = given.get("Encrypted"), given.get("KmsKeyArn")
    if key and encrypted is False:
        raise invalid("INVALID_PARAMETER_VALUE", "Encrypt cannot be false when KmsKeyArn is specified")
    if key and not key.startswith("arn:"):
        raise invalid("INVALID_PARAMETER_VALUE", f"KmsKeyArn '{key}' is no ARN of a KMS key")
    try:
        return encryption.key_for(encrypted, key)
    except ValueError:
        raise invalid("INVALID_DEPENDENCY_REQUEST", f"The KMS key '{key}' is not in this region.") from None


def parent_of(given: dict[str, Any]) -> Record:
    """The parent is the caller's own: a shared one can't be built on."""
    for name, text in (("KmsKeyArn", "KmsKeyArn"), ("Encrypted", "Encrypt")):
        if given.get(name) is not None:
            text = f"ParentSnapshotId and {text} cannot be specified together"
            raise invalid("INVALID_PARAMETER_VALUE", text)
    parent = own(given["ParentSnapshotId"])
    if parent["State"] == ERROR:
        raise missing(parent["SnapshotId"])
    if parent["State"] != COMPLETED:
        raise invalid("INVALID_SNAPSHOT_ID", f"Source snapshot ({parent['SnapshotId']}) is not complete.")
    if given["VolumeSize"] < parent["VolumeSize"]:
        raise invalid("INVALID_VOLUME_SIZE", "Volume size cannot be smaller than the source snapshot.")
    if encryption.is_by_default() and not parent["Encrypted"]:
        text = "An unencrypted parent snapshot cannot be used when encryption by default is enabled."
        raise invalid("INVALID_PARAMETER_VALUE", text)
    return parent


def inherit(record: Record, path: Path, parent: Record, its_path: Path) -> None:
    written: Collection[int] = snapshots.written_blocks(parent, its_path)
    record["Blocks"].update(written)
    for index in written:
        blocks.write(path, index, blocks.read(its_path, index))


def described(record: Record, given: dict[str, Any]) -> dict[str, Any]:
    answer = {
        "SnapshotId": record["SnapshotId"],
        "Description": given.get("Description"),
        "OwnerId": record["OwnerId"],
        "Status": PENDING,
        "StartTime": time.time(),
        "VolumeSize": record["VolumeSize"],
        "BlockSize": BLOCK,
        "Tags": [{"Key": key, "Value": value} for key, value in tags_of(record["SnapshotId"]).items()],
        "ParentSnapshotId": given.get("ParentSnapshotId"),
        "KmsKeyArn": record["KmsKeyId"],
        "SseType": encryption.sse_type(record["KmsKeyId"]),
    }
    return {name: value for name, value in answer.items() if value is not None}


# PutSnapshotBlock


def already_completed() -> Refusal:
    return invalid("INVALID_SNAPSHOT_ID", "Snapshot is already completed")


def open_writing(record: Record) -> Writing:
    if record["State"] == ERROR:
        raise missing(record["SnapshotId"])
    writing = record.get("Course")
    if not isinstance(writing, Writing) or writing.sealed is not None:
        raise already_completed()
    return writing


def check_block(request: Request, record: Record, index: int, checksum: str) -> None:
    length = request.number(request.header("x-amz-Data-Length"), "DataLength")
    if length != BLOCK:
        raise invalid("INVALID_BLOCK", f"Block data length {length} is not valid, expected {BLOCK}")
    if len(request.body) != BLOCK:
        raise invalid("INVALID_PARAMETER_VALUE", "Failed to read block data")
    if not 0 <= index < record["VolumeSize"] * blocks.BLOCKS_PER_GIB:
        raise invalid("INVALID_BLOCK", f"Block index {index} is beyond the volume size extent")
    algorithm = request.header("x-amz-Checksum-Algorithm")
    if algorithm != "SHA256":
        text = f"Unsupported Checksum Algorithm '{algorithm}', supported algorithms are SHA256"
        raise invalid("INVALID_PARAMETER_VALUE", text)
    if progress := request.header("x-amz-Progress"):
        if not 0 <= request.number(progress, "Progress") <= 100:
            raise invalid("INVALID_PARAMETER_VALUE", "Progress must be between 0 and 100.")
    expected = request.header("x-amz-Checksum")
    if checksum != expected:
        text = "The value passed in as x-amz-Checksum does not match the computed checksum."
        text = f"{text} Computed checksum: {checksum} expected checksum: {expected}"
        raise Refusal("InvalidSignatureException", text, 403)


# CompleteSnapshot


def check_aggregate(request: Request) -> None:
    given = {
        "Snapshot checksum": request.header("x-amz-Checksum"),
        "Checksum algorithm": request.header("x-amz-Checksum-Algorithm"),
        "Checksum aggregation method": request.header("x-amz-Checksum-Aggregation-Method"),
    }
    for name, value in given.items():
        if any(given.values()) and not value:
            raise invalid("INVALID_PARAMETER_VALUE", f"Invalid parameter combination. {name} is missing.")
    if any(given.values()) and [*given.values()][1:] != ["SHA256", "LINEAR"]:
        text = "Unsupported snapshot checksum algorithm or aggregation method."
        raise invalid("INVALID_PARAMETER_VALUE", text)


def seal(writing: Writing, count: int, checksum: str) -> None:
    """Once: CompleteSnapshot again tells how far the first one got."""
    with writing.lock:
        if writing.sealed is not None:
            return
        if checksum and checksum != writing.linear_checksum():
            writing.fault = "Checksum mismatch for snapshot"
        if count != len(writing.digests):
            writing.fault = "Changed blocks count mismatch for snapshot"
        writing.sealed = time.monotonic()


# ListSnapshotBlocks and GetSnapshotBlock


def token_of(snapshot: str, index: int) -> str:
    return base64.b64encode(hashlib.sha256(f"{snapshot}/{index}".encode()).digest()).decode()


def page_token(snapshot: str, start: int) -> str:
    return base64.b64encode(f"{snapshot}/{start}".encode()).decode()


def page_start(snapshot: str, token: str) -> int:
    try:
        named, _, start = base64.b64decode(token, validate=True).decode().partition("/")
        if named == snapshot:
            return int(start)
    except ValueError:
        pass
    raise invalid("INVALID_PAGE_TOKEN", f"The pagination token {token} is invalid.")
