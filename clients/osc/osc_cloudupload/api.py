"""The calls of the cloud uploader that a user with a token makes: the paths below /v1 of docs/openapi.yaml."""

import copy
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request

from . import __version__
from .failure import Failure

TIMEOUT = 60
"""Seconds without a byte. A request for more of a log waits 20 s for it, one that works in AWS up to 28 s."""

PAUSES = (1, 2, 4, 8)
"""Seconds before each further attempt of a request that may be sent again."""

TOO_MANY = 429

PASSING = (TOO_MANY, 500, 502, 503, 504)
"""Status codes that another attempt may not get."""

PAGE = 100
"""The most jobs that one answer has."""

LOG_PART = 2**20
"""The most bytes of a log to ask for at once. An answer of the service has less than 6 MB."""


class Refused(Failure):
    """An answer that is an error, in the service's own words."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


class Transient(Failure):
    """What another attempt may not get: no answer, or one with a status of PASSING."""

    def __init__(self, sentence, may_be_done):
        """`may_be_done` says whether the service may have done nevertheless what was requested."""
        super().__init__(sentence)
        self.may_be_done = may_be_done


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """The service redirects nowhere, and a token must not get to another host."""

    def redirect_request(self, *_):
        return None


class Api:
    """The service at an address, called with a token."""

    def __init__(self, service):
        self._service = service
        self._opener = urllib.request.build_opener(NoRedirects)
        self._pauses = PAUSES

    def with_pauses(self, pauses):
        """The same service, with these pauses before further attempts of a request."""
        api = copy.copy(self)
        api._pauses = pauses
        return api

    def me(self):
        return self._json("GET", "/v1/me")

    def role(self):
        return self._json("GET", "/v1/me/role")

    def connect_role(self, arn, region):
        return self._json("PUT", "/v1/me/role", {"arn": arn, "region": region})

    def create_job(self, upload):
        hint = ", and 'osc cloudupload push JOB' goes on with it" if "push" in upload else ""
        return self._new_job("/v1/jobs", upload, hint)

    def jobs(self, limit):
        """The user's newest jobs, the newest first."""
        jobs, before = [], None
        while len(jobs) < limit:
            query = {"limit": min(limit - len(jobs), PAGE), **({"before": before} if before else {})}
            page = self._json("GET", f"/v1/jobs?{urllib.parse.urlencode(query)}")
            jobs += page["jobs"]
            before = page["next"]
            if before is None:
                break
        return jobs

    def job(self, number):
        return self._json("GET", f"/v1/jobs/{number}")

    def retry(self, number):
        return self._new_job(f"/v1/jobs/{number}/retry")

    def delete_image(self, number):
        return self._json("DELETE", f"/v1/jobs/{number}/image")

    def push(self, number):
        """How far the push of a job's file is."""
        return self._json("GET", f"/v1/jobs/{number}/push")

    def part_urls(self, number, parts, sent):
        """The URLs of parts, by number. `sent` bytes of the file were put so far. One attempt: who puts a part makes more."""
        body = {"numbers": parts, "sent": sent}
        answer = self._json("POST", f"/v1/jobs/{number}/push/parts", body)
        return {part["number"]: part["url"] for part in answer["parts"]}

    def push_done(self, number, crc32):
        return self._json("POST", f"/v1/jobs/{number}/push/done", {"crc32": crc32}, is_safe=True)

    def kill(self, number):
        return self._json("POST", f"/v1/jobs/{number}/kill")

    def log(self, number, start, follow):
        """Bytes of a log from `start` on; none at its end. With `follow`, the service waits for more there."""
        query = urllib.parse.urlencode({"start": start, "end": start + LOG_PART, "follow": int(follow)})
        return self._bytes("GET", f"/v1/jobs/{number}/log?{query}")

    def _new_job(self, path, body=None, hint=""):
        """Makes a job. If the answer gets lost, the request is not sent again: there might be two jobs then."""
        try:
            return self._json("POST", path, body)
        except Transient as failure:
            if not failure.may_be_done:
                raise
            seen = f"see 'osc cloudupload list'{hint}"
            raise Failure(f"{failure}. The job may have been made nevertheless: {seen}") from None

    def _json(self, method, path, body=None, is_safe=None):
        answer = self._bytes(method, path, body, is_safe)
        try:
            return json.loads(answer)
        except ValueError:
            raise Failure(f"{self._service.url} is no cloud uploader: its answer is not JSON") from None

    def _bytes(self, method, path, body=None, is_safe=None):
        """`is_safe` says whether the request may be sent again; if not given, those may that change nothing."""
        is_safe = method == "GET" if is_safe is None else is_safe
        pauses = iter(self._pauses if is_safe else ())
        while True:
            try:
                return self._send(method, path, body)
            except Transient:
                pause = next(pauses, None)
                if pause is None:
                    raise
                time.sleep(pause)

    def _send(self, method, path, body):
        headers = {
            "Authorization": f"Bearer {self._service.token}",
            "Accept": "application/json, text/plain",
            "User-Agent": f"osc-cloudupload/{__version__}",
        }
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(self._service.url + path, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            with error:
                sentence = self._sentence(error)
            if error.code in PASSING:
                raise Transient(sentence, may_be_done=error.code != TOO_MANY) from None
            raise Refused(error.code, sentence) from None
        except urllib.error.URLError as error:  # before the request was sent wholly
            raise Transient(f"{self._service.url} cannot be reached: {error.reason}", may_be_done=False) from None
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"{self._service.url} gave no answer: {error}", may_be_done=True) from None

    def _sentence(self, error):
        """What the service says of an error (RFC 9457), or API Gateway before it."""
        try:
            said = json.load(error)
            return said.get("detail") or said["message"]
        except (ValueError, KeyError, AttributeError, OSError, http.client.HTTPException):
            return f"{self._service.url} answered {error.code} {error.reason}"
