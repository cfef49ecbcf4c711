"""The disk that is uploaded: bootable, a few dozen MiB, and its file for OBS."""

from dataclasses import dataclass
from pathlib import Path

from acceptance.costs import DISK_MIB
from common.paths import LOCAL
from common.process import output

SEED = "acceptance"
LINE = f"This disk has files, but no system to boot (seed {SEED})."
"""What its EFI program prints (make_disk/disk.py)."""

BUILD = {"project": "Acceptance", "repository": "images", "arch": "x86_64", "package": "disk"}
FILE = "disk.x86_64-1.0.raw.xz"
SLOW = f"slow-20-{FILE}"
"""The same file, for which OBS takes 20 s (infra/acceptance/build_results.py)."""


@dataclass(frozen=True)
class Disk:
    packed: Path
    raw: Path


def make(folder):
    disk = Disk(folder / FILE, folder / FILE.removesuffix(".xz"))
    size = ("--size-mib", str(DISK_MIB), "--content-mib", "24", "--seed", SEED)
    output(LOCAL / "make-disk", disk.packed, *size, "--raw", disk.raw)
    return disk


def publish(s3, bucket, disk):
    """Makes the file a build result of the stand-in, under both names."""
    for name in (FILE, SLOW):
        s3.upload_file(str(disk.packed), bucket, f"build/{'/'.join(BUILD.values())}/{name}")
