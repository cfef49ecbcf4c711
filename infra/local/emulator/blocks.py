"""The blocks of a snapshot in its file, and what those read as that nobody wrote.

"Concepts for EBS direct APIs" (EBS User Guide): a block is 512 KiB. A volume of an encrypted snapshot decrypts blocks
that are not there, too, so that they read as noise (seen: awslabs/coldsnap 395 and 470, bottlerocket-os/bottlerocket
2169); those of an unencrypted snapshot read as zeros.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

BLOCK = 512 << 10
BLOCKS_PER_GIB = (1 << 30) // BLOCK


def create(path: Path, gib: int) -> None:
    """A file of the volume's size, all holes. Where the file system has no files so large (ext4: 16 TiB), it is as long
    as its last block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        try:
            file.truncate(gib << 30)
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise


def write(path: Path, index: int, data: bytes) -> None:
    """FileNotFoundError when the snapshot has gone meanwhile: a late writer brings nothing back."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        offset = index * BLOCK
        while data:
            written = os.pwrite(descriptor, data, offset)
            data, offset = data[written:], offset + written
    finally:
        os.close(descriptor)


def read(path: Path, index: int) -> bytes:
    """One block; an imported image may end within its last one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, BLOCK, index * BLOCK).ljust(BLOCK, b"\0")
    finally:
        os.close(descriptor)


def data_of(path: Path) -> Iterator[int]:
    """The indexes of the blocks in which a file has data, in order."""
    with path.open("rb") as file:
        end, position = file.seek(0, os.SEEK_END), 0
        while position < end:
            try:
                index = os.lseek(file.fileno(), position, os.SEEK_DATA) // BLOCK
            except OSError:  # a hole up to the end
                return
            yield index
            position = (index + 1) * BLOCK


def noise(snapshot: str, index: int) -> bytes:
    return hashlib.shake_256(f"{snapshot}/{index}".encode()).digest(BLOCK)
