"""EC2 VM Import: ImportSnapshot, DescribeImportSnapshotTasks, CancelImportTask.

Rules follow, by name: ImportSnapshot, DescribeImportSnapshotTasks, CancelImportTask (EC2 API Reference); "Required
permissions for VM Import/Export", "Import a disk as a snapshot", "Troubleshooting VM Import/Export" (VM Import/Export
User Guide). Texts that those pages do not give come from what AWS answered in public issues; README.md lists them.
"""

from __future__ import annotations

import enum
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from xml.sax.saxutils import escape

from ministack.core.concurrency import spawn_background
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import ec2

import ec2_access
import encryption
from blocks import BLOCK
from disk_image import FORMATS, InvalidDisk, check_disk
from ec2_query import Answer, Query, Refusal, add_tags, invalid_value, serve, tags_of
from import_source import Source, check_object, check_role, readable, still_readable
from snapshots import SnapshotStore, new_record

log = logging.getLogger("vm_import")

DEFAULT_ROLE = "vmimport"
GIB = 1 << 30
TICK = 0.05
"""Seconds between two looks of a running task at what it depends on."""

STARTS_READING, SNAPSHOT_APPEARS = 0.3, 0.7
"""Shares of a task's time: until then it is `pending`; from then on its snapshot exists, itself pending."""


class Status(enum.StrEnum):
    ACTIVE = "active"
    DELETING = "deleting"
    DELETED = "deleted"
    COMPLETED = "completed"


@dataclass
class Task:
    id: str
    request: dict[str, str]
    """The parameters of the ImportSnapshot call, to compare a repeated client token with."""
    source: Source
    format: str
    description: str
    disk_description: str
    encryption_key: str | None
    status: Status = Status.ACTIVE
    message: str = "pending"
    progress: int = 3
    disk_image_size: int = 0
    snapshot: str = ""
    started: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def move(self, status: Status, message: str) -> bool:
        """Moves an active task on, once; false if it was not active any more."""
        with self._lock:
            if self.status is not Status.ACTIVE:
                return False
            self.status, self.message = status, message
            return True

    def read(self, size: int) -> None:
        """Notes that an image of `size` bytes is being read."""
        self.disk_image_size = size
        with self._lock:
            if self.status is Status.ACTIVE:
                self.message = "downloading/converting"


class VmImport:
    """The import tasks of all accounts and regions."""

    def __init__(self, store: SnapshotStore, seconds: float) -> None:
        self.store, self.seconds = store, seconds
        self.tasks = AccountRegionScopedDict()
        self.tokens = AccountRegionScopedDict()

    def install(self) -> None:
        serve("ImportSnapshot", self.import_snapshot)
        serve("DescribeImportSnapshotTasks", self.describe)
        serve("CancelImportTask", self.cancel)

    # Calls

    def import_snapshot(self, query: Query) -> Answer:
        image_format = disk_format(query)
        bucket, key = s3_location(query)
        tags = query.tag_specification("import-snapshot-task")
        ec2_access.require_all("ImportSnapshot", query)
        ec2_access.require_tagging("ImportSnapshot", ec2_access.import_task_arn("*"), tags)
        ec2_access.dry_run(query)
        encryption_key = encryption.key_of(query)
        token, request = query.text("ClientToken"), request_of(query)
        if token and (known := self.tokens.get(token)):
            if known.request != request:
                raise Refusal(
                    "IdempotentParameterMismatch",
                    f"The client token '{token}' was used before, with other parameters.",
                )
            return ec2._xml(200, "ImportSnapshotResponse", task_xml(known))
        source = Source(bucket, key, query.text("RoleName") or DEFAULT_ROLE)
        check_role(source)
        check_object(source)
        task = Task(
            id=f"import-snap-{secrets.token_hex(8)}t",
            request=request,
            source=source,
            format=image_format,
            description=query.text("Description"),
            disk_description=query.text("DiskContainer.Description"),
            encryption_key=encryption_key,
        )
        add_tags(task.id, tags)
        self.tasks[task.id] = task
        if token:
            self.tokens[token] = task
        answer = ec2._xml(200, "ImportSnapshotResponse", task_xml(task))
        spawn_background(self.run, task, thread_name=task.id)
        return answer

    def describe(self, query: Query) -> Answer:
        """DescribeImportSnapshotTasks. Filters are "The filters." there: no page names one, so none is known here."""
        ec2_access.dry_run(query)
        for name in query.filters("Filters"):
            raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
        tasks = [self.find(task) for task in query.members("ImportTaskId")] or list(self.tasks.values())
        page, next_token = page_of(tasks, query)
        items = "".join(f"<item>{task_xml(task)}</item>" for task in page)
        more = f"<nextToken>{next_token}</nextToken>" if next_token else ""
        return ec2._xml(
            200,
            "DescribeImportSnapshotTasksResponse",
            f"<importSnapshotTaskSet>{items}</importSnapshotTaskSet>{more}",
        )

    def cancel(self, query: Query) -> Answer:
        task = self.find(query.required("ImportTaskId"))
        ec2_access.dry_run(query)
        if not task.move(Status.DELETING, "User initiated task cancelation"):
            raise Refusal("IncorrectState", f"The import task {task.id} is {task.status} and can't be canceled.")
        return ec2._xml(
            200,
            "CancelImportTaskResponse",
            f"<importTaskId>{task.id}</importTaskId><previousState>{Status.ACTIVE}</previousState>"
            f"<state>{Status.DELETING}</state>",
        )

    def find(self, task: str) -> Task:
        if task not in self.tasks:
            raise Refusal("InvalidConversionTaskId.Malformed", f"The import task ID '{task}' is not valid.")
        return self.tasks[task]

    # The import itself, in a thread of its own

    def run(self, task: Task) -> None:
        try:
            self.convert(task)
            return
        except InvalidDisk as invalid:
            task.move(Status.DELETING, str(invalid))
        except Cancelled:
            pass
        except Exception:  # a task must end, whatever broke; its user sees how
            log.exception("import task %s broke", task.id)
            task.move(Status.DELETING, "ServerError: an internal error has occurred during conversion.")
        if task.snapshot:
            ec2._snapshots.pop(task.snapshot, None)
            self.store.delete(task.snapshot)
        task.status = Status.DELETED

    def convert(self, task: Task) -> None:
        self.wait(task, STARTS_READING, lambda: None)
        image = readable(task.source)
        task.read(len(image))
        check_disk(image, task.format)
        snapshot = task.snapshot = ec2._new_snapshot_id()
        before = time.monotonic()
        self.store.put(snapshot, image)
        task.started += time.monotonic() - before  # the time of a task is the same on every machine
        self.wait(task, SNAPSHOT_APPEARS, lambda: still_readable(task.source, image))
        record = new_record(
            ceil(len(image) / GIB),
            f"Created by AWS-VMImport service for {task.id}",
            task.encryption_key,
            SnapshotId=snapshot,
            Blocks=range(ceil(len(image) / BLOCK)),
        )
        self.wait(task, 1.0, lambda: None)
        if snapshot not in ec2._snapshots:
            raise InvalidDisk(f"The snapshot {snapshot} was deleted during the import")
        record.update(State="completed", Progress="100%")
        if not task.move(Status.COMPLETED, ""):
            raise Cancelled

    def wait(self, task: Task, share: float, check: Callable[[], None]) -> None:
        """Lets the task's time pass up to `share` of it, looking after it all the while."""
        while True:
            if task.status is Status.DELETING:
                raise Cancelled
            check()
            passed = (time.monotonic() - task.started) / self.seconds if self.seconds else 1.0
            task.progress = max(task.progress, min(99, int(100 * passed)))
            if passed >= share:
                return
            time.sleep(min(TICK, self.seconds / 10))


class Cancelled(Exception):
    """The task's user cancelled it."""


# Parameters


def disk_format(query: Query) -> str:
    """Formats as in "SnapshotDiskContainer"; VHDX is in "Image formats supported by VM Import/Export"."""
    image_format = query.required("DiskContainer.Format").upper()
    if image_format not in FORMATS:
        raise invalid_value("DiskContainer.Format", image_format, f"Valid values: {', '.join(FORMATS)}")
    return image_format


def s3_location(query: Query) -> tuple[str, str]:
    """Bucket and key. The emulator knows no DiskContainer.Url."""
    bucket, key = query.text("DiskContainer.UserBucket.S3Bucket"), query.text("DiskContainer.UserBucket.S3Key")
    if query.text("DiskContainer.Url") or not (bucket and key):
        raise Refusal("InvalidParameter", "Invalid S3 source location")
    return bucket, key


def request_of(query: Query) -> dict[str, str]:
    """What must be the same when a client token is used again."""
    compared = ("Description", "DiskContainer.", "Encrypted", "KmsKeyId", "RoleName", "TagSpecification.")
    return {name: query.text(name) for name in query.parameters if name.startswith(compared)}


def page_of(tasks: list[Task], query: Query) -> tuple[list[Task], str]:
    """One page of tasks and the token of the next; a token is the id of its page's first task."""
    most, token = query.number("MaxResults"), query.text("NextToken")
    ids = [task.id for task in tasks]
    if token and token not in ids:
        raise Refusal("InvalidPaginationToken", "The specified pagination token is invalid or expired.")
    start = ids.index(token) if token else 0
    end = start + (most or len(tasks))
    return tasks[start:end], ids[end] if end < len(ids) else ""


# Answers


def task_xml(task: Task) -> str:
    detail = [
        element("description", task.disk_description),
        f"<diskImageSize>{float(task.disk_image_size)}</diskImageSize>",
        element("encrypted", str(task.encryption_key is not None).lower()),
        element("kmsKeyId", task.encryption_key or ""),
        element("format", task.format),
        element("status", task.status),
        f"<userBucket>{element('s3Bucket', task.source.bucket)}{element('s3Key', task.source.key)}</userBucket>",
    ]
    if task.status is Status.COMPLETED:
        detail.append(element("snapshotId", task.snapshot))
    else:
        # AWS sends an empty id until there is one (aws/aws-cli issue 9118).
        detail += ["<snapshotId/>", element("statusMessage", task.message)]
    if task.status is Status.ACTIVE:
        detail.append(element("progress", str(task.progress)))
    tags = "".join(
        f"<item>{element('key', key)}{element('value', text)}</item>" for key, text in tags_of(task.id).items()
    )
    return (
        f"{element('description', task.description)}{element('importTaskId', task.id)}"
        f"<snapshotTaskDetail>{''.join(detail)}</snapshotTaskDetail><tagSet>{tags}</tagSet>"
    )


def element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>" if text else ""
