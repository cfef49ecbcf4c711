"""Images that are pushed, by osc and through the relay, next to `curl -T`: how fast, and in how much memory."""

import base64
import os
import statistics
import zlib
from typing import NamedTuple

from bench.images import read_into_page_cache
from bench.pushers import Osc, by_curl, running_relay
from bench.sink import running_part_sink
from bench.table import Row, Table, mib, note, seconds
from bench.uploader import Uploader
from common.failure import Failure
from common.units import MIB

TITLE, MEMORY = "Push, next to `curl -T`", "Memory of the relay"
HEAD = ("", "speed", "to `curl -T`", "at least", "processor time", "that of the sink")

ROUNDS = 5
"""Rounds of all that is compared; the median of each counts."""

CONNECTIONS = 4
"""Of osc and of the relay, and files of curl."""

FILE, SPARSE = 1024 * MIB, 16 * 1024 * MIB
AT_ONCE = 10

OSC_LIMIT, RELAY_LIMIT, ONE_LIMIT = 0.8, 0.9, 0.8
"""Parts of the speed of four `curl -T` at once, and of one."""

RSS_LIMIT = 128 * MIB
AT_ONCE_LIMIT = 4 * RSS_LIMIT


class Files(NamedTuple):
    whole: os.PathLike
    quarters: list
    sparse: os.PathLike
    crc32: str
    """Of the whole file, as S3 tells it."""


class Rounds(NamedTuple):
    """All rounds of each."""

    curls: list
    curl: list
    osc: list
    relay: list


def measure_push(folder, sink_port, relay_port, limits):
    folder = folder / "push"
    folder.mkdir(exist_ok=True)
    files = make_files(folder)
    rows = measure_rounds(folder, files, sink_port, relay_port, limits)
    memory = measure_memory(folder, files, sink_port, relay_port, limits)
    return [Table(TITLE, rows, HEAD), Table(MEMORY, memory)]


def make_files(folder):
    """A file that nothing compresses, the same in four, and one of zeros that takes no disk."""
    note("a file of 1 GiB, and its quarters")
    whole, sparse = folder / "image.raw", folder / "sparse.raw"
    quarters = [folder / f"quarter-{number}.raw" for number in range(1, CONNECTIONS + 1)]
    crc32 = 0
    with whole.open("wb") as file:
        for quarter in quarters:
            with quarter.open("wb") as part:
                for _ in range(FILE // CONNECTIONS // MIB):
                    data = os.urandom(MIB)
                    crc32 = zlib.crc32(data, crc32)
                    file.write(data)
                    part.write(data)
    with sparse.open("wb") as file:
        file.truncate(SPARSE)
    return Files(whole, quarters, sparse, base64.b64encode(crc32.to_bytes(4, "big")).decode())


def measure_rounds(folder, files, sink_port, relay_port, limits):
    rounds = Rounds([], [], [], [])
    with running_part_sink(sink_port) as sink:
        uploader = Uploader(sink)
        osc = Osc(folder / "osc", uploader)
        with running_relay(folder / "relay", relay_port, uploader) as relay:
            for number in range(1, ROUNDS + 1):
                note(f"push: round {number} of {ROUNDS}")
                for file in (files.whole, *files.quarters):
                    read_into_page_cache(file)
                rounds.curls.append(by_curl(sink, files.quarters, f"curls-{number}"))
                rounds.osc.append(osc.push(files.whole))
                rounds.curl.append(by_curl(sink, [files.whole], f"curl-{number}"))
                rounds.relay.append(relay.push(files.whole))
                require_all(sink, files, [f"curls-{number}", f"curl-{number}", *uploader.uploads()[-2:]])
    return speed_rows(rounds, limits)


def require_all(sink, files, uploads):
    """That every byte came, and once."""
    for upload in uploads:
        received = sink.received(upload)
        if (received["size"], received["crc32"], received["puts"]) != (FILE, files.crc32, received["parts"]):
            raise Failure(f"{upload} is not the file of {FILE} bytes with the CRC32 {files.crc32}: {received}")


def speed_rows(rounds, limits):
    def row(what, pushes, of="took", beside=None, limit=None):
        speed = FILE / median(pushes, of)
        cells = ["", ""]
        if beside:
            ratio = speed / (FILE / median(beside, of))
            cells = [f"{ratio:.2f}", str(limit or "")]
            if limit:
                limits.reach(f"{what}: speed, to that of curl -T", round(ratio, 3), limit)
        return [what, f"{speed / MIB:.0f} MiB/s", *cells, seconds_of(pushes, "cpu"), seconds_of(pushes, "sink_cpu")]

    return [
        row("four `curl -T` at once, a quarter each", rounds.curls),
        row("`osc cloudupload push`", rounds.osc, "took", rounds.curls, OSC_LIMIT),
        row("… from its first request of S3 to the last answer", rounds.osc, "received", rounds.curls),
        row("the relay, from one `curl -T` into it", rounds.relay, "took", rounds.curls, RELAY_LIMIT),
        row("… from its first request of S3 to the last answer", rounds.relay, "received", rounds.curls),
        row("one `curl -T`", rounds.curl),
        row("the relay, from one `curl -T` into it", rounds.relay, "took", rounds.curl, ONE_LIMIT),
        ["… and the `curl -T` into it", "", "", "", seconds_of(rounds.relay, "source_cpu"), ""],
    ]


def median(pushes, of):
    return statistics.median(getattr(push, of) for push in pushes)


def seconds_of(pushes, of):
    return f"{median(pushes, of):.2f} s"


def measure_memory(folder, files, sink_port, relay_port, limits):
    cases = (
        ("1 GiB", files.whole, 1, RSS_LIMIT),
        ("16 GiB", files.sparse, 1, RSS_LIMIT),
        (f"{AT_ONCE} PUTs at once, 1 GiB each", files.whole, AT_ONCE, AT_ONCE_LIMIT),
    )
    rows = []
    with running_part_sink(sink_port) as sink:
        uploader = Uploader(sink)
        for title, file, times, limit in cases:
            note(f"memory of the relay: {title}")
            with running_relay(folder / "relay", relay_port, uploader) as relay:
                push = relay.push(file, times)
                peak = relay.peak()
            limits.keep(f"peak RSS of the relay, {title}, in bytes", peak, limit)
            beside = f"{peak / limit:.0%} of the limit of {mib(limit)}; all arrived in {seconds(push.took)}"
            rows.append(Row(title, mib(peak), beside))
    return rows
