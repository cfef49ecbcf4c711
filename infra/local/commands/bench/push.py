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
from needs.report import report
from needs.table import CURL

TITLE, MEMORY = "Push, next to `curl -T`", "Memory of the relay"
MD5, PACE = "with MD5", "90 MB/s each"
SINKS = {"as fast as it can": (), MD5: ("--md5",), PACE: ("--pace", "90000000")}
"""Sinks by the heads of their columns: options of part-sink, which says what they mean."""

HEAD = ("", *SINKS, f"at least, {MD5}")

ROUNDS = 5
"""Rounds of all that is compared; the median of each counts."""

CONNECTIONS = 4
"""Of osc and of the relay, and files of curl."""

FILE, SPARSE = 1024 * MIB, 16 * 1024 * MIB
AT_ONCE = 10

OSC_LIMIT, RELAY_LIMIT, ONE_LIMIT = 0.8, 0.9, 0.8
"""Parts of the speed of four `curl -T` at once, and of one, to the sink that computes MD5 as S3 does."""

RSS_LIMIT = 128 * MIB
AT_ONCE_LIMIT = 4 * RSS_LIMIT


class Files(NamedTuple):
    whole: os.PathLike
    quarters: list
    sparse: os.PathLike
    crc32: str
    """Of the whole file, as S3 tells it."""


class Rounds(NamedTuple):
    """All rounds with a sink, of each."""

    curls: list
    curl: list
    osc: list
    relay: list


def measure_push(folder, sink_port, relay_port, limits):
    if not CURL.is_there():
        raise Failure(report(["bench"], [CURL]))
    folder = folder / "push"
    folder.mkdir(exist_ok=True)
    files = make_files(folder)
    rounds = {name: measure_rounds(folder, files, name, sink_port, relay_port) for name in SINKS}
    memory = measure_memory(folder, files, sink_port, relay_port, limits)
    return [Table(TITLE, speed_rows(rounds, limits), HEAD), Table(MEMORY, memory)]


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


def measure_rounds(folder, files, name, sink_port, relay_port):
    rounds = Rounds([], [], [], [])
    with running_part_sink(sink_port, *SINKS[name]) as sink:
        uploader = Uploader(sink)
        osc = Osc(folder / "osc", uploader)
        with running_relay(folder / "relay", relay_port, uploader) as relay:
            for number in range(1, ROUNDS + 1):
                note(f"push: round {number} of {ROUNDS}, the sink {name}")
                for file in (files.whole, *files.quarters):
                    read_into_page_cache(file)
                uploads = [f"curls-{number}", f"curl-{number}"]
                rounds.curls.append(by_curl(sink, files.quarters, uploads[0]))
                rounds.osc.append(osc.push(files.whole))
                rounds.curl.append(by_curl(sink, [files.whole], uploads[1]))
                rounds.relay.append(relay.push(files.whole))
                for upload in (*uploads, *uploader.uploads()[-2:]):
                    require_all(files, upload, sink.received(upload))
    return rounds


def require_all(files, upload, received):
    """That every byte came, and once."""
    if (received["size"], received["crc32"], received["puts"]) != (FILE, files.crc32, received["parts"]):
        raise Failure(f"{upload} is not the file of {FILE} bytes with the CRC32 {files.crc32}: {received}")


def speed_rows(sinks, limits):
    """`sinks` are the rounds with each sink."""

    def row(what, cell, limit=""):
        return [what, *map(cell, sinks.values()), limit]

    def speed(what, who):
        return row(what, lambda rounds: f"{FILE / MIB / median(getattr(rounds, who), 'took'):.0f} MiB/s")

    def ratio(rounds, who, other, of="took"):
        return median(getattr(rounds, other), of) / median(getattr(rounds, who), of)

    def compared(what, who, other, least):
        limits.reach(f"speed of {who}, to that of {other}, {MD5}", round(ratio(sinks[MD5], who, other), 3), least)
        return row(what, lambda rounds: f"{ratio(rounds, who, other):.2f} : 1", str(least))

    def received(who):
        what = "… to the same, from its first request of S3 to the last answer"
        return row(what, lambda rounds: f"{ratio(rounds, who, 'curls', 'received'):.2f} : 1")

    def processor(what, who, of):
        return row(f"processor time of {what}", lambda rounds: f"{median(getattr(rounds, who), of):.2f} s")

    return [
        speed("four `curl -T` at once, a quarter each", "curls"),
        speed("osc", "osc"),
        compared("… to four `curl -T`", "osc", "curls", OSC_LIMIT),
        received("osc"),
        speed("one `curl -T` into the relay", "relay"),
        compared("… to four `curl -T`", "relay", "curls", RELAY_LIMIT),
        received("relay"),
        speed("one `curl -T`", "curl"),
        compared("the relay to one `curl -T`", "relay", "curl", ONE_LIMIT),
        processor("four `curl -T`", "curls", "cpu"),
        processor("osc", "osc", "cpu"),
        processor("the relay", "relay", "cpu"),
        processor("`curl -T` into it", "relay", "source_cpu"),
        processor("the sink, with four `curl -T`", "curls", "sink_cpu"),
        processor("the sink, with osc", "osc", "sink_cpu"),
        processor("the sink, with the relay", "relay", "sink_cpu"),
    ]


def median(pushes, of):
    return statistics.median(getattr(push, of) for push in pushes)


def measure_memory(folder, files, sink_port, relay_port, limits):
    cases = (
        ("1 GiB", files.whole, 1, RSS_LIMIT),
        ("16 GiB", files.sparse, 1, RSS_LIMIT),
        (f"{AT_ONCE} PUTs at once, 1 GiB each", files.whole, AT_ONCE, AT_ONCE_LIMIT),
    )
    rows = []
    with running_part_sink(sink_port, *SINKS[PACE]) as sink:
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
