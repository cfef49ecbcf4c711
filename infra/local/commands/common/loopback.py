"""HTTP on this machine, past any proxy that the environment names."""

import base64
import os
import urllib.error
import urllib.parse
import urllib.request

from common.failure import Failure

REQUEST_TIMEOUT = 60


def fetch(url, data=None, headers=None, method=None):
    """The body of the answer. Without a method, a request with data is a POST, and another a GET.

    What stands before an @ in the URL is sent as Basic authentication, as curl does it.
    """
    url, authorization = without_secret(url)
    request = urllib.request.Request(url, data, {**authorization, **(headers or {})}, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=REQUEST_TIMEOUT
        ) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise Failure(f"HTTP {error.code} from {url}:\n{error.read().decode(errors='replace')}") from error
    except OSError as error:
        raise Failure(f"no answer from {url}: {error}") from error


def without_secret(url):
    """The URL without user and password, and the header that sends them."""
    parts = urllib.parse.urlsplit(url)
    credentials, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    encoded = base64.b64encode(urllib.parse.unquote_to_bytes(credentials)).decode()
    return urllib.parse.urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {encoded}"}


def no_proxy():
    """NO_PROXY with this machine added to what the environment says."""
    others = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return ",".join(dict.fromkeys(["127.0.0.1", "localhost", *filter(None, others.split(","))]))
