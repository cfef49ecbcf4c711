"""What VM Import makes of the bytes of a disk image.

"Image formats supported by VM Import/Export", VM Import/Export User Guide. The emulator reads RAW.
"""

from __future__ import annotations

from file_body import Bytes

SECTOR = 512
"""Bytes; a disk is a whole number of sectors."""

FORMATS = ("RAW", "VHD", "VMDK", "VHDX")

_NOT_RAW = {
    b"QFI\xfb": 0,
    b"KDMV": 0,
    b"COWD": 0,
    b"# Disk DescriptorFile": 0,
    b"conectix": 0,
    b"vhdxfile": 0,
    b"\xfd7zXZ\x00": 0,
    b"\x1f\x8b": 0,
    b"\x28\xb5\x2f\xfd": 0,
    b"BZh": 0,
    b"PK\x03\x04": 0,
    b"ustar": 257,
}
"""Magic bytes of disk, archive and compression formats and where they lie: such a file is no raw disk."""


class InvalidDisk(Exception):
    """A disk that VM Import refuses; the text is the task's status message."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"ClientError: Disk validation failed [{reason}]")


UNSUPPORTED = "Unsupported specified file format"
"""As AWS words it: osbuild/osbuild-composer issue 706 shows such a task."""


def check_disk(image: Bytes, image_format: str) -> None:
    size = len(image)
    if size == 0:
        raise InvalidDisk("The disk image is empty")
    if image_format != "RAW":
        raise InvalidDisk(f"Unsupported {image_format} File Format")
    if any(image[at : at + len(magic)] == magic for magic, at in _NOT_RAW.items()):
        raise InvalidDisk(UNSUPPORTED)
    if size % SECTOR:
        raise InvalidDisk(f"The size of the disk, {size} bytes, is not a multiple of {SECTOR}")
