"""Programs in the background that outlive the command that started them."""

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from common.failure import Failure
from common.process import tail
from stack.steps import step

SERVICE_TIMEOUT = 30
"""Seconds that a service may take to start, and to end."""

PORT_RELEASE_TIMEOUT = 5
"""Seconds for which an ended program may still hold its ports: the kernel reports its end before it frees them."""


class Service:
    """A program in the background, in a session of its own, found again by its pid file."""

    def __init__(self, folder, name, command, sources, ports):
        """`ports` maps the option of `up` that sets a port to the port. A change in `sources` means a restart."""
        self.name, self.command, self.ports = name, [str(word) for word in command], ports
        self.log, self.file = folder / f"{name}.log", folder / f"{name}.pid"
        digest = hashlib.sha256(repr(self.command).encode())
        for source in sources:
            digest.update(source.read_bytes())
        self.version = digest.hexdigest()

    def up(self):
        """Starts the program, unless this very version of it runs. Returns the text that identifies this run."""
        if running(self.file) and self.ready() and json.loads(self.file.read_text())["version"] == self.version:
            return self.file.read_text()
        end(self.file)
        with step(f"{self.name}: {', '.join(f'http://127.0.0.1:{port}' for port in self.ports.values())}"):
            for option, port in self.ports.items():
                self.require_free(option, port)
            with self.log.open("wb") as log:
                process = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            known = {"pid": process.pid, "born": birth(process.pid), "version": self.version}
            self.file.write_text(json.dumps(known))
            try:
                self.wait_until_ready(process)
            except Failure:
                end(self.file)
                raise
        return self.file.read_text()

    def require_free(self, option, port):
        deadline = time.monotonic() + PORT_RELEASE_TIMEOUT
        while True:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                    return
                except OSError as error:
                    if time.monotonic() > deadline:
                        raise Failure(
                            f"{self.name} needs port {port}, which another program has ({error.strerror}).\n"
                            f"End that program, or choose another port: infra/local/stack up {option} N"
                        ) from error
            time.sleep(0.1)

    def wait_until_ready(self, process):
        deadline = time.monotonic() + SERVICE_TIMEOUT
        while not self.ready():
            if process.poll() is not None:
                raise Failure(f"{self.name} ended with {process.returncode} at its start.\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} does not answer within {SERVICE_TIMEOUT} s.\n{tail(self.log)}")
            time.sleep(0.1)

    def ready(self):
        return all(answers(f"http://127.0.0.1:{port}/") for port in self.ports.values())


def answers(url):
    """Whether there is an HTTP answer, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def birth(pid):
    """When a process began, in clock ticks since the boot: pids are used again. None for one that is not there."""
    try:
        # The name in the second field may hold blanks and brackets (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def running(file):
    if not file.exists():
        return False
    known = json.loads(file.read_text())
    return known["born"] is not None and birth(known["pid"]) == known["born"]


def end(file):
    """Ends the program of a pid file, and whatever it started. Returns whether it was running."""
    if not file.exists():
        return False
    was_running = running(file)
    pid = json.loads(file.read_text())["pid"]
    if was_running:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + SERVICE_TIMEOUT
        while running(file) and time.monotonic() < deadline:
            time.sleep(0.05)
    # As long as something of the session lives, the kernel gives its number to no other process.
    if was_running or birth(pid) is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    file.unlink()
    return was_running
