"""How long a slot stays empty between two jobs."""

import statistics

from bench import executions
from bench.images import make_small_image
from bench.table import Row, ms, note
from bench.uploads import FILE
from common import aws, uploads

QUEUED, SLOTS_PER_USER = 8, 2
HAND_ON_LIMIT = 2
"""Seconds after which a job that waits has to go on when a slot comes free."""


def measure_slots(folder, env, limits):
    """Small jobs of one user, more than may upload at a time."""
    note(f"slots: {QUEUED} jobs, of which {SLOTS_PER_USER} at a time")
    build = uploads.build_result("bench-slots")
    uploads.publish(env, build, make_small_image(folder), FILE)
    jobs = [uploads.create(env, build, FILE, f"bench slots {number}") for number in range(QUEUED)]
    entered = []
    for job in jobs:
        execution = aws.execution_of(env, job)
        executions.wait(env, execution)
        entered.append(dict(executions.entered_states(env, execution)))
    begins, ends = sorted(when["Prepare"] for when in entered), sorted(when["Finish"] for when in entered)
    gaps = [begin - end for end, begin in zip(ends, begins[SLOTS_PER_USER:])]
    limits.keep("a slot handed on, in seconds", max(gaps), HAND_ON_LIMIT)
    return [
        Row("median", ms(statistics.median(gaps)), f"of {len(gaps)}"),
        Row("the longest", ms(max(gaps)), f"{max(gaps) / HAND_ON_LIMIT:.0%} of the limit of {HAND_ON_LIMIT} s"),
    ]
