"""What a watched job tells on standard error: a bar on a terminal, elsewhere a line for each state."""

import sys
import time

FINAL = ("succeeded", "failed")
INTERVAL = 2
"""Seconds between two looks at a job."""

WIDTH = 30


def watch(api, number):
    """Shows a job's progress until its end. Returns the job as it is then."""
    shown = None
    while True:
        job = api.job(number)
        shown = show(job, shown)
        if job["state"] in FINAL:
            return job
        time.sleep(INTERVAL)


def show(job, before):
    """Shows a job, on a terminal over what was shown before. Returns what is shown now."""
    err = sys.stderr  # osc replaces it at its start
    now = f"job {job['id']}: {job['state']}"
    if not err.isatty():
        if now != before:
            print(now, file=err, flush=True)
        return now
    percent = 100 if job["state"] == "succeeded" else job["progress"] or 0
    bar(now, percent, int(time.time() - job["created"]), job["state"] in FINAL)
    return now


def show_push(number, sent, size, began):
    """Shows on a terminal how far the push of a job's file is, which began then (`time.monotonic`)."""
    if sys.stderr.isatty():
        percent = 100 * sent // size
        bar(f"job {number}: pushing", percent, int(time.monotonic() - began), sent == size)


def bar(what, percent, seconds, is_over):
    done = WIDTH * percent // 100
    clock = f"{seconds // 60}:{seconds % 60:02}"
    line = f"{what} [{'#' * done}{'.' * (WIDTH - done)}] {percent:3}% {clock}"
    print(f"\r\033[K{line}", end="\n" if is_over else "", file=sys.stderr, flush=True)
