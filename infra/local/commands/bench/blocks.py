"""Blocks of EBS from a staged disk: how fast, next to xz and coldsnap; in how much memory; how well slices share."""

import os
import statistics
from typing import NamedTuple

from bench import cgroup
from bench.images import make_disks, read_into_page_cache, xz_seconds
from bench.rivals import COLDSNAP, build_rivals, coldsnap, newest_liblzma_seconds
from bench.table import Row, Table, mib, note, seconds
from bench.transfers import SIDE_BY_SIDE, stage
from common.units import MIB

ROUNDS = 3
"""Rounds of all that is compared; the median of each counts."""

RSS_LIMIT = 256 * MIB
ALIKE = 1.1
"""The peak of a large image to that of a small one, at most."""

XZ_LIMIT, COLDSNAP_LIMIT, COLDSNAP_OMIT_LIMIT, CPU_LIMIT = 1.0, 0.5, 0.6, 0.9
PART, SHARE_LIMIT = 1 / 8, 0.85
BALANCE_LIMIT = 1.3


class Rounds(NamedTuple):
    """All rounds: seconds of each of the programs, and our own transfers."""

    xz: list
    newest: list
    coldsnap: list
    coldsnap_omit: list
    ours: list
    xz_cpu: float
    """Seconds of processor of `xz -dc -T1`."""


def measure_blocks(folder, env, port, limits):
    note("coldsnap, and a program that decodes with the newest liblzma")
    build_rivals()
    disks = make_disks(folder)
    with stage(folder, env, port) as stand:
        rounds = measure_rounds(stand, disks.four)
        large, half = transfer(stand, disks.large), transfer(stand, disks.half)
        return [
            Table("Blocks of EBS, next to xz and coldsnap", speed_rows(rounds, limits)),
            Table("Memory of `transfer` when it writes blocks", memory_rows(rounds.ours, large, limits)),
            Table("Slices side by side", [*share_rows(stand, disks.even, limits), *balance_rows(half, limits)]),
        ]


def transfer(stand, image):
    note(f"blocks: {image.title}")
    return stand.transfer(image.file)


def measure_rounds(stand, image):
    read_into_page_cache(image.file)
    rounds = Rounds([], [], [], [], [], xz_seconds(image.file, 1)[1])
    for number in range(1, ROUNDS + 1):
        note(f"blocks: round {number} of {ROUNDS}, {image.title} next to xz and coldsnap")
        rounds.xz.append(xz_seconds(image.file, 0)[0])
        rounds.newest.append(newest_liblzma_seconds(image.file)[0])
        rounds.ours.append(stand.transfer(image.file))
        rounds.coldsnap.append(coldsnap(image.file, stand.sink, stand.env))
        rounds.coldsnap_omit.append(coldsnap(image.file, stand.sink, stand.env, "--omit-zero-blocks"))
    return rounds


def without_sink(run):
    """Seconds of a run of ours or of coldsnap, without those that the sink took from all processors."""
    return run.took - run.sink_cpu / os.cpu_count()


def speed_rows(rounds, limits):
    ours = statistics.median(map(without_sink, rounds.ours))
    run = rounds.ours[0]
    check_bytes(run, rounds.coldsnap_omit[0], limits)
    beside = f"{run.blocks} blocks in {len(run.slices)} slices; median of {ROUNDS}"
    rows = [Row("staged object to last block", seconds(ours), beside)]

    def compare(what, other, limit=None):
        ratio = ours / other
        if limit is not None:
            limits.keep(f"blocks of EBS, time to that of {what}", ratio, limit)
        rows.append(Row(f"… to {what}", f"{ratio:.2f} : 1", limit_beside(seconds(other), limit)))

    compare("`xz -dc -T0`, into `cat`", statistics.median(rounds.xz), XZ_LIMIT)
    compare("the same with the newest liblzma", statistics.median(rounds.newest))
    for title, limit, runs in (
        ("`xz -dk -T0`, then `coldsnap upload`", COLDSNAP_LIMIT, rounds.coldsnap),
        ("the same with `--omit-zero-blocks`", COLDSNAP_OMIT_LIMIT, rounds.coldsnap_omit),
    ):
        compare(title, statistics.median(map(without_sink, runs)), limit)
    used = statistics.median(run.cpu for run in rounds.ours)
    limits.keep("blocks of EBS, processor time to that of xz -dc -T1", used / rounds.xz_cpu, CPU_LIMIT)
    beside = limit_beside(f"{seconds(used)} to {seconds(rounds.xz_cpu)}", CPU_LIMIT)
    rows.append(Row("processor time of all slices, to that of `xz -dc -T1`", f"{used / rounds.xz_cpu:.2f} : 1", beside))
    for title, runs in (
        ("processor time of the sink, of ours", rounds.ours),
        ("… of coldsnap", rounds.coldsnap),
        ("… of coldsnap with `--omit-zero-blocks`", rounds.coldsnap_omit),
    ):
        rows.append(Row(title, seconds(statistics.median(run.sink_cpu for run in runs)), "taken off above"))
    stands = statistics.median(run.standins_cpu for run in rounds.ours)
    rows.append(Row("processor time of S3 and the other stand-ins", seconds(stands), "not taken off"))
    return rows


def limit_beside(text, limit):
    return text if limit is None else f"{text}; the limit is {limit}"


def check_bytes(ours, other, limits):
    """That both wrote the same blocks."""
    same = (ours.blocks, ours.checksum) == (other.written["blocks"], other.written["checksum"])
    limits.keep(f"blocks that are not those of coldsnap {COLDSNAP} --omit-zero-blocks", not same, False)


def memory_rows(runs, large, limits):
    peak = max(run.peak for run in runs)
    rows = []
    for title, value in (("4 GiB", peak), ("16 GiB", large.peak)):
        limits.keep(f"peak RSS of transfer, blocks, {title}, in bytes", value, RSS_LIMIT)
        rows.append(Row(f"a disk of {title}", mib(value), f"{value / RSS_LIMIT:.0%} of the limit of {mib(RSS_LIMIT)}"))
    limits.keep("peak RSS of transfer, 16 GiB to 4 GiB", large.peak / peak, ALIKE)
    rows.append(Row("… to each other", f"{large.peak / peak:.2f} : 1", f"the limit is {ALIKE}"))
    return rows


def share_rows(stand, image, limits):
    rows, alone = [], None
    try:
        for count in (1, 2, 4, 8):
            note(f"blocks: {image.title}, {count} slices at a time, each with an eighth of a processor")
            run = stand.transfer(image.file, count, PART)
            alone = alone or run.took
            gain = alone / run.took
            title = f"{count} at a time, each with an eighth of a processor"
            if count == 1:
                rows.append(Row("1 slice " + title[2:], seconds(run.took), f"{len(run.slices)} slices in all"))
            else:
                limits.reach(f"slices at a time: {count}, gain of time", gain, SHARE_LIMIT * count)
                least = f"{gain / count:.0%} of {count}; at least {SHARE_LIMIT:.0%}"
                rows.append(Row(f"… to {title}", f"{gain:.2f} : 1", f"{seconds(run.took)}; {least}"))
    except cgroup.Unwritable:
        return [Row("1, 2, 4 and 8 slices at a time", "not measured", "no control group can be made here")]
    return rows


def balance_rows(run, limits):
    used = [slice.cpu for slice in run.slices]
    ratio = max(used) / statistics.mean(used)
    limits.keep("processor time of the slowest slice to the mean", ratio, BALANCE_LIMIT)
    beside = f"of {len(used)} slices, half of the disk zeros; the limit is {BALANCE_LIMIT}"
    limits.keep("slices of a disk of which half is zeros, other than 8", len(used) != SIDE_BY_SIDE, False)
    return [Row("processor time of the slowest slice, to the mean", f"{ratio:.2f} : 1", beside)]
