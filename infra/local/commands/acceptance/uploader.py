"""A client of the uploader that was deployed."""

import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

from common import uploads
from common.failure import Failure
from common.loopback import without_secret

REQUEST_TIMEOUT = 60
BREAK_PAUSE = 1
TRIES = 5
"""For what breaks on the way: the gateway answers 503 now and then while functions start."""


class Answer(Exception):
    """An answer that is an error."""

    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body}")
        self.status, self.body = status, body


def request(url, data=None, method=None):
    """The body of the answer, by the proxy that the environment names, if any."""
    url, headers = without_secret(url)
    call = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(call, timeout=REQUEST_TIMEOUT, context=ssl.create_default_context()) as answer:
            return answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        raise Answer(error.code, error.read().decode(errors="replace")) from error


class Uploader:
    """`url` has name and secret of the caller. `guard` counts the requests. `stop` ends every wait for a job."""

    def __init__(self, url, guard, target, stop):
        self.url, self.guard, self.stop = url.rstrip("/"), guard, stop
        self.end_seconds, self.pause_seconds = target.end_seconds, target.pause_seconds

    def pause(self):
        if self.stop.wait(self.pause_seconds):
            raise Failure("the run was ended")

    def call(self, path, data=None):
        for left in reversed(range(TRIES)):
            self.guard.spend("requests of the API", 1)
            try:
                return request(f"{self.url}/cloudupload{path}", data)
            except Answer as answer:
                if answer.status < 500 or not left:
                    raise
            except (urllib.error.URLError, TimeoutError):
                if not left:
                    raise
            time.sleep(BREAK_PAUSE)
        raise AssertionError("the last try answers or raises")

    def create(self, build, file, user, wishes):
        query = urllib.parse.urlencode({**build, "filename": file, "user": user, "target": "ec2"})
        xml = self.call(f"?{query}", json.dumps(wishes).encode())
        return Job(self, uploads.job_number(xml))


class Job:
    """An upload."""

    def __init__(self, uploader, number):
        self.uploader, self.number = uploader, number
        self.began = time.monotonic()

    def status(self):
        return uploads.job_fields(self.uploader.call(f"/{self.number}"))

    def log(self):
        return self.uploader.call(f"/{self.number}/_log?nostream=1&start=0")

    def kill(self):
        return uploads.job_fields(self.uploader.call(f"/{self.number}?cmd=kill", b""))

    def wait_until(self, reached, what):
        """Until `reached(status)`; the job must not end before."""
        deadline = time.monotonic() + self.uploader.end_seconds
        while not reached(status := self.status()):
            if status["state"] in uploads.FINAL_STATES:
                raise Failure(f"job {self.number} ended before it was {what}: {status.get('details')}")
            if time.monotonic() > deadline:
                raise Failure(f"job {self.number} is not {what} within {self.uploader.end_seconds} s")
            self.uploader.pause()
        return status

    def wait_for_end(self):
        deadline = time.monotonic() + self.uploader.end_seconds
        while (status := self.status())["state"] not in uploads.FINAL_STATES:
            if time.monotonic() > deadline:
                raise Failure(f"job {self.number} is still {status['state']} after {self.uploader.end_seconds} s")
            self.uploader.pause()
        return status
