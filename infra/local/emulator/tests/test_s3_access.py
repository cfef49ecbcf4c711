"""Who is told what about buckets and objects."""

from __future__ import annotations

import time
from typing import Any

from botocore.client import BaseClient
from harness import STRANGER, USER, Case, emulator, policy, user

OWN = {"Condition": {"StringEquals": {"aws:ResourceAccount": USER}}}


def client(*statements: dict[str, Any], account: str = USER) -> BaseClient:
    return emulator.client("s3", **user(*statements, account=account))


class Buckets(Case):
    """aws:ResourceAccount is the account that owns the bucket, and absent where there is none."""

    def setUp(self) -> None:
        super().setUp()
        self.bucket = f"access-{time.monotonic_ns()}"

    def listing(self, **condition: Any) -> dict[str, Any]:
        return {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::access-*", **condition}

    def test_a_bucket_that_is_not_there(self) -> None:
        for allowed, status in ((self.listing(), "404"), (self.listing(**OWN), "403")):
            self.refused(status, client(allowed).head_bucket, Bucket=self.bucket)
        objects = {"Action": "s3:GetObject", "Resource": "*"}
        self.refused("403", client(objects).head_bucket, Bucket=self.bucket)
        self.refused("404", self.s3.head_bucket, Bucket=self.bucket)
        if_exists = {"Condition": {"StringEqualsIfExists": {"aws:ResourceAccount": USER}}}
        self.refused("404", client(self.listing(**if_exists)).head_bucket, Bucket=self.bucket)

    def test_ones_own_bucket(self) -> None:
        mine = client({"Action": "s3:CreateBucket", "Resource": "*"}, self.listing(**OWN))
        mine.create_bucket(Bucket=self.bucket)
        mine.head_bucket(Bucket=self.bucket)
        self.assertEqual(mine.list_objects_v2(Bucket=self.bucket)["KeyCount"], 0)

    def test_a_bucket_cannot_be_made_with_the_condition(self) -> None:
        creating = client({"Action": "s3:CreateBucket", "Resource": "*", **OWN})
        self.refused("AccessDenied", creating.create_bucket, Bucket=self.bucket)

    def test_somebody_elses_bucket(self) -> None:
        theirs = emulator.client("s3", STRANGER)
        theirs.create_bucket(Bucket=self.bucket)
        theirs.put_object(Bucket=self.bucket, Key="k", Body=b"1")
        open_to_all = policy({"Principal": {"AWS": USER}, "Action": "s3:*", "Resource": f"arn:aws:s3:::{self.bucket}*"})
        theirs.put_bucket_policy(Bucket=self.bucket, Policy=open_to_all)
        every = {"Action": "s3:*", "Resource": "*"}
        client(every).head_bucket(Bucket=self.bucket)
        self.refused("403", client({**every, **OWN}).head_bucket, Bucket=self.bucket)
        where = {"Bucket": self.bucket, "Key": "k"}
        self.assertEqual(client(every).get_object(**where)["Body"].read(), b"1")
        self.refused("AccessDenied", client({**every, **OWN}).get_object, **where)
        self.refused("AccessDenied", client({**every, **OWN}).put_object, **where, Body=b"2")
        creating = client({"Action": "s3:CreateBucket", "Resource": "*"})
        self.refused("BucketAlreadyExists", creating.create_bucket, Bucket=self.bucket)


class MissingObjects(Case):
    """Only who may list the bucket is told that a key is not there."""

    BUCKET = "missing-objects"

    @classmethod
    def setUpClass(cls) -> None:
        emulator.client("s3").create_bucket(Bucket=cls.BUCKET)

    def test_who_may_list(self) -> None:
        reading = {"Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{self.BUCKET}/*"}
        listing = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{self.BUCKET}"}
        where = {"Bucket": self.BUCKET, "Key": "none"}
        for reader in (client(reading, listing), client(reading, {**listing, **OWN}), self.s3):
            self.refused("404", reader.head_object, **where)
            self.refused("NoSuchKey", reader.get_object, **where)
        other = {"Condition": {"StringEquals": {"aws:ResourceAccount": STRANGER}}}
        for reader in (client(reading), client(reading, {**listing, **other})):
            self.refused("403", reader.head_object, **where)
            self.refused("AccessDenied", reader.get_object, "s3:ListBucket", **where, status=403)
            self.refused("NoSuchBucket", reader.get_object, Bucket="missing-bucket", Key="none")
            reader.put_object(Bucket=self.BUCKET, Key="there", Body=b"1")
            reader.head_object(Bucket=self.BUCKET, Key="there")

    def test_other_things_that_are_not_there(self) -> None:
        parts = {"Action": "s3:ListMultipartUploadParts", "Resource": "*"}
        self.refused("NoSuchUpload", client(parts).list_parts, Bucket=self.BUCKET, Key="none", UploadId="none")

    def test_in_anothers_bucket(self) -> None:
        both = [{"Action": "s3:*", "Resource": "*"}]
        where, shared = {"Bucket": self.BUCKET, "Key": "none"}, {"Principal": {"AWS": STRANGER}}
        objects = {**shared, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{self.BUCKET}/*"}
        listing = {**shared, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{self.BUCKET}"}
        self.s3.put_bucket_policy(Bucket=self.BUCKET, Policy=policy(objects))
        self.refused("403", client(*both, account=STRANGER).head_object, **where)
        self.s3.put_bucket_policy(Bucket=self.BUCKET, Policy=policy(objects, listing))
        self.refused("404", client(*both, account=STRANGER).head_object, **where)
