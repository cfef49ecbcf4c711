"""HTTP as OBS speaks it: an answer with an error status is an answer."""

import base64
import gzip
import urllib.error
import urllib.parse
import urllib.request
from typing import NamedTuple

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
    parts = urllib.parse.urlsplit(env["CLOUDUPLOAD_URL"])
    credentials, _, host = parts.netloc.rpartition("@")
    encoded = base64.b64encode(urllib.parse.unquote_to_bytes(credentials)).decode()
    return f"{parts.scheme}://{host}", {"Authorization": f"Basic {encoded}"} if credentials else {}


def query(**parameters):
    """In alphabetical order, as the frontend sends it."""
    return urllib.parse.urlencode(sorted(parameters.items()))
