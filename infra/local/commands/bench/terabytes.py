"""A sparse disk of 2 TiB: whether `transfer` brings it into blocks, in which time and memory."""

import os

from bench.blocks import RSS_LIMIT
from bench.images import Image, disk_of_a_third_zeros, zeros_and_files
from bench.table import Row, Table, mib, note, seconds
from bench.transfers import SECONDS
from bench.xz_blocks import read_blocks, write_blocks

TITLE = "A sparse disk of 2 TiB"
DISK = 2 << 40
FILES = 20
"""Blocks of files at the start of the disk; one more is at its end."""

AT_A_TIME = os.cpu_count()
"""Slices: so many that each has a processor, nearly as on AWS."""


def measure_terabytes(folder, stand, limits):
    note("a sparse disk of 2 TiB")
    small, sparse = make(folder)
    expected = stand.transfer(small.file)
    note(f"blocks: {sparse.title}, more than an hour of processor time")
    run = stand.transfer(sparse.file, AT_A_TIME)
    same = (run.blocks, run.checksum) == (expected.blocks, expected.checksum)
    limits.keep("blocks of a sparse disk that are not those of the same files in a small one", not same, False)
    longest = max(slice.took for slice in run.slices)
    limits.keep("longest slice of a sparse disk, in seconds", longest, SECONDS)
    limits.keep("peak RSS of transfer, a sparse disk, in bytes", run.peak, RSS_LIMIT)
    rows = [
        Row("slices", str(len(run.slices)), f"{mib(sparse.file.stat().st_size)} of xz"),
        Row("blocks written", str(run.blocks), "those of the files, by count and checksum"),
        Row("longest slice", seconds(longest), f"{AT_A_TIME} at a time; a function has {SECONDS} s"),
        Row("processor time", seconds(run.cpu), f"{run.cpu / DISK * 1e9:.2f} ns for a byte of the disk"),
        Row("peak RSS", mib(run.peak), f"the limit is {mib(RSS_LIMIT)}"),
    ]
    return Table(TITLE, rows)


def make(folder):
    """Makes two disks with the same blocks of files, zeros before the last of them: as large as that which the blocks are
    of, and of 2 TiB."""
    source = disk_of_a_third_zeros(folder)
    blocks = read_blocks(source)
    zeros, files = zeros_and_files(blocks)
    used = files[: FILES + 1]

    def disk(title, size, file):
        # All blocks but the last of a file have one size: whole ones leave room for less than one.
        gap = size - sum(block.image for block in used)
        zeros_between = zeros[:1] * (gap // zeros[0].image)
        disk_blocks = [*used[:-1], *zeros_between, used[-1]]
        write_blocks(source, disk_blocks, source.with_name(file))
        return Image(title, source.with_name(file), sum(block.image for block in disk_blocks))

    # The partition table is in the first block.
    least = sum(block.image for block in blocks) + zeros[0].image
    return disk("4 GiB, sparse", least, "sparse-4gib.raw.xz"), disk("2 TiB, sparse", DISK, "sparse.raw.xz")
