"""The loopback server for blocks of EBS, `tests/src/bin/ebs-sink.rs`."""

import contextlib
import json
import socket
import subprocess
import time

from bench.processes import cpu
from common.failure import Failure
from common.loopback import fetch
from common.paths import BINARIES

START_TIMEOUT = 10


class Sink:
    def __init__(self, process, port):
        self.process, self.url = process, f"http://127.0.0.1:{port}"

    def cpu(self):
        """Seconds of processor so far."""
        return cpu(self.process.pid)

    def written(self, snapshot):
        """What a snapshot has: {"blocks", "puts", "checksum", "complete"}."""
        return json.loads(fetch(f"{self.url}/_sink/snapshots/{snapshot}"))

    def complete(self, snapshot, blocks):
        headers = {"x-amz-ChangedBlocksCount": str(blocks)}
        fetch(f"{self.url}/snapshots/completion/{snapshot}", b"", headers)


@contextlib.contextmanager
def running_sink(port):
    process = subprocess.Popen([BINARIES / "ebs-sink", "--port", str(port)], stdin=subprocess.DEVNULL)
    try:
        wait_for(process, port)
        yield Sink(process, port)
    finally:
        process.kill()
        process.wait()


def wait_for(process, port):
    began = time.monotonic()
    while process.poll() is None and time.monotonic() < began + START_TIMEOUT:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise Failure(f"ebs-sink does not answer on port {port}")
