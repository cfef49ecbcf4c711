"""Who pushes a file to a sink: `curl -T`, osc and the relay."""

import contextlib
import subprocess
import time
from typing import NamedTuple

from bench.functions import RELEASE
from bench.listening import listening
from bench.processes import cpu, peak, used_cpu
from common.failure import Failure
from common.paths import TOP
from common.process import output
from stack.tools import install

CURL = ("curl", "-sS", "--fail", "--noproxy", "*", "-o", "/dev/null", "-T")

RELAY = "obs-cloudupload-relay"
OSC_PLUGIN = TOP / "clients" / "osc"


class Push(NamedTuple):
    """What a push came to, in seconds."""

    took: float
    """From the start of the first process to the end of the last one."""
    received: float
    """From the first request to the sink to its last answer."""
    cpu: float
    """Of processor, the client's: curl, osc or the relay."""
    sink_cpu: float
    source_cpu: float = 0.0
    """Of those who bring the file to the relay."""


class Measured:
    """The time, and the processor time of a sink, while programs run side by side; and what those programs used."""

    def __init__(self, sink, *commands, **options):
        sink_cpu, began = sink.cpu(), time.perf_counter()
        self.cpu = run_at_once(*commands, **options)
        self.took, self.sink_cpu = time.perf_counter() - began, sink.cpu() - sink_cpu


def run_at_once(*commands, **options):
    """Runs programs side by side. Returns the processor time that they used. What they print is of no use here."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    processes = [subprocess.Popen(command, **quiet, **options) for command in commands]
    used = sum(map(used_cpu, processes))
    for process in processes:
        if process.returncode:
            raise Failure(f"{process.args[0]} failed: it ended with the wait status {process.returncode}")
    return used


def by_curl(sink, files, upload):
    """Puts files at once, each as a part of an upload."""
    urls = [sink.part_url(upload, number) for number in range(1, len(files) + 1)]
    ran = Measured(sink, *((*CURL, file, url) for file, url in zip(files, urls)))
    return Push(ran.took, sink.received(upload)["seconds"], ran.cpu, ran.sink_cpu)


class Osc:
    """The newest osc with the plugin, as its users install it."""

    def __init__(self, home, uploader):
        bin_folder = install("osc")[0]
        options = ("--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--force-reinstall", "--quiet")
        output(bin_folder / "pip", "install", *options, OSC_PLUGIN)
        home.mkdir(exist_ok=True)
        oscrc = home / "oscrc"
        obs = "http://127.0.0.1:9"  # nothing is asked there
        oscrc.write_text(f"[general]\napiurl = {obs}\n[{obs}]\nuser = bench\npass = bench\nallow_http = 1\n")
        oscrc.chmod(0o600)
        self.command, self.uploader = bin_folder / "osc", uploader
        address = {"OSC_CLOUDUPLOAD_URL": uploader.url, "OSC_CLOUDUPLOAD_TOKEN": "cloudup_bench"}
        self.env = {"HOME": str(home), "OSC_CONFIG": str(oscrc), **address}

    def push(self, file):
        number = self.uploader.add(file.stat().st_size)
        command = (self.command, "cloudupload", "push", str(number), "--file", file)
        # Away from this checkout: in one, osc runs git a dozen times before it begins.
        ran = Measured(self.uploader.sink, command, env=self.env, cwd="/")
        return Push(ran.took, self.uploader.received(number)["seconds"], ran.cpu, ran.sink_cpu)


class Relay:
    """The relay as it is released. curl stands for the source server."""

    def __init__(self, process, port, uploader):
        self.process, self.url, self.uploader = process, f"http://127.0.0.1:{port}", uploader

    def push(self, file, times=1):
        """Pushes a file by so many PUTs at once, each of a job of its own."""
        numbers = [self.uploader.add(file.stat().st_size) for _ in range(times)]
        before = cpu(self.process.pid)
        ran = Measured(self.uploader.sink, *((*CURL, file, f"{self.url}/cloudupload/{number}") for number in numbers))
        used = cpu(self.process.pid) - before
        received = [self.uploader.received(number)["seconds"] for number in numbers]
        return Push(ran.took, received[-1], used, ran.sink_cpu, ran.cpu)

    def peak(self):
        return peak(self.process.pid)


@contextlib.contextmanager
def running_relay(home, port, uploader):
    (home / "state").mkdir(parents=True, exist_ok=True)
    secret = home / "secret"
    secret.write_text("bench\n")
    env = {
        "RELAY_LISTEN": f"127.0.0.1:{port}",
        "RELAY_API": uploader.url,
        "RELAY_CALLER": "bench",
        "RELAY_SECRET_FILE": str(secret),
        "STATE_DIRECTORY": str(home / "state"),
    }
    with (home / "log").open("w", encoding="utf-8") as log, listening(RELEASE / RELAY, port, env=env, stderr=log) as process:
        yield Relay(process, port, uploader)
