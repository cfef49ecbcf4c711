"""The command line of `bench`, and all measurements in their order."""

import argparse
import signal
import sys
from pathlib import Path

import bench
from bench.api import measure_api
from bench.blocks import measure_blocks
from bench.functions import build
from bench.images import make_images
from bench.jobs import measure_jobs
from bench.obs import measure_obs
from bench.page import PAGE, page, page_with, show
from bench.push import measure_push
from bench.pushers import RELAY
from bench.size import measure_size
from bench.slots import measure_slots
from bench.table import Limits, Table, note
from bench.terabytes import measure_terabytes
from bench.transfers import stage
from bench.uploads import memory_rows, phase_rows, speed_rows, upload
from common import local_stack
from common.failure import Failure
from common.paths import TARGET


PARTS = ("uploads", "blocks", "jobs")
LONG = "terabytes"
"""A part that takes an hour, and is measured only if it is asked for."""

OBS = "obs"
"""A part that needs OBS's own server, and is measured only if it is asked for."""

PUSH = "push"
"""A part that needs no stack, and is measured only if it is asked for."""

OWN_RUNS = (LONG, OBS, PUSH)

BUILT = {
    "uploads": ("api",),
    "blocks": ("prepare", "transfer"),
    "jobs": (),
    LONG: ("prepare", "transfer"),
    OBS: ("api",),
    PUSH: (RELAY,),
}
"""What each part runs as it is deployed. All else is run as `make build` makes it."""


def arguments():
    parser = argparse.ArgumentParser(
        prog="bench", description=bench.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dir", type=Path, default=TARGET / "bench", help="images and the stack's files (target/bench)"
    )
    parser.add_argument("--port", type=int, default=4866, help="the stack's AWS endpoint (4866)")
    parser.add_argument("--api-port", type=int, default=4880, help="the stack's cloud uploader (4880)")
    parser.add_argument("--obs-port", type=int, default=4882, help="the stack's stand-in for OBS (4882)")
    parser.add_argument("--faults-port", type=int, default=4884, help="the proxy that counts calls (4884)")
    parser.add_argument("--sink-port", type=int, default=4886, help="the sink for blocks of EBS, or parts of S3 (4886)")
    parser.add_argument("--server-port", type=int, default=4888, help="OBS's own server (4888)")
    parser.add_argument("--relay-port", type=int, default=4890, help="the relay (4890)")
    parts = (*PARTS, *OWN_RUNS)
    parser.add_argument("--only", action="append", choices=parts, help="a part of the measurements; may be repeated")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    options = parser.parse_args()
    options.only = set(options.only or PARTS)
    if options.write and options.only != set(PARTS) and not options.only <= set(OWN_RUNS):
        parser.error(f"--write takes all measurements, or --only {', '.join(OWN_RUNS)}, which have runs of their own")
    return options


def measure(options, limits):
    folder = options.dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if names := {name for part in options.only for name in BUILT[part]}:
        note(f"building as it is deployed: {', '.join(sorted(names))}")
        build(*names)
    ports = ("--port", options.port, "--api-port", options.api_port, "--obs-port", options.obs_port)
    tables = []
    if {"uploads", "blocks", LONG, OBS} & options.only:
        with local_stack.cleaned(folder):
            env = local_stack.up(folder, *ports)
            if "uploads" in options.only:
                tables += measure_uploads(folder, env, limits)
            if "blocks" in options.only:
                tables += measure_blocks(folder, env, options.sink_port, limits)
            if OBS in options.only:
                tables.append(measure_obs(folder, env, options.server_port, limits))
            if LONG in options.only:
                with stage(folder, env, options.sink_port) as stand:
                    tables.append(measure_terabytes(folder, stand, limits))
    if "jobs" in options.only:
        with local_stack.cleaned(folder):
            env = local_stack.up(folder, *ports, "--faults-port", options.faults_port)
            tables += measure_jobs(folder, env, limits)
    if PUSH in options.only:
        tables += measure_push(folder, options.sink_port, options.relay_port, limits)
    return tables


def measure_uploads(folder, env, limits):
    size = measure_size(folder, limits)
    uploads = [upload(folder, env, number, image) for number, image in enumerate(make_images(folder), 1)]
    slots = measure_slots(folder, env, limits)
    api = measure_api(env, uploads[0].job)
    return [
        Table("Size of `api`", size),
        Table("Speed of `api`", api),
        Table("Memory of the functions that move images", memory_rows(uploads, limits)),
        Table("Speed of `transfer`", speed_rows(uploads)),
        Table("Where the time of a job goes", phase_rows(uploads[0])),
        Table("A slot handed on", slots),
    ]


def main():
    options = arguments()
    # So that the stack is ended whoever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    limits = Limits()
    try:
        tables = measure(options, limits)
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    show(tables)
    if options.write:
        before = PAGE.read_text()
        PAGE.write_text(page(tables, before) if set(PARTS) <= options.only else page_with(tables, before))
    if limits.exceeded:
        sys.exit("\nbench: limits exceeded\n" + "\n".join(f"  {line}" for line in limits.exceeded))
    print("\nAll limits are kept.")


if __name__ == "__main__":
    main()
