"""Whole jobs by each route: their time by state, their calls, and what they would cost on AWS."""

import collections
import json
import time
from typing import NamedTuple

from bench import executions
from bench.cost import price
from bench.images import Image
from bench.table import Table, note, seconds
from common import aws, uploads
from common.loopback import fetch
from common.paths import LOCAL
from common.process import output
from common.units import MIB

ROUTES = ("direct", "copy", "import")
FILE = "jobs.x86_64-1.0.raw.xz"
GIB = 1 << 30
BLOCK = 512 << 10

SMALL, LARGE = 1, 10
"""GiB of the disks, of which a fifth is data."""

COMPUTED = 100
"""GiB of the disk that is not uploaded: whatever the others have, on a straight line through both."""

DIRECT_LIMIT = 0.04
"""Dollars for the large disk by `direct`."""


class Job(NamedTuple):
    """What a job came to."""

    states: dict
    """Seconds in each state, from the call to the API to the end of Register."""
    calls: collections.Counter
    transitions: int
    invocations: int
    gb_seconds: float
    staged: int
    written: int
    """Bytes of blocks, or of the disk in the user's bucket."""
    stored: int
    """Bytes that are in S3 for a while."""
    log: int
    copied: int
    """Bytes of snapshots that are there only until they are copied."""


def measure_jobs(folder, env, limits):
    """`env` are the settings of a stack with the fault proxy, which counts calls."""
    memory = Memory(env)
    images = {gib: make_fifth(folder, gib) for gib in (SMALL, LARGE)}
    jobs = {}
    for gib, image in images.items():
        for route in ROUTES:
            note(f"a job: {gib} GiB by {route}")
            jobs[gib, route] = run(env, memory, image, route)
    for route in ROUTES:
        jobs[COMPUTED, route] = on_the_line(jobs[SMALL, route], jobs[LARGE, route])
    dollars = sum(price(jobs[LARGE, "direct"]).values())
    limits.keep(f"dollars for {LARGE} GiB by direct", dollars, DIRECT_LIMIT)
    return [
        Table(f"From the call to the AMI, {LARGE} GiB", *time_table(jobs)),
        Table("What a job costs on AWS", *cost_table(jobs)),
    ]


def make_fifth(folder, gib):
    file = folder / "disk" / f"fifth-{gib}.raw.xz"
    output(LOCAL / "make-disk", file, "--size-mib", str(gib * 1024), "--content-mib", str(gib * 1024 // 5))
    return Image(f"{gib} GiB", file, gib * GIB)


class Memory:
    """Memory of the deployed functions, in MiB, by the states that call them."""

    def __init__(self, env):
        machine = aws.states(env, "DescribeStateMachine", stateMachineArn=env["UPLOAD_MACHINE_ARN"])
        self.functions = dict(tasks(json.loads(machine["definition"])["States"]))
        headers = {"Authorization": aws.authorization(env["AWS_ACCESS_KEY_ID"], env["AWS_REGION"], "lambda")}
        listed = json.loads(fetch(f"{env['AWS_ENDPOINT_URL']}/2015-03-31/functions/?MaxItems=50", headers=headers))
        self.sizes = {function["FunctionName"]: function["MemorySize"] for function in listed["Functions"]}

    def of(self, state):
        """None for a state that calls no function."""
        function = self.functions.get(state)
        return function and self.sizes[function.split(":")[6]]


def tasks(states):
    """(state, ARN of its function), those within a Map among them."""
    for name, state in states.items():
        if state["Type"] == "Map":
            yield from tasks(state["ItemProcessor"]["States"])
        elif function := state.get("Parameters", {}).get("FunctionName"):
            yield name, function


def run(env, memory, image, route):
    """Brings an image to an AMI by a route."""
    build = uploads.build_result(f"jobs-{image.title.split()[0]}-{route}")
    uploads.publish(env, build, image.file, FILE)
    began = time.time()
    role = env["USER_EC2_ROLE_ARN"] if route == "copy" else env["USER_ROLE_ARN"]
    job = uploads.create(env, build, FILE, f"{build['package']} {began:.0f}", route=route, arn=role)
    execution = aws.execution_of(env, job)
    executions.wait(env, execution)
    events = list(executions.history(env, execution))
    calls = collections.Counter()
    for call in json.loads(fetch(f"{env['FAULTS_URL']}/_faults/calls?job={job}")):
        calls[call["call"]] += call["count"]
    staged, blocks = image.file.stat().st_size, calls["ebs:PutSnapshotBlock"] * BLOCK
    return Job(
        states=states(began, events),
        calls=calls,
        transitions=sum(event["type"].endswith("StateEntered") for event in events),
        invocations=sum(event["type"] == "TaskScheduled" for event in events),
        gb_seconds=gb_seconds(memory, events),
        staged=staged,
        # By `import`, the one block that was put is a question about permissions.
        written=image.size if route == "import" else blocks,
        stored=staged + image.size if route == "import" else staged,
        log=len(uploads.log(env, job).encode()),
        copied=blocks if route == "copy" else 0,
    )


def states(began, events):
    """Seconds in each state until `Finish`. Those within a Map belong to it, and those of a loop to its task."""
    entered = [
        (event["stateEnteredEventDetails"]["name"], event["timestamp"])
        for event in events
        if event["type"].endswith("StateEntered") and event["stateEnteredEventDetails"]["name"] != "TransferSlice"
    ]
    spent, last, at = collections.Counter(), "the call", began
    for name, now in entered:
        spent[last] += now - at
        if name == "Finish":
            break
        last, at = LOOPS.get(name, name), now
    return dict(spent)


LOOPS = {"Begin": "the call", "Received?": "Receive", "Wait": "Check", "Imported?": "Check"}


def gb_seconds(memory, events):
    """What Lambda bills of the time between entering and leaving states, which has the calls' own time in it."""
    total = 0
    for event in events:
        for details, sign in (("stateEnteredEventDetails", -1), ("stateExitedEventDetails", 1)):
            if details in event and (size := memory.of(event[details]["name"])):
                total += sign * event["timestamp"] * size / 1024
    return total


def on_the_line(small, large):
    """A job of the size that is not run."""

    def extend(one, other):
        return other + (other - one) * (COMPUTED - LARGE) / (LARGE - SMALL)

    calls = {call: round(extend(small.calls[call], large.calls[call])) for call in small.calls | large.calls}
    numbers = {
        name: extend(getattr(small, name), getattr(large, name))
        for name in Job._fields
        if name not in ("states", "calls")
    }
    return Job(states={}, calls=collections.Counter(calls), **numbers)


def time_table(jobs):
    """(rows, head)."""
    of_route = {route: jobs[LARGE, route].states for route in ROUTES}
    names = list(dict.fromkeys(name for spent in of_route.values() for name in spent))
    rows = [
        (name, *(seconds(spent[name]) if name in spent else "" for spent in of_route.values())) for name in names
    ]
    rows.append(("in all", *(seconds(sum(spent.values())) for spent in of_route.values())))
    return rows, ("state", *(f"`{route}`" for route in ROUTES))


def cost_table(jobs):
    rows = []
    for gib in (SMALL, LARGE, COMPUTED):
        for route in ROUTES:
            job = jobs[gib, route]
            parts = price(job)
            rows.append(
                (
                    f"{gib} GiB, `{route}`",
                    f"{job.calls.total():,}",
                    gibs(job.staged),
                    gibs(job.written),
                    *(f"${dollars:.4f}" for dollars in parts.values()),
                    f"${sum(parts.values()):.4f}",
                )
            )
    return rows, ("disk, route", "calls", "staged", "written", "EBS", "S3", "Lambda", "other", "in all")


def gibs(size):
    return f"{size / GIB:.2f} GiB" if size >= GIB / 10 else f"{size / MIB:.1f} MiB"
