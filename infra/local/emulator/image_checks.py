"""What RegisterImage refuses ("RegisterImage", EC2 API Reference), a check each."""

from __future__ import annotations

import re
from typing import Any

from ministack.services import ec2

import snapshots
from ec2_query import Query, Refusal, invalid_value

ARCHITECTURES = ("i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac")
BOOT_MODES = ("legacy-bios", "uefi", "uefi-preferred")
VOLUME_SIZES = {
    "standard": (1, 1024),
    "io1": (4, 16_384),
    "io2": (4, 65_536),
    "gp2": (1, 16_384),
    "gp3": (1, 65_536),
    "sc1": (125, 16_384),
    "st1": (125, 16_384),
}
"""The smallest and the largest volume of each type, in GiB ("EbsBlockDevice", VolumeSize)."""

_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
"""RegisterImage, parameter Name. The text of the refusal below is AWS's, though it leaves some characters out."""

_SNAPSHOT_ID = re.compile(r"snap-[0-9a-z]+")


def check_name(name: str) -> None:
    """RegisterImage, parameter Name; the text is AWS's, as in hashicorp/packer pull request 2774."""
    if not _NAME.fullmatch(name):
        raise Refusal(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "
            "'(', ')', '.', '-', '/' and '_'",
        )


def check_unused(name: str) -> None:
    """A name is unique in its account and region; the text is AWS's, as in hashicorp/packer issue 11165."""
    for image in ec2._images.values():
        if image["Name"] == name:
            raise Refusal("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image['ImageId']}")


def image_details(query: Query) -> dict[str, str]:
    """The parameters that ministack drops, by their name in DescribeImages, checked one by one and together.

    "RegisterImage"; "Instance launch behavior with Amazon EC2 boot modes" (arm64 boots by UEFI only); "NitroTPM"
    (needs boot mode uefi).
    """
    architecture = query.choice("Architecture", ARCHITECTURES) or "i386"
    boot_mode = query.choice("BootMode", BOOT_MODES)
    tpm = query.choice("TpmSupport", ("v2.0",))
    imds = query.choice("ImdsSupport", ("v2.0",))
    sriov = query.choice("SriovNetSupport", ("simple",))
    virtualization = query.choice("VirtualizationType", ("hvm", "paravirtual"))
    ena = query.flag("EnaSupport")
    if architecture.startswith("arm64"):
        if boot_mode not in (None, "uefi"):
            raise unsupported_together("BootMode", boot_mode, "Architecture", architecture)
        if virtualization != "hvm":
            raise unsupported_together(
                "VirtualizationType", virtualization or "paravirtual", "Architecture", architecture
            )
    if tpm and boot_mode != "uefi":
        raise unsupported_together("TpmSupport", tpm, "BootMode", boot_mode or "unset")
    given = {
        "bootMode": boot_mode or ("uefi" if architecture.startswith("arm64") else None),
        "tpmSupport": tpm,
        "imdsSupport": imds,
        "sriovNetSupport": sriov,
        "enaSupport": str(ena).lower() if ena is not None else None,
    }
    return {name: value for name, value in given.items() if value}


def unsupported_together(name: str, value: str, other: str, its_value: str) -> Refusal:
    return Refusal("InvalidParameterCombination", f"{name} '{value}' is not supported with {other} '{its_value}'")


def check_mapping(mapping: dict[str, Any]) -> dict[str, Any]:
    """Rules of "EbsBlockDevice"; returns the mapping with what AWS fills in from the snapshot."""
    ebs = dict(mapping.get("Ebs") or {})
    device, snapshot = mapping["DeviceName"], ebs.get("SnapshotId")
    kind = ebs.get("VolumeType", "gp2")
    if kind not in VOLUME_SIZES:
        raise invalid_value("VolumeType", kind, f"Valid values: {', '.join(VOLUME_SIZES)}")
    for name in ("VolumeSize", "Iops", "Throughput"):
        if name in ebs and not str(ebs[name]).isdigit():
            raise invalid_value(name, ebs[name], "It must be a whole number")
    if snapshot:
        if "Encrypted" in ebs:
            raise Refusal(
                "InvalidBlockDeviceMapping",
                f"the encrypted flag cannot be specified since device {device} has a snapshot specified.",
            )
        size = snapshot_size(snapshot)
        if int(ebs.setdefault("VolumeSize", str(size))) < size:
            # The text is AWS's, as in aws/karpenter-provider-aws issue 3302.
            raise Refusal(
                "InvalidBlockDeviceMapping",
                f"Volume of size {ebs['VolumeSize']}GB is smaller than snapshot '{snapshot}', expect size >= {size}GB",
            )
        ebs["Encrypted"] = str(bool(ec2._snapshots[snapshot]["Encrypted"])).lower()
    elif ebs and "VolumeSize" not in ebs:
        raise Refusal("InvalidBlockDeviceMapping", f"Either snapshot ID or volume size must be provided for: {device}")
    if ebs:
        check_volume_size(int(ebs["VolumeSize"]), kind)
    return {**mapping, "Ebs": ebs} if ebs else mapping


def check_volume_size(size: int, kind: str) -> None:
    smallest, largest = VOLUME_SIZES[kind]
    if size < smallest:
        raise Refusal("InvalidParameterValue", f"Volume of {size}GiB is too small for volume type {kind}")
    if size > largest:
        raise Refusal(
            "InvalidParameterValue",
            f"Volume of {size}GiB is too large for volume type {kind}; maximum is {largest}GiB",
        )


def check_no_key(query: Query, mappings: int) -> None:
    """A mapping's KmsKeyId "is only supported on BlockDeviceMapping objects called by RunInstances, RequestSpotFleet,
    and RequestSpotInstances" ("EbsBlockDevice"); ministack drops it."""
    for number in range(1, mappings + 1):
        name = f"BlockDeviceMapping.{number}.Ebs.KmsKeyId"
        if query.text(name):
            raise Refusal("UnsupportedOperation", f"The parameter {name} is not supported for RegisterImage")


def snapshot_size(snapshot: str) -> int:
    """The size in GiB of the caller's own, completed snapshot; "Create an AMI from a snapshot", EC2 User Guide.

    The text for one that is not completed is AWS's for volumes (tschellenbach/Snaptastic issue 17).
    """
    check_snapshot_id(snapshot)
    record = snapshots.find(snapshot)
    if record is None:
        raise Refusal("InvalidSnapshot.NotFound", f"The snapshot '{snapshot}' does not exist.")
    if record["State"] != "completed":
        raise Refusal("IncorrectState", f"Snapshot '{snapshot}' is not 'completed'.")
    return int(record["VolumeSize"])


def check_root_device(root: str, mappings: list[dict[str, Any]]) -> None:
    """An EBS-backed image has its root device among its mappings, with a snapshot."""
    if not any(mapping["DeviceName"] == root and mapping.get("Ebs", {}).get("SnapshotId") for mapping in mappings):
        raise Refusal("InvalidBlockDeviceMapping", f"No snapshot is mapped to the root device {root}")


def check_snapshot_id(snapshot: str) -> None:
    if not _SNAPSHOT_ID.fullmatch(snapshot):
        raise Refusal("InvalidSnapshotID.Malformed", f'Invalid id: "{snapshot}" (expecting "snap-...")')
