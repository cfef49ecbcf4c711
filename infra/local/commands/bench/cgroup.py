"""Control groups, which hold each process in them to a part of a processor.

Kernel documentation: "CPU Bandwidth Control" (v1), "Control Group v2". Either takes
root, or a group that was delegated.
"""

import contextlib
import os
from pathlib import Path

PERIOD = 100_000
"""Microseconds over which the kernel counts: its own default."""

TOP = Path("/sys/fs/cgroup")


class Unwritable(Exception):
    """No control group can be made here."""


@contextlib.contextmanager
def groups(count, part):
    """Makes groups, each of which gets so large a part of one processor. They go when their processes have ended."""
    made = []
    try:
        for number in range(count):
            made.append(make(f"obs-bench-{os.getpid()}-{number}", part))
        yield made
    finally:
        for group in made:
            with contextlib.suppress(OSError):
                group.rmdir()


def make(name, part):
    quota = int(PERIOD * part)
    for parent, files in parents():
        group = parent / name
        with contextlib.suppress(OSError):
            group.mkdir()
            try:
                for file, text in files(quota):
                    (group / file).write_text(text)
                return group
            except OSError:
                group.rmdir()
    raise Unwritable


def v1(quota):
    return [("cpu.cfs_period_us", str(PERIOD)), ("cpu.cfs_quota_us", str(quota))]


def v2(quota):
    return [("cpu.max", f"{quota} {PERIOD}")]


def parents():
    """Groups that may take another into them, the nearest first, with what the files of their version are."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            top, files = TOP / "cpu", v1
        elif not controllers and (TOP / "cgroup.controllers").exists():
            top, files = TOP, v2
        else:
            continue
        own = top / path.lstrip("/")
        for parent in [own, *own.parents]:
            if parent.is_relative_to(top) and parent.is_dir():
                yield parent, files


def prefix(group):
    """A command that runs another one in the group."""
    return ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', group / "cgroup.procs"]
