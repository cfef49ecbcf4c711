"""The tables, for a terminal and for docs/performance.md."""

import os
import time

from bench.slots import QUEUED, SLOTS_PER_USER
from common.paths import TOP

PAGE = TOP / "docs" / "performance.md"

ABOUT = {
    "Size of `api`": """\
Built with `--release`, as `make package` does. Lambda loads it at every cold start.""",
    "Speed of `api`": """\
The binary of the table above runs under a stand-in for the Lambda runtime API. A stand-in for DynamoDB answers at once,
with what the emulator's DynamoDB answered to the same request before. So this is the function alone. Times include
about 0.1 ms of the stand-ins; processor times are those of the function (`/proc/PID/stat`, `wait4`). The file is
in the page cache, and nothing speaks TLS.""",
    "Memory of the functions that move images": """\
Peak resident set (`VmHWM`) of the processes that the emulator started from target/quick, set back before each
image.""",
    "Speed of `transfer`": """\
From entering the state `Transfer` to leaving it: reading from staging, decompression, writing into the user's bucket;
next to `xz -dc -TN FILE | cat >/dev/null` on the same file, just before. The emulator's S3, one Python process, shares
the cores with all slices: the ratios of speed are about the whole stack, that of processor time is about the
function.""",
    "Where the time of a job goes": """\
The demo's disk. From the history of its execution; `import` is from entering `Seal` to having the snapshot. The
emulator's import takes 4 s, whatever the size.""",
    "A slot handed on": f"""\
{QUEUED} small jobs of one user, of which {SLOTS_PER_USER} may upload at a time. From a job's entering of `Finish`,
which cleans up after it, to the next one's entering of `Prepare`.""",
}


def show(tables):
    width = max(len(row.what) for _, rows in tables for row in rows)
    for title, rows in tables:
        print(f"\n{title.replace('`', '')}")
        for row in rows:
            print(f"  {row.what.replace('`', ''):<{width}}  {row.number:>16}  {row.beside}".rstrip())


def page(tables):
    today = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [
        "# Performance",
        "",
        f"Written by `infra/local/bench --write` on {today}, from one run on {machine()}.",
        "`make bench` shows the numbers of your machine.",
    ]
    for title, rows in tables:
        lines += ["", f"## {title}", "", ABOUT[title], "", "| | | |", "|---|--:|---|"]
        lines += [f"| {row.what} | {row.number} | {row.beside} |" for row in rows]
    lines += [
        "",
        "## What this does not tell",
        "",
        "All of it is from the local stack. On AWS,",
        "",
        "- a cold start also has Lambda fetching the code and starting a sandbox, TLS and the first credentials; and",
        "  `api` gets the share of a processor that goes with its memory, so processor time counts, not the time",
        "  that is measured here;",
        "- S3 is slower for one connection and faster for many, and slices run on machines of their own;",
        "- an import takes minutes, most of a job's time, and how long is up to EC2;",
        "- OBS is behind a network, so `receive` is as fast as that.",
        "",
        "Ratios hold from machine to machine far better than times. Sizes and memory hold as they are.",
        "",
    ]
    return "\n".join(lines)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = {line.partition(":")[2].strip() for line in file if line.startswith("model name")}
    return f"{os.cpu_count()} cores ({', '.join(sorted(models)) or 'of unknown make'}, {os.uname().machine})"
