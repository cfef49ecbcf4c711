"""The partition table. Layout: UEFI specification 2.10, chapter 5 "GUID Partition Table (GPT) Disk Layout"."""

import struct
import uuid
import zlib

from make_disk.units import SECTOR, random_uuid

BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def boot_code(text):
    """What a BIOS starts from the first sector: it prints `text` and halts."""
    code = bytes.fromhex(
        "fafc31c08ed88ed0bc007cfb"  # cli; cld; ds and ss = 0; sp = 0x7c00; sti
        "be207c"  # mov si, 0x7c20: the text, behind this code
        "ac84c07409"  # lodsb; test al, al; jz +9
        "b40ebb0700cd10ebf2"  # int 0x10, teletype; next character
        "f4ebfd"  # hlt, for ever
    )
    return (code + text.encode("ascii") + b"\r\n\0").ljust(446, b"\0")


def partition_table(sectors, rng, text, partitions):
    """(first 34 sectors, last 33 sectors). A partition is (type, name, first sector, sectors)."""
    entries = bytearray(128 * 128)
    for number, (kind, name, first, count) in enumerate(partitions):
        entry = kind.bytes_le + random_uuid(rng).bytes_le + struct.pack("<QQQ", first, first + count - 1, 0)
        entries[number * 128 : number * 128 + 128] = entry + name.encode("utf-16-le").ljust(72, b"\0")
    disk = random_uuid(rng)

    def header(at, other, entries_at):
        def fields(crc):
            sizes = (0x00010000, 92, crc, 0, at, other, 34, sectors - 34)
            table = (entries_at, 128, 128, zlib.crc32(entries))
            return b"EFI PART" + struct.pack("<IIIIQQQQ", *sizes) + disk.bytes_le + struct.pack("<QIII", *table)

        return fields(zlib.crc32(fields(0))).ljust(SECTOR, b"\0")

    protective = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))
    mbr = boot_code(text) + protective + bytes(48) + b"\x55\xaa"
    last = sectors - 1
    return mbr + header(1, last, 2) + bytes(entries), bytes(entries) + header(last, 1, last - 32)
