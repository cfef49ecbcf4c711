"""The command line of `bench`, and all measurements in their order."""

import argparse
import signal
import sys
from pathlib import Path

import bench
from bench.api import measure_api
from bench.images import make_images
from bench.page import PAGE, page, show
from bench.size import measure_size
from bench.slots import measure_slots
from bench.table import Limits
from bench.uploads import memory_rows, phase_rows, speed_rows, upload
from common import local_stack
from common.failure import Failure
from common.paths import TARGET


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
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    return parser.parse_args()


def measure(options, limits):
    """Returns the tables: (title, rows)."""
    folder = options.dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    size = measure_size(folder, limits)
    images = make_images(folder)
    ports = ("--port", options.port, "--api-port", options.api_port, "--obs-port", options.obs_port)
    with local_stack.cleaned(folder):
        env = local_stack.up(folder, *ports)
        uploads = [upload(folder, env, number, image) for number, image in enumerate(images, 1)]
        slots = measure_slots(folder, env, limits)
        api = measure_api(env, uploads[0].job)
    return [
        ("Size of `api`", size),
        ("Speed of `api`", api),
        ("Memory of the functions that move images", memory_rows(uploads, limits)),
        ("Speed of `transfer`", speed_rows(uploads)),
        ("Where the time of a job goes", phase_rows(uploads[0])),
        ("A slot handed on", slots),
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
        PAGE.write_text(page(tables))
    if limits.exceeded:
        sys.exit("\nbench: limits exceeded\n" + "\n".join(f"  {line}" for line in limits.exceeded))
    print("\nAll limits are kept.")


if __name__ == "__main__":
    main()
