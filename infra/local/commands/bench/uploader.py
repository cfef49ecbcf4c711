"""A stand-in for the cloud uploader, for those who push: docs/openapi.yaml, below `/v1/jobs/{job}`."""

import json
import re

from bench.standins import Loopback
from common.failure import Failure
from common.units import MIB

MOST_PARTS, USUAL_PART = 10_000, 8 * MIB
"""How the service divides a file: `Parts::of` in functions/cloudupload/src/multipart.rs."""

CREATED = 1795445844


class Uploader:
    """Jobs whose files go to a sink. It takes a file as complete if the sink has what the client says."""

    def __init__(self, sink):
        self.sink, self.jobs = sink, {}
        self.server = Loopback(self.answer)
        self.url = f"http://{self.server.address}"

    def add(self, size):
        """Makes a job for a file of so many bytes. Returns its number."""
        number = len(self.jobs) + 1
        self.jobs[number] = PushJob(number, size)
        return number

    def uploads(self):
        """The names of all uploads to the sink, the newest last."""
        return [job.upload for job in self.jobs.values()]

    def received(self, number):
        """What the sink has of a job whose client has said that all is there."""
        job = self.jobs[number]
        if job.state != "scheduled":
            raise Failure(f"job {number} is {job.state}: {job.details}")
        return self.sink.received(job.upload)

    def answer(self, method, path, _headers, body):
        asked = re.fullmatch(r"/v1/jobs/(\d+)(/push(?:/parts|/done|/abort)?)?", path)
        job = self.jobs.get(int(asked[1])) if asked else None
        if job is None:
            return problem(404, "no such job")
        body = json.loads(body) if body else {}
        match method, asked[2]:
            case "GET", None:
                return found(job.shown())
            case "GET", "/push":
                return found(job.push())
            case "POST", "/push/parts":
                return found(job.part_urls(self.sink, body["numbers"]))
            case "POST", "/push/done":
                return job.done(self.sink, body["crc32"])
            case "POST", "/push/abort":
                job.state, job.details = "failed", body["reason"]
                return found(job.shown())
        return problem(405, f"{method} is not allowed here")


class PushJob:
    """The job of a local image."""

    def __init__(self, number, size):
        self.number, self.size, self.upload = number, size, f"job-{number}"
        self.part_size = max(-(-size // MOST_PARTS // MIB) * MIB, USUAL_PART)
        self.parts = -(-size // self.part_size)
        self.state, self.details = "receiving", ""

    def shown(self):
        """As a user sees it."""
        subject = {"project": "local", "repository": "local", "arch": "x86_64", "package": "image", "filename": "image.raw"}
        target = {"region": "us-east-1", "ami_name": "image", "ami": None, "image_deleted": None}
        times = {"progress": None, "created": CREATED, "ended": None}
        state = {"state": self.state, "details": self.details}
        return {"id": self.number, "size": self.size, **state, **times, **subject, **target}

    def push(self):
        missing = list(range(1, self.parts + 1)) if self.state == "receiving" else []
        done = self.state == "scheduled"
        return {"size": self.size, "part_size": self.part_size, "parts": self.parts, "missing": missing, "done": done}

    def part_urls(self, sink, numbers):
        parts = [
            {
                "number": number,
                "size": min(self.part_size, self.size - (number - 1) * self.part_size),
                "url": sink.part_url(self.upload, number),
            }
            for number in numbers
        ]
        return {"parts": parts, "expires_in": 3600}

    def done(self, sink, crc32):
        received = sink.received(self.upload)
        if (received["size"], received["crc32"]) != (self.size, crc32):
            self.state, self.details = "failed", f"the sink has {received}, and the client says {crc32}"
            return problem(409, self.details)
        self.state = "scheduled"
        return found(self.shown())


def found(body):
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def problem(status, detail):
    body = {"status": status, "title": "refused", "detail": detail}
    return status, {"Content-Type": "application/problem+json"}, json.dumps(body).encode()
