"""Puts user-account.yaml, which lies beside this file, where the CloudFormation of users can read it.

The stack's resource UserTemplate calls it (CloudFormation user guide, "Custom resource request types"). It answers
whatever happens: without an answer, a deployment waits until ServiceTimeout.
"""

import json
import urllib.request
from pathlib import Path

import boto3

NAME = "user-account.yaml"

ANSWER_TIMEOUT = 30
"""Seconds for the answer to CloudFormation, which is a PUT of a few hundred bytes."""

MAX_REASON = 1000
"""Characters of an error's text. An answer has 4096 bytes at most ("Custom resource response objects")."""


def put(s3, bucket):
    body = (Path(__file__).parent / NAME).read_bytes()
    s3.put_object(Bucket=bucket, Key=NAME, Body=body, ContentType="application/yaml")


def delete(s3, bucket):
    try:
        s3.delete_object(Bucket=bucket, Key=NAME)
    except s3.exceptions.NoSuchBucket:
        pass  # somebody was faster


CHANGES = {"Create": put, "Update": put, "Delete": delete}


def handler(event, _context):
    bucket = event["ResourceProperties"].get("Bucket", "")
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    # After an update that changes it, CloudFormation deletes the resource of the old id.
    answer["PhysicalResourceId"] = f"{bucket}/{NAME}"
    try:
        CHANGES[event["RequestType"]](boto3.client("s3"), bucket)
        answer["Status"] = "SUCCESS"
    except Exception as error:
        print(f"{event['RequestType']} failed: {error!r}")
        answer |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"[:MAX_REASON]}
    send(event["ResponseURL"], answer)


def send(url, answer):
    # The URL is presigned without a content type, so there must be none.
    headers = {"Content-Type": ""}
    request = urllib.request.Request(url, json.dumps(answer).encode(), headers, method="PUT")
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT) as response:
        print(f"{answer['Status']}: CloudFormation took the answer with {response.status}")
