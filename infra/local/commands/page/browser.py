"""Chromium without a window, which notes whatever a page must not do."""

import os
from pathlib import Path

from playwright.sync_api import sync_playwright

from common.failure import Failure
from needs.probes import chromium

DESKTOP = {"width": 1100, "height": 800}
PHONE = {"width": 360, "height": 740}

LISTENER = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`violation: ${event.violatedDirective} by ${event.blockedURI} ${event.sample}`));
"""

UNEXPECTED = ("error", "warning")
"""Kinds of messages on the console that no page should cause."""

EXPECTED = "Failed to load resource: the server responded with a status of"
"""Chromium's words for an answer that is an error, which tests cause on purpose."""


class Browser:
    """A browser, to be used with `with`."""

    def __enter__(self):
        program = chromium()
        if program is None:
            raise Failure("there is no Chromium on this machine: make needs tells how to install it")
        self.playwright = sync_playwright().start()
        self.chromium = self.playwright.chromium.launch(executable_path=program)
        return self

    def __exit__(self, *_):
        self.chromium.close()
        self.playwright.stop()

    def visit(self, url, viewport=DESKTOP, **settings):
        """A tab of its own session at that address."""
        return Visit(self.chromium, url, {"viewport": viewport, "locale": "en-GB", "timezone_id": "UTC", **settings})


class Visit:
    """A tab, and what it did wrong."""

    def __init__(self, chromium, url, settings):
        self.url, self.offences = url, []
        self.context = chromium.new_context(**settings)
        self.context.set_default_timeout(5_000)
        self.context.on("request", self.note_request)
        self.page = self.context.new_page()
        self.page.add_init_script(LISTENER)
        self.page.on("console", self.note_message)
        self.page.on("pageerror", lambda error: self.offences.append(f"script: {error}"))

    def note_request(self, request):
        if not request.url.startswith(self.url):
            self.offences.append(f"request to {request.url}")

    def note_message(self, message):
        if message.type in UNEXPECTED and not message.text.startswith(EXPECTED):
            self.offences.append(f"{message.type}: {message.text}")

    def axe(self, source):
        """What axe-core finds, as lines."""
        # Not by a script element, which the page's policy refuses.
        self.page.evaluate(f"{source}; 0")
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{violation['id']}: {node['html']}: {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    def close(self):
        self.context.close()


def axe_source():
    """The program of axe-core, which infra/local/package.json names."""
    return Path(os.environ["AXE"]).read_text()
