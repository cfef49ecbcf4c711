"""What EC2 refuses and ministack does not: images, snapshots and their tags.

Each rule names its page of the EC2 API Reference, or says where its text was seen. ministack's own handlers still do
the work; what they leave out of an image is kept here and put into DescribeImages.
"""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import ec2

import ec2_access
from ec2_query import Answer, Query, Refusal, add_tags, serve
from image_checks import check_mapping, check_name, check_root_device, check_snapshot_id, check_unused, image_details
from snapshots import SnapshotStore

_IMAGE_ID = re.compile(r"<imageId>(ami-[0-9a-f]+)</imageId>")

_IMAGE_FILTERS = (
    "architecture",
    "description",
    "image-id",
    "is-public",
    "name",
    "owner-alias",
    "owner-id",
    "platform",
    "root-device-name",
    "root-device-type",
    "state",
    "tag-key",
    "virtualization-type",
)
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
"""What ministack can filter by, besides `tag:<key>`. Others it would pass over in silence, here they are refused."""

_images = ec2._images


class Ec2Rules:
    def __init__(self, store: SnapshotStore) -> None:
        self.store = store
        self.own = dict(ec2._ACTION_MAP)

    def install(self) -> None:
        serve("RegisterImage", self.register_image)
        serve("DeregisterImage", self.deregister_image)
        serve("DescribeImages", self.describe_images)
        serve("DescribeSnapshots", self.describe_snapshots)
        serve("DeleteSnapshot", self.delete_snapshot)
        serve("CreateTags", self.create_tags)
        ec2._image_bdm_xml = mappings_xml

    def register_image(self, query: Query) -> Answer:
        name = query.required("Name")
        check_name(name)
        details = image_details(query)
        # "To tag the AMI, the value for ResourceType must be image. If you specify another value for ResourceType, the
        # request fails." (RegisterImage, TagSpecification.N)
        tags = query.tag_specification("image")
        ec2_access.require_all("RegisterImage", query)
        ec2_access.require_tagging("RegisterImage", ec2_access.image_arn("*"), tags)
        ec2_access.dry_run(query)
        check_unused(name)
        mappings = [check_mapping(mapping) for mapping in ec2._parse_register_block_device_mappings(query.parameters)]
        root = query.text("RootDeviceName") or "/dev/sda1"
        if not query.text("ImageLocation"):  # else the image is backed by instance store
            check_root_device(root, mappings)
        answer = self.own["RegisterImage"](query.parameters | {"RootDeviceName": [root]})
        if answer[0] == 200:
            (image,) = _IMAGE_ID.findall(answer[2].decode())
            _images[image].update(BlockDeviceMappings=mappings, Details=details)
        return answer

    def deregister_image(self, query: Query) -> Answer:
        ec2_access.dry_run(query)
        return self.own["DeregisterImage"](query.parameters)

    def describe_images(self, query: Query) -> Answer:
        """DescribeImages: an id that names no image is an error; adds what RegisterImage was told."""
        ec2_access.dry_run(query)
        check_filters(query, _IMAGE_FILTERS)
        status, headers, body = self.own["DescribeImages"](query.parameters)
        found = set(_IMAGE_ID.findall(body.decode()))
        missing = [image for image in query.members("ImageId") if image not in found]
        if missing and not query.filters():
            raise Refusal("InvalidAMIID.NotFound", f"The image id '[{', '.join(missing)}]' does not exist")
        return status, headers, _IMAGE_ID.sub(lambda match: match[0] + details_xml(match[1]), body.decode()).encode()

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


def details_xml(image: str) -> str:
    record = _images.get(image)
    details: dict[str, str] = {"creationDate": record["CreationDate"], **record.get("Details", {})} if record else {}
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in details.items())


def mappings_xml(view: dict[str, Any]) -> str:
    """An image's block device mappings with all that "EbsBlockDevice" has, where ministack gives four fields."""
    if not view["BlockDeviceMappings"]:
        return _own_mappings_xml(view)
    items = ""
    for mapping in view["BlockDeviceMappings"]:
        ebs = {"VolumeType": "gp2", "DeleteOnTermination": "true"} | mapping.get("Ebs", {})
        fields = "".join(ec2_element(name, value) for name, value in ebs.items())
        items += f"<item><deviceName>{escape(mapping['DeviceName'])}</deviceName><ebs>{fields}</ebs></item>"
    return f"<blockDeviceMapping>{items}</blockDeviceMapping>"


_own_mappings_xml = ec2._image_bdm_xml


def ec2_element(name: str, value: str) -> str:
    tag = name[0].lower() + name[1:]
    return f"<{tag}>{escape(value)}</{tag}>"


def check_filters(query: Query, known: tuple[str, ...]) -> None:
    for name in query.filters():
        if name not in known and not name.startswith("tag:"):
            raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")


def snapshots_of(image: dict[str, Any]) -> list[str]:
    mapped = (mapping.get("Ebs", {}).get("SnapshotId") for mapping in image.get("BlockDeviceMappings") or [])
    return [snapshot for snapshot in mapped if snapshot]


def image_using(snapshot: str) -> str | None:
    return next((image["ImageId"] for image in _images.values() if snapshot in snapshots_of(image)), None)


def check_exists(resource: str) -> None:
    """CreateTags names a missing resource by the error of its kind."""
    kinds = {
        "ami-": (ec2._images, "InvalidAMIID.NotFound", f"The image id '[{resource}]' does not exist"),
        "snap-": (ec2._snapshots, "InvalidSnapshot.NotFound", f"The snapshot '{resource}' does not exist."),
    }
    for prefix, (known, code, message) in kinds.items():
        if resource.startswith(prefix) and resource not in known:
            raise Refusal(code, message)
