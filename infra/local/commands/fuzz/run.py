"""Runs one fuzzer."""

import os
import re
import shutil
import subprocess

from common.failure import Failure
from common.paths import shown
from fuzz.build import BUILD

MEMORY_MIB = 1024
"""More than any input may take: the xz decoder's limit is 80 MiB, that of zstd 128 MiB."""

INPUT_TIMEOUT = 20
"""Seconds for one input: a thousand times what the slowest takes."""


def run(binary, seconds):
    """Runs a fuzzer, and prints a line about it.

    Raises a failure that names the input which broke something.
    """
    target = binary.name
    folders = {kind: BUILD / kind / target for kind in ("corpus", "seeds", "crashes")}
    # The fuzzer writes them anew.
    shutil.rmtree(folders["seeds"], ignore_errors=True)
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    log = BUILD / f"{target}.log"
    command = [
        binary,
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-timeout={INPUT_TIMEOUT}",
        f"-artifact_prefix={folders['crashes']}/",
        "-print_final_stats=1",
        folders["corpus"],
        folders["seeds"],
    ]
    env = {**os.environ, "FUZZ_SEEDS": str(folders["seeds"]), "RUST_BACKTRACE": "1"}
    with log.open("wb") as file:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env, check=False)
    text = log.read_text(errors="replace")
    if done.returncode:
        inputs = re.findall(r"Test unit written to (.*)", text)
        again = [f"Once more: {shown(binary)} {shown(file)}" for file in inputs]
        told = [f"{target}: {reason(text, done.returncode)}", f"Its whole output is in {shown(log)}."]
        raise Failure("\n".join([*told, *again]))
    print(f"{target:<20}ok {summary(text)}", flush=True)


def reason(log, code):
    """What a panic said, or why libFuzzer ended the fuzzer."""
    said = re.search(r"panicked at .*?(?=\n(?:stack backtrace|note:|==|$))", log, re.DOTALL)
    ended = re.search(r"ERROR: (libFuzzer: .*)", log)
    return said[0] if said else ended[1] if ended else f"it ended with {code}"


def summary(log):
    """The closing numbers of libFuzzer: inputs that were tried, and places of the code that they reached."""
    tried = re.findall(r"^stat::number_of_executed_units:\s+(\d+)", log, re.MULTILINE)
    reached = re.findall(r" cov: (\d+) ", log)
    return f"{int(tried[-1]):>12,} inputs, {int(reached[-1]):>6,} places reached" if tried and reached else ""
