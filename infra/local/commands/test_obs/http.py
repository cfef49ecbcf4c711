"""HTTP as OBS speaks it: an answer with an error status is an answer."""

import gzip
import urllib.error
import urllib.parse
import urllib.request
from typing import NamedTuple

from common.loopback import without_secret

TIMEOUT = 60


class Answer(NamedTuple):
    status: int
    headers: object
    text: str


def ask(method, url, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        answer = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        data = answer.read()
        if answer.headers["Content-Encoding"] == "gzip":
            data = gzip.decompress(data)
        return Answer(answer.status, answer.headers, data.decode())


def target(env):
    """The stack's own URL, and the header with what stands before its @."""
    return without_secret(env["CLOUDUPLOAD_URL"])


def query(**parameters):
    """In alphabetical order, as the frontend sends it."""
    return urllib.parse.urlencode(sorted(parameters.items()))
