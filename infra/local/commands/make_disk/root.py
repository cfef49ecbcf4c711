"""The root file system: ext4, with real files of this machine."""

import os
import shutil
import stat
import sys
import tempfile

from common.failure import Failure
from common.units import MIB
from make_disk.programs import program, run
from make_disk.units import random_uuid

BLOCK = 4096


def sources():
    """Trees of real files, those with many large ones first."""
    trees = ["/usr/bin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/sbin", "/usr/share"]
    trees += [os.path.join(sys.prefix, "lib"), os.path.join(sys.prefix, "bin")]
    rustc = shutil.which("rustc")
    if rustc:
        sysroot = run(rustc, "--print", "sysroot").strip()
        trees += [os.path.join(sysroot, "lib"), os.path.join(sysroot, "share")]
    return list(dict.fromkeys(os.path.realpath(tree) for tree in trees if os.path.isdir(tree)))


def files_below(tree, rng):
    """(path, stat) of the regular files and links below `tree`, in an order that the seed decides."""
    try:
        with os.scandir(tree) as entries:
            entries = sorted(entries, key=lambda entry: entry.name)
    except PermissionError:
        return
    rng.shuffle(entries)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(entry.path, rng)
        elif entry.is_symlink() or entry.is_file():
            yield entry.path, entry.stat(follow_symlinks=False)


def fill(root, room, wanted, rng):
    """Copies real files below `root` until they have `wanted` bytes, or take nearly `room` bytes of blocks and inodes.

    Returns (files, bytes).
    """
    count = size = rounds = 0
    trees = sources()
    enough = room * 99 // 100
    largest = room // 16  # many files rather than a few of the largest
    used = 0
    while True:
        before = count
        # Where the machine has less than is wanted, its trees go in again, in a place of their own.
        top = os.path.join(root, f"srv/copy-{rounds}") if rounds else root
        for path, info in (file for tree in trees for file in files_below(tree, rng)):
            # Blocks, an inode of 256 bytes, and a share of the blocks of its directory.
            cost = -(-info.st_size // BLOCK) * BLOCK + 512
            if cost > largest or used + cost > room:
                continue
            copy = top + path
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            try:
                shutil.copy2(path, copy, follow_symlinks=False)
            except PermissionError:
                continue
            if not stat.S_ISLNK(info.st_mode):
                os.chmod(copy, info.st_mode & 0o755 | 0o600)
            count, size, used = count + 1, size + info.st_size, used + cost
            if size >= wanted or used >= enough:
                return count, size
        rounds += 1
        if count == before:
            raise Failure(f"no files in {', '.join(trees)} that fit into {room - used} bytes")


def write_text(root, path, text):
    target = os.path.join(root, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)


def make_root(disk, start, size, wanted, seed, rng):
    """Makes the root file system at byte `start` of the file `disk`. Returns the (files, bytes) copied into it."""
    journal_mib = 32 if size >= 256 * MIB else 0
    # Bitmaps, group descriptors, directories and spare inodes take the twentieth part and a little.
    room = (size - journal_mib * MIB) * 19 // 20 - MIB // 2
    with tempfile.TemporaryDirectory(dir=os.path.dirname(disk), prefix="root.") as root:
        root_id = random_uuid(rng)
        write_text(root, "etc/os-release", 'NAME="Disk of make-disk"\nID=make-disk\n')
        write_text(root, "etc/hostname", f"make-disk-{seed}\n")
        write_text(root, "etc/fstab", f"UUID={root_id} / ext4 defaults 0 1\n")
        for empty in ("boot/efi", "dev", "proc", "run", "sys", "tmp"):
            os.makedirs(os.path.join(root, empty))
        copied = fill(root, room, wanted, rng)
        inodes = sum(len(folders) + len(files) for _, folders, files in os.walk(root)) + 64
        journal = ("-J", f"size={journal_mib}") if journal_mib else ("-O", "^has_journal")
        options = f"offset={start},hash_seed={random_uuid(rng)},root_owner=0:0,lazy_itable_init=0"
        run(
            program("mkfs.ext4"),
            *("-q", "-F", "-m", "0", "-b", str(BLOCK), "-N", str(inodes), "-L", "ROOT"),
            *("-U", str(root_id)),
            *journal,
            *("-E", options, "-d", root, disk, f"{size // 1024}k"),
        )
    return copied
