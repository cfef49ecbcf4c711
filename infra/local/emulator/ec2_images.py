"""Images: RegisterImage, DeregisterImage, DescribeImages, DisableImage, EnableImage (EC2 API Reference).

ministack's own handlers still do the work, where they are there; what they leave out of an image is kept here and put
into DescribeImages.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from defusedxml.ElementTree import fromstring
from ministack.core.responses import get_account_id
from ministack.services import ec2

import control
import ec2_access
from ec2_query import Answer, Query, Refusal, check_filters, ec2_element, serve
from image_checks import check_mapping, check_name, check_no_key, check_root_device, check_unused, image_details

_IMAGE_ID = re.compile(r"<imageId>(ami-[0-9a-f]+)</imageId>")

_FILTERS = (
    "architecture",
    "block-device-mapping.snapshot-id",
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
"""What images can be filtered by, besides `tag:<key>`: ministack's own filters, and those of `with_own_filters`."""

AVAILABLE, DISABLED = "available", "disabled"

_images = ec2._images


class Images:
    def __init__(self) -> None:
        self.own = dict(ec2._ACTION_MAP)

    def install(self) -> None:
        serve("RegisterImage", self.register)
        serve("DeregisterImage", self.deregister)
        serve("DescribeImages", self.describe)
        serve("DisableImage", self.disable)
        serve("EnableImage", self.enable)
        ec2._image_bdm_xml = mappings_xml
        ec2._image_matches_filters = with_own_filters(ec2._image_matches_filters)

    def register(self, query: Query) -> Answer:
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
        check_no_key(query, len(mappings))
        root = query.text("RootDeviceName") or "/dev/sda1"
        if not query.text("ImageLocation"):  # else the image is backed by instance store
            check_root_device(root, mappings)
        answer = self.own["RegisterImage"](query.parameters | {"RootDeviceName": [root]})
        if answer[0] == 200:
            (image,) = _IMAGE_ID.findall(answer[2].decode())
            _images[image].update(BlockDeviceMappings=mappings, Details=details, Registered=time.monotonic())
        return answer

    def deregister(self, query: Query) -> Answer:
        ec2_access.dry_run(query)
        return self.own["DeregisterImage"](query.parameters)

    def describe(self, query: Query) -> Answer:
        """DescribeImages: an id that names no image is an error; adds what RegisterImage was told. Nothing is ever
        deprecated here, and an owner's deprecated images are listed anyway."""
        ec2_access.dry_run(query)
        check_filters(query, _FILTERS)
        query.flag("IncludeDeprecated")
        with_disabled = query.flag("IncludeDisabled") or False
        status, headers, body = self.own["DescribeImages"](query.parameters)
        document = fromstring(body)
        listed = document.find(in_namespace(document, "imagesSet"))
        known = set()
        for item in list(listed):
            image = item.findtext(in_namespace(document, "imageId"))
            record = _images.get(image)
            if is_unlisted(record):
                listed.remove(item)
                continue
            known.add(image)
            if state_of(image) == DISABLED and not with_disabled:
                listed.remove(item)
                continue
            item.find(in_namespace(document, "imageState")).text = state_of(image)
            for name, value in details_of(record).items():
                ElementTree.SubElement(item, in_namespace(document, name)).text = value
        missing = [image for image in query.members("ImageId") if image not in known]
        if missing and not query.filters():
            raise no_image(", ".join(missing))
        return status, headers, ElementTree.tostring(document, "utf-8", default_namespace=namespace(document))

    def disable(self, query: Query) -> Answer:
        """DisableImage: "Sets the AMI state to disabled and removes all launch permissions from the AMI." """
        image = own_image(query)
        image.update(State=DISABLED, LaunchPermissions=[])
        return ec2._xml(200, "DisableImageResponse", "<return>true</return>")

    def enable(self, query: Query) -> Answer:
        own_image(query)["State"] = AVAILABLE
        return ec2._xml(200, "EnableImageResponse", "<return>true</return>")


def own_image(query: Query) -> dict[str, Any]:
    """The image that a request names, which is the caller's own, once permissions are checked."""
    image = query.required("ImageId")
    ec2_access.dry_run(query)
    if image not in _images:
        raise no_image(image)
    return _images[image]


def no_image(image: str) -> Refusal:
    return Refusal("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")


def is_unlisted(record: dict[str, Any] | None) -> bool:
    """Whether DescribeImages does not know an image yet, as a test has asked for."""
    lag = control.of_account(get_account_id()).new_images_unlisted_seconds
    return record is not None and "Registered" in record and time.monotonic() < record["Registered"] + lag


def state_of(image: str) -> str:
    return (_images.get(image) or {}).get("State", AVAILABLE)


def with_own_filters(matches: Callable[..., bool]) -> Callable[..., bool]:
    """The filters `state`, as to ministack each image is available, and `block-device-mapping.snapshot-id`."""

    def matched(view: dict[str, Any], filters: dict[str, list[str]]) -> bool:
        own = {
            "state": [state_of(view["ImageId"])],
            "block-device-mapping.snapshot-id": [
                mapping.get("Ebs", {}).get("SnapshotId", "") for mapping in view["BlockDeviceMappings"]
            ],
        }
        others = {name: values for name, values in filters.items() if name not in own}
        return matches(view, others) and all(
            any(ec2._filter_value_matches(value, filters[name]) for value in values)
            for name, values in own.items()
            if name in filters
        )

    return matched


def details_of(record: dict[str, Any] | None) -> dict[str, str]:
    return {"creationDate": record["CreationDate"], **record.get("Details", {})} if record else {}


def namespace(document: ElementTree.Element) -> str:
    return document.tag.partition("}")[0].removeprefix("{")


def in_namespace(document: ElementTree.Element, name: str) -> str:
    return f"{{{namespace(document)}}}{name}"


def mappings_xml(view: dict[str, Any]) -> str:
    """An image's block device mappings with all that "EbsBlockDevice" has, where ministack gives four fields."""
    if not view["BlockDeviceMappings"]:
        return _own_mappings_xml(view)
    items = ""
    for mapping in view["BlockDeviceMappings"]:
        ebs = {"VolumeType": "gp2", "DeleteOnTermination": "true"} | mapping.get("Ebs", {})
        elements = "".join(ec2_element(name, value) for name, value in ebs.items())
        items += f"<item><deviceName>{escape(mapping['DeviceName'])}</deviceName><ebs>{elements}</ebs></item>"
    return f"<blockDeviceMapping>{items}</blockDeviceMapping>"


_own_mappings_xml = ec2._image_bdm_xml
