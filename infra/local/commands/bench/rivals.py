"""What the way into blocks is measured against: xz, the newest liblzma, and `xz -d` with coldsnap after it."""

import os
import re
import subprocess
import time
from typing import NamedTuple

from bench.images import into_cat
from common.failure import Failure
from common.paths import BINARIES, TARGET, shown
from common.process import output

COLDSNAP = "0.12.0"
COLDSNAP_ROOT = TARGET / "tools" / f"coldsnap-{COLDSNAP}"


def build_rivals():
    """Installs coldsnap, and builds the program that decodes with liblzma's threads."""
    env = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    features = ("--workspace", "--features", "tests/xz-threads", "--bin", "xz-threads")
    output("cargo", "build", "--locked", "--profile", "quick", *features, env=env)
    if not (COLDSNAP_ROOT / "bin" / "coldsnap").exists():
        # In a target of its own: it has the SDKs in other versions, with other features.
        env = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
        command = ("cargo", "install", "coldsnap", "--version", COLDSNAP, "--locked", "--root", COLDSNAP_ROOT)
        output(*command, env=env)


def newest_liblzma_seconds(file):
    """Seconds, and seconds of processor, of liblzma as the functions have it, with a thread for each processor."""
    return into_cat(BINARIES / "xz-threads", file)


class Coldsnap(NamedTuple):
    """Seconds to decompress and to upload; seconds of processor of the sink meanwhile; what it wrote."""

    unpacked: float
    uploaded: float
    sink_cpu: float
    written: dict

    @property
    def took(self):
        return self.unpacked + self.uploaded


def coldsnap(file, sink, env, *options):
    """What a user does today: `xz -dk -T0 FILE`, then `coldsnap upload`. `env` are the settings of the stack."""
    raw = file.with_suffix("")
    raw.unlink(missing_ok=True)
    sink_cpu = sink.cpu()
    try:
        began = time.perf_counter()
        output("xz", "-dk", "-T0", file)
        unpacked = time.perf_counter() - began
        answer = subprocess.run(
            [COLDSNAP_ROOT / "bin" / "coldsnap", "--endpoint", sink.url, "upload", "--no-progress", *options, raw],
            env=environment(env),
            stdout=subprocess.PIPE,
            check=False,
        )
        took = time.perf_counter() - began
    finally:
        raw.unlink(missing_ok=True)
    snapshot = re.search(rb"snap-[0-9a-f]+", answer.stdout)
    if answer.returncode or not snapshot:
        raise Failure(f"coldsnap upload {shown(raw)} ended with {answer.returncode}")
    written = sink.written(snapshot[0].decode())
    return Coldsnap(unpacked, took - unpacked, sink.cpu() - sink_cpu, written)


def environment(env):
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "NO_PROXY", "no_proxy")
    return {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", **{name: env[name] for name in names}}
