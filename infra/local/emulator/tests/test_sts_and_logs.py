"""Sessions and log events."""

from __future__ import annotations

import time
from typing import Any

from harness import REGION, STRANGER, USER, Case, emulator, policy, user


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

    def test_the_packed_size_of_a_session_policy(self) -> None:
        arn = self.role("packed")
        named = {"RoleArn": arn, "RoleSessionName": "obs"}
        sts = emulator.client("sts", **user({"Action": "sts:AssumeRole", "Resource": arn}))
        self.assertEqual(sts.assume_role(**named)["PackedPolicySize"], 0)

        def of_length(size: int) -> str:
            rest = policy({"Action": "s3:GetObject", "Resource": ""})
            return policy({"Action": "s3:GetObject", "Resource": "x" * (size - len(rest))})

        for size, percent in ((205, 11), (1024, 50), (1025, 51), (2048, 100)):
            self.assertEqual(sts.assume_role(**named, Policy=of_length(size))["PackedPolicySize"], percent)
        text = "Packed policy consumes 101% of allotted space"
        self.refused("PackedPolicyTooLarge", sts.assume_role, text, status=400, **named, Policy=of_length(2049))

    def test_regions_without_sts(self) -> None:
        arn = self.role("regional")
        credentials = user({"Action": "sts:AssumeRole", "Resource": arn}, account=STRANGER)
        here, there = (emulator.client("sts", **credentials, region=region) for region in (REGION, "eu-west-3"))
        named = {"RoleArn": arn, "RoleSessionName": "obs"}
        self.with_settings(USER, sts_inactive_regions=["eu-west-3"])
        text = f"STS is not activated in this region for account:{USER}. Your account administrator can activate"
        self.refused("RegionDisabledException", there.assume_role, text, status=403, **named)
        unknown = {**named, "RoleArn": arn + "-unknown"}
        self.refused("AccessDenied", there.assume_role, **unknown)
        here.assume_role(**named)
        emulator.settings(USER)
        there.assume_role(**named)

    def test_regions_that_an_account_has_not_enabled(self) -> None:
        """STS gives out the session, as the caller's account has the region; the region does not take it."""
        far, arn = "eu-south-1", self.role("opt-in")
        credentials = user({"Action": "sts:AssumeRole", "Resource": arn}, account=STRANGER)
        self.with_settings(USER, disabled_regions=[far])
        sts = emulator.client("sts", **credentials, region=far)
        assumed = sts.assume_role(RoleArn=arn, RoleSessionName="obs")["Credentials"]
        session = [assumed[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        own = user({"Action": "*", "Resource": "*"})
        for given, code, status in ((session, "InvalidToken", 400), (own.values(), "InvalidAccessKeyId", 403)):
            ec2, s3, sts = (emulator.client(service, *given, region=far) for service in ("ec2", "s3", "sts"))
            text = "AWS was not able to validate the provided access credentials"
            self.refused("AuthFailure", ec2.describe_images, text, status=401, Owners=["self"])
            self.refused(code, s3.list_objects_v2, status=status, Bucket="any")
            self.refused(code, s3.put_object, status=status, Bucket="any", Key="k", Body=b"1")
            self.refused(str(status), s3.head_bucket, Bucket="any")
            self.refused("InvalidClientTokenId", sts.get_caller_identity, status=403)
            emulator.client("ec2", *given).describe_images(Owners=["self"])
        emulator.client("ec2", STRANGER, region=far).describe_images(Owners=["self"])
        emulator.settings(USER)
        emulator.client("ec2", *session, region=far).describe_images(Owners=["self"])

    def role(self, name: str) -> str:
        """The ARN of a role that any user of either account may assume, and that may do anything."""
        trust = policy({"Principal": {"AWS": [USER, STRANGER]}, "Action": "sts:AssumeRole"})
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        every = policy({"Action": "*", "Resource": "*"})
        self.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=every)
        return arn


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
