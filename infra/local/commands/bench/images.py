"""The images that are uploaded, and how fast xz decompresses them."""

import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from bench.processes import used_cpu
from bench.table import note
from common.failure import Failure
from common.paths import LOCAL
from common.process import output
from common.units import MIB


class Image(NamedTuple):
    title: str
    file: Path
    size: int


def make_images(folder):
    disks = folder / "disk"
    disks.mkdir(parents=True, exist_ok=True)
    demo, large, serial = disks / "demo.raw.xz", disks / "4gib.raw.xz", disks / "one-block.raw.xz"
    note("images")
    output(LOCAL / "make-disk", demo)
    output(LOCAL / "make-disk", large, "--size-mib", "4096")
    if not serial.exists() or serial.stat().st_mtime < demo.stat().st_mtime:
        # With one thread, xz makes one block: nothing of it can be decoded side by side.
        output("sh", "-c", 'xz -dc "$1" | xz -0 -T1 > "$2.new" && mv "$2.new" "$2"', "sh", demo, serial)
    return [
        Image("the demo's disk", demo, 1280 * MIB),
        Image("the same in one xz block", serial, 1280 * MIB),
        Image("a 4 GiB disk", large, 4096 * MIB),
    ]


def make_small_image(folder):
    file = folder / "disk" / "small.raw.xz"
    output(LOCAL / "make-disk", file, "--size-mib", "48", "--content-mib", "16")
    return file


def read_into_page_cache(file):
    with open(file, "rb") as stream:
        while stream.read(16 * MIB):
            pass


def xz_seconds(file, threads):
    """Seconds, and seconds of processor, that xz takes for a file that is in the page cache."""
    began = time.perf_counter()
    xz = subprocess.Popen(["xz", "-dc", f"-T{threads}", file], stdout=subprocess.PIPE)
    cat = subprocess.Popen(["cat"], stdin=xz.stdout, stdout=subprocess.DEVNULL)
    xz.stdout.close()
    used = used_cpu(xz)
    cat.wait()
    if xz.returncode or cat.returncode:
        raise Failure(f"xz cannot decompress {file}")
    return time.perf_counter() - began, used
