"""What EC2 refuses and ministack does not: images (ec2_images.py), snapshots (ec2_snapshots.py), and tags.

Each rule names its page of the EC2 API Reference, or says where its text was seen.
"""

from __future__ import annotations

from ministack.services import ec2

import ec2_access
from ec2_images import Images
from ec2_query import Answer, Query, Refusal, add_tags, serve
from ec2_snapshots import Snapshots
from snapshots import SnapshotStore


class Ec2Rules:
    def __init__(self, store: SnapshotStore) -> None:
        self.store = store

    def install(self) -> None:
        Images().install()
        Snapshots(self.store).install()
        serve("CreateTags", self.create_tags)

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


def check_exists(resource: str) -> None:
    """CreateTags names a missing resource by the error of its kind."""
    kinds = {
        "ami-": (ec2._images, "InvalidAMIID.NotFound", f"The image id '[{resource}]' does not exist"),
        "snap-": (ec2._snapshots, "InvalidSnapshot.NotFound", f"The snapshot '{resource}' does not exist."),
    }
    for prefix, (known, code, message) in kinds.items():
        if resource.startswith(prefix) and resource not in known:
            raise Refusal(code, message)
