"""Calls of AWS on the local stack, without an SDK: the emulator does not check the signatures of an account's root.

`env` are the settings of the stack (common.settings).
"""

import json
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

from common.loopback import fetch


def authorization(access_key, region, service):
    date = time.strftime("%Y%m%d", time.gmtime())
    scope = f"{access_key}/{date}/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"


def json_call(env, service, target, body):
    """A call of AWS's JSON protocol, in the service's account."""
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": target,
        "Authorization": authorization(env["AWS_ACCESS_KEY_ID"], env["AWS_REGION"], service),
    }
    return json.loads(fetch(env["AWS_ENDPOINT_URL"] + "/", json.dumps(body).encode(), headers))


def dynamodb(env, action, **body):
    return json_call(env, "dynamodb", f"DynamoDB_20120810.{action}", body)


def states(env, action, **body):
    return json_call(env, "states", f"AWSStepFunctions.{action}", body)


def ec2(env, action, access_key, region, **parameters):
    """A call of EC2 in the account of an access key. Returns the root of the answer's XML."""
    form = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **parameters})
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": authorization(access_key, region, "ec2"),
    }
    return ElementTree.fromstring(fetch(env["AWS_ENDPOINT_URL"] + "/", form.encode(), headers))


def job_record(env, job):
    return dynamodb(env, "GetItem", TableName=env["JOBS_TABLE"], Key={"id": {"S": job}})["Item"]


def execution_of(env, job):
    """The ARN of a job's execution."""
    return f"{env['UPLOAD_MACHINE_ARN'].replace(':stateMachine:', ':execution:')}:job-{job}"


def s3_headers(access_key, region):
    return {"Authorization": authorization(access_key, region, "s3"), "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}


def create_bucket(env, bucket, access_key, region):
    constraint = f"<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    url = f"{env['AWS_ENDPOINT_URL']}/{bucket}"
    fetch(url, constraint.encode(), s3_headers(access_key, region), method="PUT")


def object_keys(env, bucket, prefix, access_key, region):
    """The keys in a bucket, up to a thousand of them."""
    query = urllib.parse.urlencode({"list-type": 2, "prefix": prefix})
    headers = s3_headers(access_key, region)
    listing = ElementTree.fromstring(fetch(f"{env['AWS_ENDPOINT_URL']}/{bucket}?{query}", headers=headers))
    return [key.text for key in listing.iterfind("{*}Contents/{*}Key")]
