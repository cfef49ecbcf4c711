"""What Step Functions tells of a job's execution."""

import collections
import itertools
import time

from common import aws
from common.failure import Failure

EXECUTION_TIMEOUT = 900
"""Seconds after which an execution that has not ended is taken for stuck."""

PHASES = {
    "Receive": "receive",
    "Slot": "rest",
    "Transfer": "transfer",
    "Seal": "import",
    "Register": "rest",
}
"""The states with which a phase begins. A state that is not named here belongs to the phase before it."""


def wait(env, execution):
    """The execution at its end, which has to be a good one."""
    began = time.monotonic()
    while (run := aws.states(env, "DescribeExecution", executionArn=execution))["status"] == "RUNNING":
        if time.monotonic() > began + EXECUTION_TIMEOUT:
            raise Failure(f"{execution} has not ended within {EXECUTION_TIMEOUT} s")
        time.sleep(0.2)
    if run["status"] != "SUCCEEDED":
        raise Failure(f"{execution} is {run['status']}: the job's log says why")
    return run


def history(env, execution):
    """The events of an execution, in order."""
    page = {}
    while page is not None:
        answer = aws.states(env, "GetExecutionHistory", executionArn=execution, maxResults=1000, **page)
        yield from answer["events"]
        page = {"nextToken": answer["nextToken"]} if answer.get("nextToken") else None


def entered_states(env, execution):
    """(state, when it was entered), in order. States within a Map are entered at the same time as others."""
    for event in history(env, execution):
        if name := event.get("stateEnteredEventDetails", {}).get("name"):
            yield name, event["timestamp"]


def phases(env, execution, took):
    """Seconds in each phase of an execution that took so many: from entering a state to entering the next."""
    seconds, phase = collections.Counter(), "rest"
    for (name, at), (_, until) in itertools.pairwise(entered_states(env, execution)):
        phase = PHASES.get(name, phase)
        seconds[phase] += until - at
    seconds["rest"] += took - seconds.total()
    return seconds
