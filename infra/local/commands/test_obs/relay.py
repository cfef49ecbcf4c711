"""The relay, beside a source server that takes it for its cloud upload server."""

import json
import os
import signal
import urllib.parse

from common.paths import TARGET
from stack.services import Service, end
from test_obs.ports import url


class Relay:
    def __init__(self, folder, env, ports):
        self.folder, self.home, self.port = folder, folder / "relay", ports.relay
        given = urllib.parse.urlsplit(env["CLOUDUPLOAD_URL"])
        self.secret = urllib.parse.unquote(given.password)
        self.url = url(self.port)
        self.settings = {
            "RELAY_LISTEN": f"127.0.0.1:{self.port}",
            "RELAY_API": url(ports.api),
            "RELAY_CALLER": given.username,
            "RELAY_SECRET_FILE": self.home / "secret",
            "STATE_DIRECTORY": self.home / "state",
        }

    def up(self):
        self.home.mkdir(exist_ok=True)
        (self.home / "secret").write_text(f"{self.secret}\n")
        words = [f"{name}={value}" for name, value in self.settings.items()]
        command = ["env", *words, TARGET / "quick" / "obs-cloudupload-relay"]
        Service(self.folder, "relay", command, [], {"--port": self.port}).up()

    def down(self):
        end(self.folder / "relay.pid")

    def kill(self):
        """Ends it as a crash of the machine does."""
        os.kill(json.loads((self.folder / "relay.pid").read_text())["pid"], signal.SIGKILL)
        self.down()
