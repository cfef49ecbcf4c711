"""The built functions."""

import struct

from common.failure import Failure
from common.paths import shown

MACHINES = {"x86_64": 62, "arm64": 183}
"""The field e_machine of an ELF file (EM_X86_64, EM_AARCH64 in elf.h)."""


def read(folder, name, architecture):
    """A function as `cargo lambda build` lays it out, or as `cargo build` does."""
    file = next((file for file in (folder / name / "bootstrap", folder / name) if file.is_file()), None)
    if file is None:
        raise Failure(f"{shown(folder / name)} is not there: build it first, with `make release` or `make build`")
    binary = file.read_bytes()
    if machine_of(binary) != MACHINES[architecture]:
        raise Failure(f"{shown(file)} is not a program for {architecture}")
    return binary


def machine_of(binary):
    return struct.unpack_from("<H", binary, 18)[0] if binary[:4] == b"\x7fELF" else None
