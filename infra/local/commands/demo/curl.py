"""HTTP by curl: the demo shows what anybody can type."""

from common.failure import Failure
from common.process import output
from demo.terminal import show


def curl(*arguments, shown=False):
    """The body of the answer; an answer that is an error ends the demo with OBS's own words."""
    if shown:
        show(["curl", "-sS", *arguments])
    answer = output("curl", "-sS", "-w", "\n%{http_code}", *arguments)
    body, _, status = answer.rpartition("\n")
    if not status.startswith("2"):
        raise Failure(f"HTTP {status}:\n{body}")
    return body
