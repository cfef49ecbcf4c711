"""The command line of `make-disk`, which makes a disk only when it is not there yet."""

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import make_disk
from common.failure import Failure
from common.units import MIB
from make_disk.disk import compress, make_raw


def arguments():
    parser = argparse.ArgumentParser(
        prog="make-disk", description=make_disk.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", metavar="FILE.raw.xz", type=Path)
    parser.add_argument("--size-mib", type=int, default=1280, help="of the disk, at least 12 (default: %(default)s)")
    parser.add_argument("--content-mib", type=int, help="real files (default: as many as fit)")
    parser.add_argument("--seed", default="1", help="another seed, another choice of files (default: %(default)s)")
    parser.add_argument("--preset", type=int, default=0, choices=range(10), help="of xz, whose own is 6 (default: 0)")
    parser.add_argument("--raw", metavar="FILE.raw", type=Path, help="keep the disk before compression here")
    options = parser.parse_args()
    if options.size_mib < 12:
        parser.error("--size-mib must be at least 12")
    if not re.fullmatch(r"[0-9A-Za-z]{1,16}", options.seed):
        parser.error("--seed must be 1 to 16 letters and digits")
    return options


class Note:
    """What a disk was made of, in a file beside it."""

    def __init__(self, options):
        self.file = options.file.with_name(options.file.name + ".made.json")
        self.made = [path.absolute() for path in (options.file, options.raw) if path]
        own = hashlib.sha256()
        for source in sorted(Path(__file__).parent.glob("*.py")):
            own.update(source.read_bytes())
        self.inputs = [options.size_mib, options.content_mib, options.seed, options.preset, own.hexdigest()]

    def holds(self):
        """Whether the disk is there, made of the same, and untouched since."""
        try:
            noted = json.loads(self.file.read_text())
            return noted["inputs"] == self.inputs and all(
                noted["made"][str(path)] == identity(path) for path in self.made
            )
        except (FileNotFoundError, KeyError, ValueError):
            return False

    def write(self):
        made = {str(path): identity(path) for path in self.made}
        self.file.write_text(json.dumps({"inputs": self.inputs, "made": made}))


def identity(path):
    info = os.stat(path)
    return [info.st_size, info.st_mtime_ns]


def make(options):
    began = time.monotonic()
    target = options.file.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="disk.") as scratch:
        disk, compressed = os.path.join(scratch, "disk.raw"), os.path.join(scratch, "disk.raw.xz")
        files, content = make_raw(disk, options.size_mib, options.content_mib, options.seed)
        written = time.monotonic()
        compress(disk, compressed, options.size_mib, options.preset)
        os.replace(compressed, target)
        if options.raw:
            options.raw.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(disk, options.raw)
    print(
        f"{options.file}: a disk of {options.size_mib} MiB with {files} real files of {content / MIB:.0f} MiB, "
        f"{target.stat().st_size / MIB:.0f} MiB compressed "
        f"(made in {written - began:.1f} s, compressed in {time.monotonic() - written:.1f} s)"
    )


def main():
    options = arguments()
    note = Note(options)
    if note.holds():
        print(f"{options.file} is there already")
        return
    try:
        make(options)
        note.write()
    except Failure as failure:
        sys.exit(f"make-disk: {failure}")


if __name__ == "__main__":
    main()
