"""HTTP on this machine, past any proxy that the environment names."""

import os
import urllib.error
import urllib.request

from common.failure import Failure

REQUEST_TIMEOUT = 60


def fetch(url, data=None, headers=None):
    """The body of the answer. A request with data is a POST."""
    request = urllib.request.Request(url, data, headers or {})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=REQUEST_TIMEOUT
        ) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise Failure(f"HTTP {error.code} from {url}:\n{error.read().decode(errors='replace')}") from error
    except OSError as error:
        raise Failure(f"no answer from {url}: {error}") from error


def no_proxy():
    """NO_PROXY with this machine added to what the environment says."""
    others = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return ",".join(dict.fromkeys(["127.0.0.1", "localhost", *filter(None, others.split(","))]))
