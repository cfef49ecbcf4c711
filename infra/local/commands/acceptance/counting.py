"""What a run has used, counted where AWS or the uploader tells it."""

import json
import re

from acceptance.costs import VOLUME_GIB
from acceptance.stacks import Stack

WRITTEN = re.compile(r"^Wrote (\d+) blocks", re.MULTILINE)
MIB_PER_GB = 1024


def count(guard, target, deployed, uploads, hours):
    """Puts the numbers into the guard. Every AMI is counted as if it had been there from the beginning."""
    guard.set("blocks written (PutSnapshotBlock)", sum(written(job.log()) for job in uploads.started))
    guard.set("state transitions", transitions(target, deployed))
    guard.set("GB-hours of snapshots", VOLUME_GIB * len(uploads.started) * hours)
    stack = Stack(target.service, target.names.service)
    guard.set("hours of alarms", len(stack.resources_of("AWS::CloudWatch::Alarm")) * hours)
    guard.set("hours of secrets", hours)
    guard.set("hours of dashboards", hours)


def count_functions(guard, target, deployed):
    """Puts the functions' share into the guard. Returns the number of calls that Lambda has reported."""
    reports = list(reports_of(target, deployed))
    if reports:
        guard.set("calls of functions", len(reports))
        guard.set("GB-seconds of functions", sum(map(gb_seconds, reports)))
    return len(reports)


def written(log):
    """Blocks that a job wrote, by its log."""
    return sum(map(int, WRITTEN.findall(log)))


def transitions(target, deployed):
    """States that executions entered (Step Functions developer guide, GetExecutionHistory)."""
    states = target.service.client("stepfunctions")
    machine = deployed.resources["UploadMachine"]
    found = 0
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine):
        for execution in page["executions"]:
            history = states.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"])
            found += sum(event["type"].endswith("StateEntered") for part in history for event in part["events"])
    return found


def reports_of(target, deployed):
    """What Lambda says of each invocation (Lambda developer guide, "Configuring JSON and plain text log formats")."""
    pages = target.service.client("logs").get_paginator("filter_log_events").paginate(
        logGroupName=deployed.resources["FunctionLogs"], filterPattern='"platform.report"'
    )
    for event in (event for page in pages for event in page["events"]):
        try:
            line = json.loads(event["message"])
        except ValueError:
            continue
        if line.get("type") == "platform.report":
            yield line["record"]["metrics"]


def gb_seconds(metrics):
    return metrics["billedDurationMs"] / 1000 * metrics["memorySizeMB"] / MIB_PER_GB
