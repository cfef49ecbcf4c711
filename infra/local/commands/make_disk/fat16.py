"""The EFI system partition. Layout: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03."""

import struct
import time

from common.failure import Failure
from make_disk.units import MADE, SECTOR

ROOT_SECTORS = 32
"""Of the root directory: 512 entries."""

DIRECTORY, ARCHIVE, VOLUME_LABEL = 0x10, 0x20, 0x08
LABEL = b"EFI        "


def fat16(size, serial, files):
    """A FAT16 volume of `size` bytes. `files` maps paths with names of the 8.3 kind to bytes."""
    volume = Volume(size)
    root = struct.pack("<11sB20s", LABEL, VOLUME_LABEL, b"") + volume.store_tree(tree(files), 0)
    table = volume.table()
    return (volume.boot_sector(serial) + table + table + root.ljust(ROOT_SECTORS * SECTOR, b"\0") + volume.data).ljust(
        size, b"\0"
    )


def tree(files):
    """Paths as folders in folders: dictionaries of dictionaries, with the files' bytes at their ends."""
    top = {}
    for path, content in files.items():
        *folders, name = path.split("/")
        node = top
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = content
    return top


class Volume:
    """The clusters of a volume and the table that chains them."""

    def __init__(self, size):
        self.sectors = size // SECTOR
        self.per_cluster = 1
        while self.sectors // self.per_cluster > 60_000:
            self.per_cluster *= 2
        self.fat_sectors = -(-(self.sectors // self.per_cluster + 2) * 2 // SECTOR)
        data_at = 1 + 2 * self.fat_sectors + ROOT_SECTORS
        clusters = (self.sectors - data_at) // self.per_cluster
        if not 4085 <= clusters < 65525:
            raise Failure(f"{size} bytes are no size for FAT16")
        self.cluster_size = self.per_cluster * SECTOR
        self.fat = [0xFFF8, 0xFFFF]
        self.data = bytearray()

    def store(self, content):
        """Puts `content` behind what is there and returns its first cluster."""
        first, count = len(self.fat), max(1, -(-len(content) // self.cluster_size))
        self.fat.extend([*range(first + 1, first + count), 0xFFFF])
        self.data.extend(content.ljust(count * self.cluster_size, b"\0"))
        return first

    def store_tree(self, tree, parent):
        """Stores what is in a directory, whose own ".." is `parent`, and returns the directory's entries."""
        rows = b""
        for name, node in sorted(tree.items()):
            if isinstance(node, dict):
                # A directory comes before what is in it, as its children name its cluster.
                own = self.store(bytes(self.cluster_size))
                inner = entry(".", DIRECTORY, own, 0) + entry("..", DIRECTORY, parent, 0) + self.store_tree(node, own)
                if len(inner) > self.cluster_size:
                    raise Failure(f"{name}: more files than one cluster of FAT16 can name")
                at = (own - 2) * self.cluster_size
                self.data[at : at + len(inner)] = inner
                rows += entry(name, DIRECTORY, own, 0)
            else:
                rows += entry(name, ARCHIVE, self.store(node), len(node))
        return rows

    def boot_sector(self, serial):
        sizes = (SECTOR, self.per_cluster, 1, 2, 512, 0, 0xF8, self.fat_sectors, 32, 64, 0, self.sectors)
        boot = b"\xeb\x3c\x90" + b"MSWIN4.1" + struct.pack("<HBHBHHBHHHII", *sizes)
        boot += struct.pack("<BBBI11s8s", 0x80, 0, 0x29, serial, LABEL, b"FAT16   ")
        return boot.ljust(510, b"\0") + b"\x55\xaa"

    def table(self):
        return struct.pack(f"<{len(self.fat)}H", *self.fat).ljust(self.fat_sectors * SECTOR, b"\0")


def entry(name, attributes, cluster, length):
    """The directory entry of a file or folder."""
    base, _, suffix = (name, "", "") if name in (".", "..") else name.partition(".")
    name = base.ljust(8).encode() + suffix.ljust(3).encode()
    made = time.gmtime(MADE)
    clock = made.tm_hour << 11 | made.tm_min << 5 | made.tm_sec // 2
    day = (made.tm_year - 1980) << 9 | made.tm_mon << 5 | made.tm_mday
    return struct.pack("<11sBBBHHHHHHHI", name, attributes, 0, 0, clock, day, day, 0, clock, day, cluster, length)
