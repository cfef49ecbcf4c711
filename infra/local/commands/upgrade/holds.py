"""Calls of functions that wait in the fault proxy (tests/src/proxy.rs), so that a job stays in its step."""

import json

from common.loopback import fetch


class Hold:
    """Holds the next such call, until it is released or its caller is gone."""

    def __init__(self, env, function, call):
        self.rules = f"{env['FAULTS_URL']}/_faults/rules"
        rule = {"function": function, "call": call, "times": 1, "fault": "hold"}
        self.id = json.loads(fetch(self.rules, json.dumps(rule).encode()))["rule"]

    def holds(self):
        return json.loads(fetch(f"{self.rules}/{self.id}"))["holding"]

    def release(self):
        fetch(f"{self.rules}/{self.id}/release", b"")
