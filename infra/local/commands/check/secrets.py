"""A search for secrets in everything that a run has logged."""

import re
import urllib.parse

from common import aws
from common.failure import Failure
from common.loopback import without_secret

LOGS = "Logs_20140328"
"""The target prefix of CloudWatch Logs (its service model)."""

TOKEN = re.compile(r"cloudup_[A-Za-z0-9._-]+_[0-9a-f]{64}")
"""What a user's token looks like, whosever it is."""


def secrets_of(env):
    """What must be in no log, by what it is."""
    url = urllib.parse.urlsplit(env["CLOUDUPLOAD_URL"])
    header = without_secret(env["CLOUDUPLOAD_URL"])[1]["Authorization"]
    return {
        "the secret of OBS": urllib.parse.unquote(url.password),
        "the same as it is sent": header.removeprefix("Basic "),
        "the external ID": env["USER_EXTERNAL_ID"],
    }


def search(env, folder):
    """Fails if a log group, or a log file of the stack, has a secret. Returns the number of lines in the groups."""
    secrets = secrets_of(env)
    found, lines = [], 0
    for group in groups(env):
        for line in events(env, group):
            lines += 1
            found += [f"{group}: {name}" for name in names_in(line, secrets)]
    for file in (folder / "emulator.log", folder / "obs.log", folder / "faults.log"):
        found += [f"{file.name}: {name}" for name in names_in(file.read_text(errors="replace"), secrets)]
    if lines == 0:
        raise Failure("nothing was logged, so that the search says nothing")
    if found:
        raise Failure("secrets are logged:\n" + "\n".join(sorted(set(found))))
    return lines


def names_in(text, secrets):
    names = [name for name, secret in secrets.items() if secret in text]
    return names + ["a user's token"] * bool(TOKEN.search(text))


def groups(env):
    answer = aws.json_call(env, "logs", f"{LOGS}.DescribeLogGroups", {})
    return [group["logGroupName"] for group in answer["logGroups"]]


def events(env, group):
    """The lines of all streams of a log group, equal ones of one moment once.

    They are read from time to time: AWS gives a token for what is left after 10,000 events (API reference,
    FilterLogEvents), and ministack does not.
    """
    start, seen = 0, set()
    while True:
        answer = aws.json_call(env, "logs", f"{LOGS}.FilterLogEvents", {"logGroupName": group, "startTime": start})
        found = {(event["timestamp"], event["logStreamName"], event["message"]): None for event in answer["events"]}
        new = [event for event in found if event not in seen]
        if not new:
            return
        yield from (message for _, _, message in new)
        start = max(timestamp for timestamp, _, _ in new)
        seen = {event for event in found if event[0] == start}
