"""Sessions and log events."""

from __future__ import annotations

import time
from typing import Any

from harness import USER, Case, emulator, policy, user


class Sessions(Case):
    def test_how_long_a_session_may_be(self) -> None:
        trust = policy({"Principal": {"AWS": USER}, "Action": "sts:AssumeRole"})
        arn = self.iam.create_role(RoleName="session", AssumeRolePolicyDocument=trust, MaxSessionDuration=7200)["Role"][
            "Arn"
        ]
        may = {"Action": "sts:AssumeRole", "Resource": arn}
        self.iam.put_role_policy(RoleName="session", PolicyName="chain", PolicyDocument=policy(may))
        sts, named = emulator.client("sts", **user(may)), {"RoleArn": arn, "RoleSessionName": "obs"}
        self.refused("ValidationError", sts.assume_role, "900", **named, DurationSeconds=899)
        self.refused("ValidationError", sts.assume_role, "MaxSessionDuration", **named, DurationSeconds=7201)
        for external_id in ("x", "sp ace", "ü-umlaut", "x" * 1225):
            self.refused("ValidationError", sts.assume_role, "externalId", **named, ExternalId=external_id)
        session = sts.assume_role(**named, DurationSeconds=7200)["Credentials"]
        chained = emulator.client("sts", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        self.refused("ValidationError", chained.assume_role, "role chaining", **named, DurationSeconds=3601)
        chained.assume_role(**named, DurationSeconds=3600)


class Logs(Case):
    def test_what_put_log_events_refuses(self) -> None:
        logs, now, minute = emulator.client("logs"), int(time.time() * 1000), 60_000
        where = {"logGroupName": "jobs", "logStreamName": "job-17"}
        logs.create_log_group(logGroupName="jobs")
        logs.create_log_stream(**where)

        def put(*times: int, message: str = "line") -> dict[str, Any]:
            return logs.put_log_events(**where, logEvents=[{"timestamp": at, "message": message} for at in times])

        bad = lambda *times, **more: self.refused("InvalidParameterException", lambda: put(*times, **more))  # noqa: E731
        bad()
        bad(now, now - 1)
        bad(now - 25 * 60 * minute, now)
        bad(now, message="")
        bad(*[now] * 10_001)
        bad(*[now] * 11, message="x" * 100_000)
        self.assertNotIn("rejectedLogEventsInfo", put(now - minute, now))
        self.assertEqual(put(now, now + 180 * minute)["rejectedLogEventsInfo"], {"tooNewLogEventStartIndex": 1})
        old = now - 15 * 24 * 60 * minute
        self.assertEqual(put(old, old + 1)["rejectedLogEventsInfo"], {"tooOldLogEventEndIndex": 2})
        self.assertEqual(len(logs.get_log_events(**where)["events"]), 3)
