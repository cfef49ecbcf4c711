"""Programs that listen to a port of this machine while something is measured."""

import contextlib
import socket
import subprocess
import time

from common.failure import Failure

START_TIMEOUT = 10


@contextlib.contextmanager
def listening(program, port, *words, **options):
    """The process of a program that serves a port, until the end of the block. `options` are those of subprocess.Popen."""
    process = subprocess.Popen([program, *words], stdin=subprocess.DEVNULL, **options)
    try:
        wait_for(process, program.name, port)
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(process, name, port):
    began = time.monotonic()
    while process.poll() is None and time.monotonic() < began + START_TIMEOUT:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise Failure(f"{name} does not answer on port {port}")
