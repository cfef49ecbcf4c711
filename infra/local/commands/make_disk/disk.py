"""The whole disk, raw and compressed."""

import os
import random
import subprocess

from common.failure import Failure
from common.units import MIB
from make_disk.efi_program import efi_program
from make_disk.fat16 import fat16
from make_disk.partition_table import BIOS_BOOT, EFI_SYSTEM, LINUX, partition_table
from make_disk.programs import program, run
from make_disk.root import make_root
from make_disk.units import SECTOR

XZ_BLOCK_MIB = 24
"""What xz takes with its default preset, that is, with kiwi."""


def make_raw(disk, size_mib, content_mib, seed):
    """Writes the disk. Returns the (files, bytes) of real content."""
    rng = random.Random(seed)
    esp_mib = 32 if size_mib >= 256 else 4
    bios_mib = 2 if size_mib >= 256 else 1
    root_mib = size_mib - 1 - bios_mib - esp_mib - 1
    kinds = [(BIOS_BOOT, "p.legacy", bios_mib), (EFI_SYSTEM, "p.UEFI", esp_mib), (LINUX, "p.lxroot", root_mib)]
    partitions, at = [], 1
    for kind, name, mib in kinds:
        partitions.append((kind, name, at * MIB // SECTOR, mib * MIB // SECTOR))
        at += mib
    _, esp_at, root_at = (first * SECTOR for _, _, first, _ in partitions)
    text = f"This disk has files, but no system to boot (seed {seed})."
    head, backup = partition_table(size_mib * MIB // SECTOR, rng, text, partitions)
    efi_files = {
        "EFI/BOOT/BOOTX64.EFI": efi_program(text),
        "EFI/BOOT/README.TXT": b"Made by make-disk.\r\n",
    }
    esp = fat16(esp_mib * MIB, rng.getrandbits(32), efi_files)
    with open(disk, "wb") as file:
        file.truncate(size_mib * MIB)
        file.write(head)
        file.seek(esp_at)
        file.write(esp.rstrip(b"\0"))
        file.seek(size_mib * MIB - len(backup))
        file.write(backup)
    wanted = (content_mib or size_mib) * MIB
    files, content = make_root(disk, root_at, root_mib * MIB, wanted, seed, rng)
    if content_mib and content < wanted:
        raise Failure(f"only {content / MIB:.0f} MiB of files fit into a disk of {size_mib} MiB")
    run(program("fsck.ext4"), "-fn", f"{disk}?offset={root_at}")
    return files, content


def compress(disk, target, size_mib, preset):
    xz = program("xz")
    block_mib = min(XZ_BLOCK_MIB, max(1, size_mib // 48))
    # At least two threads: with one, xz leaves the sizes out of the block headers.
    threads = max(2, os.cpu_count() or 2)
    command = [xz, f"-{preset}", f"--threads={threads}", f"--block-size={block_mib}MiB", "--stdout", disk]
    with open(target, "wb") as file:
        done = subprocess.run(command, stdout=file, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}")
