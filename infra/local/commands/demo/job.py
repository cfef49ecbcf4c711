"""A job as its client sees it."""

import time

from common.failure import Failure
from common.uploads import FINAL_STATES, job_fields
from demo.curl import curl

JOB_TIMEOUT = 600
"""Seconds after which a job that has not ended is taken for stuck."""


class Job:
    """The status XML, and a log that grows."""

    def __init__(self, url):
        self.url = url
        self.log = ""
        self.seen = None
        self.fields = {}
        self.began = time.monotonic()
        # Seconds after which each state was seen first.
        self.states = {}

    def look(self):
        """Fetches the status and what the log has more, and prints both where they moved."""
        self.fields = job_fields(curl(self.url))
        progress = f", {self.fields['progress']} %" if "progress" in self.fields else ""
        now = f"{self.fields['state']}{progress}"
        self.states.setdefault(self.fields["state"], time.monotonic() - self.began)
        if now != self.seen:
            print(f"  state  {now}", flush=True)
            self.seen = now
        more = curl(f"{self.url}/_log?nostream=1&start={len(self.log.encode())}")
        self.log += more
        for line in more.splitlines():
            print(f"  log    {line}", flush=True)
        return self.fields["state"]

    def follow(self):
        deadline = time.monotonic() + JOB_TIMEOUT
        while self.look() not in FINAL_STATES:
            if time.monotonic() > deadline:
                raise Failure(f"the job has not ended within {JOB_TIMEOUT} s")
            time.sleep(0.5)
        self.look()  # the last lines of the log
