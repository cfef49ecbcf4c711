"""infra/user-template/publish.py: what it does to the bucket, and that CloudFormation gets an answer."""

import contextlib
import http.server
import importlib.util
import io
import json
import sys
import threading
import types
import unittest
from unittest import mock

from common.paths import TOP

FOLDER = TOP / "infra" / "user-template"


class NoSuchBucket(Exception):
    pass


class Bucket:
    """S3 as the module uses it. Every call raises `failure`, if there is one."""

    exceptions = types.SimpleNamespace(NoSuchBucket=NoSuchBucket)

    def __init__(self, failure=None):
        self.failure, self.calls = failure, []

    def put_object(self, **arguments):
        self.call("put", arguments)

    def delete_object(self, **arguments):
        self.call("delete", arguments)

    def call(self, name, arguments):
        self.calls.append((name, arguments))
        if self.failure:
            raise self.failure


def publisher(s3):
    """The module, with a boto3 of ours: this Python may have none."""
    spec = importlib.util.spec_from_file_location("publish", FOLDER / "publish.py")
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, boto3=types.SimpleNamespace(client=lambda _name: s3)):
        with mock.patch.object(sys, "dont_write_bytecode", True):  # the folder is deployed as it is
            spec.loader.exec_module(module)
    return module


class CloudFormation(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answers.append((self.headers["Content-Type"], json.loads(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


class UserTemplate(unittest.TestCase):
    def setUp(self):
        self.server = http.server.HTTPServer(("127.0.0.1", 0), CloudFormation)
        self.server.answers = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, s3, kind, **properties):
        event = {
            "RequestType": kind,
            "ResponseURL": f"http://127.0.0.1:{self.server.server_port}/",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "UserTemplate",
            "ResourceProperties": {"ServiceToken": "arn", **properties},
        }
        with contextlib.redirect_stdout(io.StringIO()):
            publisher(s3).handler(event, None)
        ((content_type, answer),) = self.server.answers
        self.assertEqual(content_type, "")
        self.assertEqual(
            {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "UserTemplate"},
            {key: answer[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
        )
        return answer

    def test_the_template_is_put_into_the_bucket_at_each_change(self):
        for kind in ("Create", "Update"):
            with self.subTest(kind):
                self.server.answers.clear()
                s3 = Bucket()
                answer = self.answer(s3, kind, Bucket="users")
                self.assertEqual((answer["Status"], answer["PhysicalResourceId"]), ("SUCCESS", "users/user-account.yaml"))
                ((name, arguments),) = s3.calls
                self.assertEqual((name, arguments["Bucket"], arguments["Key"]), ("put", "users", "user-account.yaml"))
                self.assertEqual(arguments["Body"], (TOP / "infra" / "user-account.yaml").read_bytes())

    def test_it_is_deleted_with_the_stack(self):
        for failure in (None, NoSuchBucket()):
            with self.subTest(failure):
                self.server.answers.clear()
                s3 = Bucket(failure)
                self.assertEqual(self.answer(s3, "Delete", Bucket="users")["Status"], "SUCCESS")
                self.assertEqual(s3.calls, [("delete", {"Bucket": "users", "Key": "user-account.yaml"})])

    def test_whatever_fails_is_answered(self):
        for kind, s3, reason in (
            ("Create", Bucket(PermissionError("no")), "PermissionError: no"),
            ("Delete", Bucket(ValueError("x" * 5000)), "ValueError: " + "x" * 988),
            ("Migrate", Bucket(), "KeyError: 'Migrate'"),
        ):
            with self.subTest(kind):
                self.server.answers.clear()
                answer = self.answer(s3, kind)
                self.assertEqual((answer["Status"], answer["Reason"]), ("FAILED", reason))


if __name__ == "__main__":
    unittest.main()
