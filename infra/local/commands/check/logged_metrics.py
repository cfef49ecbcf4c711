"""The metrics that a run has left in the functions' log, as CloudWatch would find them there."""

import json

from check.secrets import events
from common.failure import Failure

EXPECTED = {
    *("Jobs", "JobSeconds", "StateSeconds", "UploadSeconds", "ImageBytes", "JobsWaiting", "JobsUploading"),
    "EventsUnsent",
    *("Bytes", "Retries", "StepsRetried", "PutsThrottled"),
    *("Dollars", "GbSeconds"),
    *("CanaryImages", "CanarySeconds"),
}
ENDS = {"succeeded", "killed", "refused"}
"""Ends that jobs of the tests have."""


def verify(env, namespace):
    """Fails if a metric is missing, or a line is not in the embedded metric format. Returns the number of lines."""
    lines = list(documents(events(env, env["FUNCTION_LOG_GROUP"])))
    names, ends = set(), set()
    for line in lines:
        names |= names_in(line, namespace)
        if "Jobs" in line:
            ends.add(line["End"])
    missing = sorted((EXPECTED - names) | (ENDS - ends))
    if missing:
        raise Failure(f"no line of the functions' log has {', '.join(missing)}")
    return len(lines)


def documents(lines):
    return (json.loads(line) for line in lines if line.startswith('{"_aws"'))


def names_in(line, namespace):
    """The metrics of a line.

    CloudWatch user guide, "Specification: Embedded metric format": each dimension and each metric is a member of the
    document.
    """
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    names = {metric["Name"] for metric in directive["Metrics"]}
    members = names.union(*directive["Dimensions"])
    if directive["Namespace"] != namespace or not names or not members <= line.keys():
        raise Failure(f"this is no metric of {namespace}: {json.dumps(line)}")
    return names
