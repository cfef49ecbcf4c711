"""The images that are uploaded, and how fast xz decompresses them."""

import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from bench.processes import used_cpu
from bench.table import note
from bench.xz_blocks import read_blocks, write_blocks
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


class Disks(NamedTuple):
    """Images for the routes that write blocks, a third of each zeros but for `half`."""

    four: Image
    large: Image
    even: Image
    """With the least work for which an image has eight slices."""
    half: Image
    """Zeros in its second half, and eight slices."""


FOUR_GIB = {"size-mib": 4096, "content-mib": 4096 * 2 // 3, "preset": 6}
"""What make-disk makes a 4 GiB disk of which a third is zeros of, compressed as by `xz -T0`."""


def make_disks(folder):
    """Compresses 4 GiB, and makes the other images of the blocks of that file."""
    note("a 4 GiB disk, a third zeros, and others made of its blocks")
    four = disk_of_a_third_zeros(folder)
    disks = four.parent
    blocks = read_blocks(four)
    zeros, files = zeros_and_files(blocks)
    half = (files * 2)[: len(blocks)]
    return Disks(
        Image("4 GiB", four, sum(block.image for block in blocks)),
        made_of(four, blocks * 4, "16 GiB", disks / "large.raw.xz"),
        made_of(four, (blocks * 2)[: len(blocks) * 3 // 2], "6 GiB", disks / "even.raw.xz"),
        made_of(four, half + zeros[:1] * len(half), "8 GiB, zeros in the second half", disks / "half.raw.xz"),
    )


def disk_of_a_third_zeros(folder):
    file = folder / "disk" / "third.raw.xz"
    file.parent.mkdir(parents=True, exist_ok=True)
    options = (word for name, number in FOUR_GIB.items() for word in (f"--{name}", str(number)))
    output(LOCAL / "make-disk", file, *options)
    return file


def zeros_and_files(blocks):
    """Those blocks that have only zeros, and the others."""
    whole = max(block.image for block in blocks)
    emptiest = min(block.unpadded for block in blocks if block.image == whole)
    zeros = [block for block in blocks if block.unpadded <= emptiest]
    return zeros, [block for block in blocks if block not in zeros]


def made_of(source, blocks, title, file):
    if not file.exists() or file.stat().st_mtime < source.stat().st_mtime:
        write_blocks(source, blocks, file)
    return Image(title, file, sum(block.image for block in blocks))


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
    return into_cat("xz", "-dc", f"-T{threads}", file)


def into_cat(*command):
    """Seconds, and seconds of processor, of a command whose output goes through `cat >/dev/null`."""
    began = time.perf_counter()
    program = subprocess.Popen(command, stdout=subprocess.PIPE)
    cat = subprocess.Popen(["cat"], stdin=program.stdout, stdout=subprocess.DEVNULL)
    program.stdout.close()
    used = used_cpu(program)
    cat.wait()
    if program.returncode or cat.returncode:
        raise Failure(f"{' '.join(map(str, command))} failed")
    return time.perf_counter() - began, used
