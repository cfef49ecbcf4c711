"""The loopback servers that take data and keep none: `tests/src/bin/ebs-sink.rs` for blocks of EBS, and
`tests/src/bin/part-sink.rs` for parts of uploads to S3."""

import contextlib
import json

from bench.listening import listening
from bench.processes import cpu
from common.loopback import fetch
from common.paths import BINARIES


class Sink:
    def __init__(self, process, port):
        self.process, self.url = process, f"http://127.0.0.1:{port}"

    def cpu(self):
        """Seconds of processor so far."""
        return cpu(self.process.pid)


class EbsSink(Sink):
    def written(self, snapshot):
        """What a snapshot has: {"blocks", "puts", "checksum", "complete"}."""
        return json.loads(fetch(f"{self.url}/_sink/snapshots/{snapshot}"))

    def complete(self, snapshot, blocks):
        headers = {"x-amz-ChangedBlocksCount": str(blocks)}
        fetch(f"{self.url}/snapshots/completion/{snapshot}", b"", headers)


class PartSink(Sink):
    def part_url(self, upload, number):
        """Where a part is put, as long as a URL that S3's SDKs sign."""
        query = f"X-Amz-Expires=3600&X-Amz-Signature={0:064x}&X-Amz-Security-Token={'0' * 1000}"
        return f"{self.url}/staging/job/image.raw.xz?{query}&partNumber={number}&uploadId={upload}"

    def received(self, upload):
        """What came of an upload: {"size", "parts", "puts", "crc32", "seconds"}."""
        return json.loads(fetch(f"{self.url}/_sink/uploads/{upload}"))


@contextlib.contextmanager
def running_ebs_sink(port):
    with listening(BINARIES / "ebs-sink", port, "--port", str(port)) as process:
        yield EbsSink(process, port)


@contextlib.contextmanager
def running_part_sink(port, *options):
    with listening(BINARIES / "part-sink", port, "--port", str(port), *options) as process:
        yield PartSink(process, port)
