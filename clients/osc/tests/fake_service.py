"""A cloud uploader in this process. Its requests and answers are those of docs/openapi.yaml, and no others. It has an S3, which
takes parts by their URLs."""

import base64
import http
import json
import re
import zlib

from tests.description import Call
from tests.server import Refusal, Server

TOKEN = "cloudup_tom_" + "0123456789abcdef" * 4
ARN = "arn:aws:iam::123456789012:role/obs-cloudupload"
AMI = "ami-0123456789abcdef0"
EXTERNAL_ID = "0123456789abcdef-of-tom"
CREATED = 1795445844
DELETED = 1795446000

PART_SIZE = 10
"""Bytes of the parts of a file that is pushed, unless a test says otherwise."""

UPLOAD = {"project", "repository", "arch", "package", "filename"}


HIDDEN = {"script", "upload", "parts", "pushed"}
"""What the stand-in knows of a job beside what the API shows."""


class Service(Server):
    """`script` has the states that a new job goes through, one with each look at it."""

    def __init__(self):
        super().__init__()
        self.jobs = {}
        self.logs = {}
        self.uploads = []
        self.role = {"arn": None, "region": None, "report": None, "usable": False}
        self.script = [("created", None), ("receiving", 10), ("uploading", 55), ("succeeded", 100)]
        self.quick_create_url = "https://eu-central-1.console.aws.amazon.com/cloudformation/home#/stacks/create/review"
        self.part_size = PART_SIZE
        self.missing = []
        self.hiccups = 0
        self.s3_answers = []
        self.refused_urls = []
        self.sent = []

    def answer(self, method, path, query, headers, body):
        if self.hiccups:
            self.hiccups -= 1
            raise Refusal(503, {"message": "Service Unavailable"})
        if path.startswith("/s3/"):
            return self.put_part(method, path, query, headers, body)
        call = Call(method, path)
        try:
            result = self.perform(call, method, path, query, headers, body)
        except Refusal as refusal:
            call.check_answer(refusal.status, refusal.body, refusal.content_type)
            raise
        is_text = isinstance(result, bytes)
        text = result.decode(errors="replace") if is_text else result
        call.check_answer(call.success(), text, "text/plain" if is_text else "application/json")
        return call.success(), result

    def perform(self, call, method, path, query, headers, body):
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            raise problem(401, "this token is not known, or was revoked: ask the operators for another one")
        if body is not None and headers.get("Content-Type") != "application/json":
            raise problem(415, "the body must be JSON")
        body = json.loads(body) if body else None
        call.check_request(query, body)
        for verb, pattern, do in (
            ("GET", r"/v1/me", self.me),
            ("GET", r"/v1/me/role", self.role_setup),
            ("PUT", r"/v1/me/role", self.connect),
            ("GET", r"/v1/jobs", self.list),
            ("POST", r"/v1/jobs", self.create),
            ("GET", r"/v1/jobs/(\d+)", self.look),
            ("GET", r"/v1/jobs/(\d+)/push", self.push),
            ("POST", r"/v1/jobs/(\d+)/push/parts", self.part_urls),
            ("POST", r"/v1/jobs/(\d+)/push/done", self.push_done),
            ("POST", r"/v1/jobs/(\d+)/kill", self.kill),
            ("POST", r"/v1/jobs/(\d+)/retry", self.retry),
            ("DELETE", r"/v1/jobs/(\d+)/image", self.delete_image),
            ("GET", r"/v1/jobs/(\d+)/log", self.log),
        ):
            match = re.fullmatch(pattern, path)
            if match and verb == method:
                return do(*map(int, match.groups()), query, body)
        raise AssertionError(f"this stand-in lacks {method} {path}")

    def me(self, _query, _body):
        token = {"id": "00" * 8, "name": "laptop", "created": CREATED, "expires": None, "used": None}
        return {
            "name": "tom",
            "created": CREATED,
            "token": token,
            "role": self.role["arn"],
            "region": self.role["region"],
        }

    def role_setup(self, _query, _body):
        user = {
            "service_account": "210987654321",
            "external_id": EXTERNAL_ID,
            "quick_create_url": self.quick_create_url,
        }
        return {**user, "connected": CREATED if self.role["arn"] else None, **self.role}

    def connect(self, query, body):
        if body["arn"] != ARN:
            raise problem(400, f"the role {body['arn']} cannot be assumed")
        routes = [
            {"route": "direct", "verdict": "allowed"},
            {"route": "import", "verdict": "denied", "missing": ["s3:ListBucket"]},
            {"route": "copy", "verdict": "switched_off"},
        ]
        self.role = {**body, "report": {"missing": self.missing, "routes": routes}, "usable": not self.missing}
        return self.role_setup(query, None)

    def create(self, _query, body):
        if not self.role["arn"]:
            raise problem(409, "no role is connected yet")
        self.uploads.append(body)
        number = len(self.jobs) + 1
        self.jobs[number] = {
            "id": number,
            "state": "created",
            "details": "waiting to receive image",
            "progress": None,
            "created": CREATED,
            "ended": None,
            **{name: body[name] for name in UPLOAD},
            "size": body["push"]["size"] if "push" in body else 23097940,
            "region": body.get("region", self.role["region"]),
            "ami_name": body.get("ami_name", body["filename"]),
            "ami": None,
            "image_deleted": None,
            "script": list(self.script),
            "upload": body,
            "parts": {},
            "pushed": None,
        }
        return self.shown(number)

    def shown(self, number):
        if number not in self.jobs:
            raise problem(404, "no such job")
        return {name: value for name, value in self.jobs[number].items() if name not in HIDDEN}

    def list(self, query, _body):
        limit, before = int(query["limit"]), int(query.get("before", 2**31))
        numbers = [number for number in sorted(self.jobs, reverse=True) if number < before][:limit]
        jobs = [self.shown(number) for number in numbers]
        return {"jobs": jobs, "next": numbers[-1] if len(numbers) == limit else None}

    def look(self, number, _query, _body):
        self.shown(number)
        job = self.jobs[number]
        if job["script"]:
            job["state"], job["progress"] = job["script"].pop(0)
        if job["state"] == "succeeded":
            job.update(details=AMI, ami=AMI, ended=CREATED + 20)
        elif job["state"] == "failed" and not job["ended"]:
            job.update(details="the role cannot be assumed", ended=CREATED + 5)
        return self.shown(number)

    def kill(self, number, _query, _body):
        self.shown(number)
        if self.jobs[number]["state"] not in ("succeeded", "failed"):
            self.jobs[number].update(state="failed", details="killed", ended=CREATED + 9, script=[])
        return self.shown(number)

    def retry(self, number, query, _body):
        self.shown(number)
        return self.create(query, self.jobs[number]["upload"])

    def delete_image(self, number, _query, _body):
        job = self.shown(number)
        if job["state"] != "succeeded":
            raise problem(409, f"job {number} is {job['state']}: only a job that has succeeded has an image")
        self.jobs[number]["image_deleted"] = DELETED
        return self.shown(number)

    def push(self, number, _query, _body):
        job = self.pushed_job(number)
        return {
            "size": job["size"],
            "part_size": self.part_size,
            "parts": -(-job["size"] // self.part_size),
            "missing": self.missing_parts(job),
            "done": job["pushed"] is not None,
        }

    def pushed_job(self, number):
        self.shown(number)
        job = self.jobs[number]
        if job["state"] in ("succeeded", "failed"):
            raise problem(409, f"job {number} takes no file any more: it has {job['state']}: {job['details']}")
        return job

    def missing_parts(self, job):
        return [part for part in range(1, -(-job["size"] // self.part_size) + 1) if part not in job["parts"]]

    def part_urls(self, number, _query, body):
        job = self.pushed_job(number)
        if job["pushed"] is not None:
            raise pushed_already(number)
        self.sent.append(body["sent"])
        parts = [
            {
                "number": part,
                "size": min(self.part_size, job["size"] - (part - 1) * self.part_size),
                "url": f"{self.url}/s3/{number}/{part}?signature={len(self.sent)}",
            }
            for part in body["numbers"]
        ]
        return {"parts": parts, "expires_in": 3600}

    def put_part(self, method, path, query, headers, body):
        """S3's answer. `s3_answers` has what comes of each of the next requests: a status, 0 for a connection that breaks,
        or a function that gives the status."""
        status = self.s3_answers.pop(0) if self.s3_answers else 200
        if callable(status):
            status = status()
        if status != 200:
            self.refused_urls.append(f"{path}?signature={query['signature']}")
        if status == 0:
            raise ConnectionResetError
        if status != 200:
            raise Refusal(status, b"<Error/>", "application/xml")
        number, part = map(int, path.split("/")[2:])
        job = self.jobs[number]
        length = min(self.part_size, job["size"] - (part - 1) * self.part_size)
        if job["pushed"] is not None or job["state"] == "failed":
            raise Refusal(404, b"<Error><Code>NoSuchUpload</Code></Error>", "application/xml")
        if method != "PUT" or len(body) != length or "Authorization" in headers or not query["signature"]:
            raise Refusal(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", "application/xml")
        job["parts"][part] = body
        return 200, b""

    def push_done(self, number, _query, body):
        job = self.pushed_job(number)
        if self.missing_parts(job):
            raise problem(409, "1 parts of the file are missing")
        file = b"".join(job["parts"][part] for part in sorted(job["parts"]))
        is_same = base64.b64decode(body["crc32"]) == zlib.crc32(file).to_bytes(4, "big")
        if not is_same and job["pushed"] is not None:
            raise pushed_already(number)
        if not is_same:
            raise AssertionError("the client has computed another CRC32")
        job["pushed"] = file
        return self.shown(number)

    def log(self, number, query, _body):
        """The log grows with each look at its job."""
        self.shown(number)
        job = self.jobs[number]
        lines = self.logs.get(number, "Größe 1\n" * (1 + len(self.script) - len(job["script"]))).encode()
        start = int(query["start"])
        if start > len(lines):
            raise problem(400, f"start out of range: {start}")
        return lines[start : int(query["end"])]


def pushed_already(number):
    detail = f"the file of job {number} was pushed already, and cannot be changed: create another job"
    return problem(409, detail)


def problem(status, detail):
    return Refusal(
        status,
        {"status": status, "title": http.HTTPStatus(status).phrase, "detail": detail},
        "application/problem+json",
    )
