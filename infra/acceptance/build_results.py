"""A stand-in for OBS's repository server: build results from a bucket.

Lists are XML as OBS writes it. Files are too large for a function's answer: they are in S3, behind a presigned URL,
which is valid for minutes. The file name decides how long OBS takes: "slow-20-…" is redirected after 20 seconds.
"""

import base64
import hmac
import os
import re
import time
import urllib.parse
from xml.sax.saxutils import quoteattr

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = os.environ["BUCKET"]
WANTED = "Basic " + base64.b64encode(f"uploader:{os.environ['PASSWORD']}".encode()).decode()
URL_SECONDS = 900

# The regional host, as a new bucket is not known everywhere yet. An emulator has one host for all.
STYLE = "path" if "AWS_ENDPOINT_URL" in os.environ else "virtual"
S3 = boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": STYLE}))


def handler(event, _context):
    if not hmac.compare_digest(event["headers"].get("authorization", "").encode(), WANTED.encode()):
        return status(401, "Authentication required")
    key = urllib.parse.unquote(event["rawPath"]).strip("/")
    names = key.split("/")
    if names[0] != "build" or len(names) not in (5, 6):
        return status(400, f"unknown request: {key}")
    return listing(key) if len(names) == 5 else file(key, names[-1])


def listing(folder):
    lines = ["<binarylist>"]
    pages = S3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{folder}/")
    for found in (found for page in pages for found in page.get("Contents", [])):
        name, mtime = found["Key"].rpartition("/")[2], int(found["LastModified"].timestamp())
        lines.append(f'  <binary filename={quoteattr(name)} size="{found["Size"]}" mtime="{mtime}" />')
    return answer(200, "\n".join([*lines, "</binarylist>", ""]))


def file(key, name):
    try:
        S3.head_object(Bucket=BUCKET, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        return status(404, f"{name}: No such file or directory")
    if slow := re.match(r"slow-(\d+)-", name):
        time.sleep(min(int(slow[1]), 25))
    url = S3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key}, ExpiresIn=URL_SECONDS)
    return {"statusCode": 302, "headers": {"Location": url, "Cache-Control": "no-cache"}}


def status(code, summary):
    return answer(code, f'<status code="{code}">\n  <summary>{summary}</summary>\n</status>\n')


def answer(code, body):
    return {"statusCode": code, "headers": {"Content-Type": "text/xml"}, "body": body}
