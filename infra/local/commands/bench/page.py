"""The tables, for a terminal and for docs/performance.md."""

import os
import re
import time

from bench.about import ABOUT
from bench.obs import TITLE as NEXT_TO_OBS
from bench.push import MEMORY as RELAY_MEMORY, TITLE as PUSH
from bench.terabytes import TITLE as SPARSE
from common.paths import TOP

PAGE = TOP / "docs" / "performance.md"

OWN_RUNS = (NEXT_TO_OBS, SPARSE, PUSH, RELAY_MEMORY)
"""The tables that have runs of their own."""

END = "## What this does not tell\n"


def show(tables):
    for title, rows, head in tables:
        print(f"\n{title.replace('`', '')}")
        lines = [[cell.replace("`", "") for cell in row] for row in ([head] if any(head) else []) + rows]
        widths = [max(map(len, cells)) for cells in zip(*lines)]
        for first, *others in lines:
            cells = [f"{first:<{widths[0]}}"]
            # Of three, the last one is a remark.
            aligned = others if len(others) > 2 else others[:1]
            cells += [f"{cell:>{width}}" for cell, width in zip(aligned, widths[1:])] + others[len(aligned) :]
            print("  " + "  ".join(cells).rstrip())


def page(tables, before):
    """The page of one run of all but what has runs of its own, whose sections are those of the page before."""
    lines = [
        "# Performance",
        "",
        f"Written by `infra/local/bench --write` on {today()}, from one run on {machine()}.",
        "`make bench` shows the numbers of your machine.",
        "",
    ]
    sections = [section(table) for table in tables] + [section_of(before, title) for title in OWN_RUNS]
    lines += ["\n".join(filter(None, sections)), END]
    lines += [
        "All of it is from the local stack. On AWS,",
        "",
        "- a cold start also has Lambda fetching the code and starting a sandbox, TLS and the first credentials; and",
        "  `api` gets the share of a processor that goes with its memory, so processor time counts, not the time",
        "  that is measured here;",
        "- S3 is slower for one connection and faster for many, and slices run on machines of their own;",
        "- EBS takes a tenth of a second for a block and many blocks at a time, and all writers in an account and",
        "  region share 800 blocks a second (400 MiB);",
        "- an import takes minutes, most of a job's time, and how long is up to EC2;",
        "- OBS is behind a network, so `receive` is as fast as that.",
        "",
        "Ratios hold from machine to machine far better than times. Sizes and memory hold as they are.",
        "",
    ]
    return "\n".join(lines)


def page_with(tables, before):
    """The page before with the sections of tables that have runs of their own."""
    for table in tables:
        new = section(table, f"A run of its own, on {today()}, on {machine()}.")
        old = section_of(before, table.title)
        before = before.replace(old, new) if old else before.replace(END, f"{new}\n{END}")
    return before


def section(table, *remarks):
    title, rows, head = table
    # Of three, the last one is a remark.
    aligned = "--:|" * (len(head) - 1) if any(head) else "--:|---|"
    lines = [f"## {title}", "", "\n".join([ABOUT[title], *remarks]), ""]
    lines += ["|" + "".join(f" {name} |" if name else " |" for name in head), f"|---|{aligned}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, ""])


def section_of(text, title):
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## )", text, re.MULTILINE | re.DOTALL)
    return found and found[0].rstrip("\n") + "\n"


def today():
    return time.strftime("%Y-%m-%d", time.gmtime())


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = {line.partition(":")[2].strip() for line in file if line.startswith("model name")}
    return f"{os.cpu_count()} cores ({', '.join(sorted(models)) or 'of unknown make'}, {os.uname().machine})"
