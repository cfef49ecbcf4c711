"""A program for UEFI firmware. UEFI specification 2.10, chapters 2.1 and 4.3."""

import struct

from common.failure import Failure
from make_disk.units import MADE


def efi_program(text):
    """An EFI application for x86_64 that prints `text` and returns. UEFI specification 2.10, chapters 2.1 and 4.3."""
    code = bytes.fromhex(
        "4883ec28"  # sub rsp, 40
        "488b4a40"  # mov rcx, [rdx+64]: the system table's ConOut
        "488d150a000000"  # lea rdx, [rip+10]: the text
        "ff5108"  # call [rcx+8]: OutputString
        "31c0"  # xor eax, eax: EFI_SUCCESS
        "4883c428"  # add rsp, 40
        "c3"  # ret
    )
    section = (code + (text + "\r\n\0").encode("utf-16-le")).ljust(512, b"\0")
    if len(section) != 512:
        raise Failure(f"a text of {len(text)} characters is too long for the EFI program")
    stub = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, MADE, 0, 0, 240, 0x0022)
    optional = struct.pack("<HBBIIIII", 0x20B, 0, 0, 512, 0, 0, 0x1000, 0x1000)
    optional += struct.pack("<QIIHHHHHHIIII", 0x400000, 0x1000, 512, 0, 0, 0, 0, 0, 0, 0, 0x2000, 512, 0)
    optional += struct.pack("<HHQQQQII", 10, 0, 0, 0, 0, 0, 0, 16) + bytes(16 * 8)
    text_section = struct.pack("<8sIIIIIIHHI", b".text", 512, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
    return (stub + coff + optional + text_section).ljust(512, b"\0") + section
