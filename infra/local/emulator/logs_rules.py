"""What PutLogEvents refuses and ministack does not ("PutLogEvents", CloudWatch Logs API Reference)."""

from __future__ import annotations

import functools
import json
import time
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import cloudwatch_logs

MOST_EVENTS = 10_000
LARGEST_BATCH, EVENT_OVERHEAD = 1_048_576, 26
"""Bytes of a batch: its messages in UTF-8, and so many more for each event."""

DAY = 24 * 3600 * 1000
LONGEST_SPAN, OLDEST, NEWEST = DAY, 14 * DAY, DAY // 12
"""Milliseconds: from a batch's first event to its last, and from now into the past and the future."""

Answer = tuple[int, dict[str, Any], Any]


def install() -> None:
    put = cloudwatch_logs._put_log_events

    @functools.wraps(put)
    def guarded(data: dict[str, Any]) -> Answer:
        events = data.get("logEvents") or []
        if problem := refused(events):
            return error_response_json("InvalidParameterException", problem, 400)
        now = int(time.time() * 1000)
        old = sum(event["timestamp"] < now - OLDEST for event in events)
        new = sum(event["timestamp"] > now + NEWEST for event in events)
        kept = events[old : len(events) - new]
        status, headers, body = put({**data, "logEvents": kept})
        rejected = {"tooOldLogEventEndIndex": old} if old else {}
        rejected |= {"tooNewLogEventStartIndex": len(events) - new} if new else {}
        if status == 200 and rejected:
            body = json.dumps(json.loads(body) | {"rejectedLogEventsInfo": rejected}).encode()
        return status, headers, body

    cloudwatch_logs._put_log_events = guarded


def refused(events: list[dict[str, Any]]) -> str | None:
    if not 1 <= len(events) <= MOST_EVENTS:
        return f"1 validation error detected: 'logEvents' must have between 1 and {MOST_EVENTS} members"
    if any(not event.get("message") for event in events):
        return "1 validation error detected: 'message' must have length greater than or equal to 1"
    times = [event["timestamp"] for event in events]
    if times != sorted(times):
        return "Log events in a single PutLogEvents request must be in chronological order."
    if times[-1] - times[0] > LONGEST_SPAN:
        return "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
    size = sum(len(event["message"].encode()) + EVENT_OVERHEAD for event in events)
    if size > LARGEST_BATCH:
        return f"Upload too large: {size} bytes exceeds limit of {LARGEST_BATCH}"
    return None
