"""xz files made of the blocks of another one, which takes seconds where compression takes many minutes.

The .xz file format 1.2.1: a stream is a header (2.1.1), blocks (3), an index of their sizes (4) and a footer (2.1.2).
Blocks know nothing of each other.
"""

import struct
import zlib
from typing import NamedTuple

from common.failure import Failure

HEADER = 12
"""Bytes of a stream's header, and of its footer."""


class Block(NamedTuple):
    """Where a block is, its size without the padding, and the size of what it decodes to."""

    start: int
    unpadded: int
    image: int

    @property
    def padded(self):
        return -(-self.unpadded // 4) * 4


def read_blocks(file):
    """The blocks of a file of one stream."""
    with open(file, "rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(size - HEADER)
        footer = stream.read()
        index_size = (struct.unpack("<I", footer[4:8])[0] + 1) * 4
        stream.seek(size - HEADER - index_size)
        index = stream.read(index_size)
    if footer[10:] != b"YZ" or index[0] != 0:
        raise Failure(f"{file} is no xz file of one stream")
    count, at = number(index, 1)
    blocks, start = [], HEADER
    for _ in range(count):
        unpadded, at = number(index, at)
        image, at = number(index, at)
        blocks.append(Block(start, unpadded, image))
        start += blocks[-1].padded
    if start != size - HEADER - index_size:
        raise Failure(f"{file} is no xz file of one stream")
    return blocks


def write_blocks(source, blocks, target):
    """Makes a file of blocks of another one."""
    partial = target.with_name(target.name + ".new")
    with open(source, "rb") as stream, open(partial, "wb") as file:
        header = stream.read(HEADER)
        file.write(header)
        for block in blocks:
            stream.seek(block.start)
            file.write(stream.read(block.padded))
        index = b"\0" + encoded(len(blocks))
        index += b"".join(encoded(block.unpadded) + encoded(block.image) for block in blocks)
        index += bytes(-len(index) % 4)
        index += struct.pack("<I", zlib.crc32(index))
        file.write(index)
        end = struct.pack("<I", len(index) // 4 - 1) + header[6:8]
        file.write(struct.pack("<I", zlib.crc32(end)) + end + b"YZ")
    partial.replace(target)


def number(data, at):
    """A number of variable length (1.2), and where the next one starts."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def encoded(value):
    digits = bytearray()
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
