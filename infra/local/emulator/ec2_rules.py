"""What EC2 refuses and ministack does not: snapshots and tags, with the images of ec2_images.py.

Each rule names its page of the EC2 API Reference, or says where its text was seen. ministack's own handlers still do
the work.
"""

from __future__ import annotations

from typing import Any

from ministack.services import ec2

import ec2_access
from ec2_images import Images
from ec2_query import Answer, Query, Refusal, add_tags, check_filters, serve
from image_checks import check_snapshot_id
from snapshots import SnapshotStore

_SNAPSHOT_FILTERS = (
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
"""What ministack can filter by, besides `tag:<key>`."""


class Ec2Rules:
    def __init__(self, store: SnapshotStore) -> None:
        self.store = store
        self.own = dict(ec2._ACTION_MAP)

    def install(self) -> None:
        Images().install()
        serve("DescribeSnapshots", self.describe_snapshots)
        serve("DeleteSnapshot", self.delete_snapshot)
        serve("CreateTags", self.create_tags)

    def describe_snapshots(self, query: Query) -> Answer:
        ec2_access.dry_run(query)
        check_filters(query, _SNAPSHOT_FILTERS)
        return self.own["DescribeSnapshots"](query.parameters)

    def delete_snapshot(self, query: Query) -> Answer:
        """DeleteSnapshot: "You cannot delete a snapshot of the root device of an EBS volume used by a registered AMI".

        Text as in boto/boto issue 3019.
        """
        snapshot = query.required("SnapshotId")
        check_snapshot_id(snapshot)
        ec2_access.dry_run(query)
        if image := image_using(snapshot):
            raise Refusal("InvalidSnapshot.InUse", f"The snapshot {snapshot} is currently in use by {image}")
        answer = self.own["DeleteSnapshot"](query.parameters)
        if answer[0] == 200:
            ec2._tags.pop(snapshot, None)
            self.store.delete(snapshot)
        return answer

    def create_tags(self, query: Query) -> Answer:
        resources, tags = query.members("ResourceId"), query.tags()
        if not resources or not tags:
            raise Refusal("MissingParameter", "The request must contain the parameters ResourceId and Tag")
        ec2_access.require_all("CreateTags", query)
        ec2_access.dry_run(query)
        for resource in resources:
            check_exists(resource)
        for resource in resources:
            add_tags(resource, tags)
        return ec2._xml(200, "CreateTagsResponse", "<return>true</return>")


def snapshots_of(image: dict[str, Any]) -> list[str]:
    mapped = (mapping.get("Ebs", {}).get("SnapshotId") for mapping in image.get("BlockDeviceMappings") or [])
    return [snapshot for snapshot in mapped if snapshot]


def image_using(snapshot: str) -> str | None:
    return next((image["ImageId"] for image in ec2._images.values() if snapshot in snapshots_of(image)), None)


def check_exists(resource: str) -> None:
    """CreateTags names a missing resource by the error of its kind."""
    kinds = {
        "ami-": (ec2._images, "InvalidAMIID.NotFound", f"The image id '[{resource}]' does not exist"),
        "snap-": (ec2._snapshots, "InvalidSnapshot.NotFound", f"The snapshot '{resource}' does not exist."),
    }
    for prefix, (known, code, message) in kinds.items():
        if resource.startswith(prefix) and resource not in known:
            raise Refusal(code, message)
