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
    done = WIDTH * percent // 100
    end = "\n" if job["state"] in FINAL else ""
    elapsed = int(time.time() - job["created"])
    clock = f"{elapsed // 60}:{elapsed % 60:02}"
    print(f"\r\033[K{now} [{'#' * done}{'.' * (WIDTH - done)}] {percent:3}% {clock}", end=end, file=err, flush=True)
    return now
