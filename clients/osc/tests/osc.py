"""The real osc, run as its users run it."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

OSC = Path(sys.executable).with_name("osc")
TIMEOUT = 60

ON_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # getpass opens /dev/tty
os.execv(sys.argv[1], sys.argv[1:])
"""


IMPATIENT = """\
import sys
from osc import babysitter
from osc_cloudupload import api, retries
api.PAUSES, retries.PAUSES = {pauses}[:1], {pauses}
retries.SILENCE = {silence}
sys.exit(babysitter.main())
"""


class Home:
    """A home directory with an oscrc for one OBS."""

    def __init__(self, folder, obs_url, user, password):
        self.folder = Path(folder)
        self.oscrc = self.folder / "oscrc"
        self.oscrc.write_text(
            f"[general]\napiurl = {obs_url}\n\n# a comment\n[{obs_url}]\n"
            f"user = {user}\npass = {password}\nallow_http = 1\n"
        )
        self.oscrc.chmod(0o600)
        kept = ("PATH", "LANG", "COVERAGE_PROCESS_START")
        self.env = {name: os.environ[name] for name in kept if name in os.environ}
        self.env |= {
            "HOME": str(self.folder),
            "OSC_CONFIG": str(self.oscrc),
            "PYTHONIOENCODING": "utf-8",
            "TERM": "xterm",
        }

    def osc(self, *words, cwd=None, env=None, **options):
        """Runs `osc cloudupload …` without a terminal."""
        return subprocess.run(
            [OSC, "cloudupload", *map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=cwd or self.folder,
            env={**self.env, **(env or {})},
            timeout=TIMEOUT,
            **options,
        )

    def start(self, *words, pauses=(0.1, 0.2, 0.3), silence=1):
        """Starts `osc cloudupload …` without a terminal, with these PAUSES and this SILENCE of a push."""
        return subprocess.Popen(
            [sys.executable, "-c", IMPATIENT.format(pauses=pauses, silence=silence), "cloudupload", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.env,
        )

    def osc_on_terminal(self, *words, answers=(), cwd=None):
        """Runs it on a terminal, where `answers` are pairs of a question's end and what is typed then.

        Returns its exit code and all that the terminal showed.
        """
        terminal, its_end = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, OSC, "cloudupload", *map(str, words)],
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
            cwd=cwd or self.folder,
            env=self.env,
            start_new_session=True,
        )
        os.close(its_end)
        shown, asked, answers = "", 0, list(answers)
        deadline = time.monotonic() + TIMEOUT
        while True:
            if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
                process.kill()
                process.wait()
                raise AssertionError(f"osc waits for an answer:\n{shown}")
            try:
                shown += os.read(terminal, 4096).decode()
            except OSError:  # the other end is closed
                break
            if answers and re.search(answers[0][0], shown[asked:]):
                asked = len(shown)
                os.write(terminal, f"{answers.pop(0)[1]}\n".encode())
        os.close(terminal)
        code = process.wait()
        assert not answers, f"osc did not ask for {answers}:\n{shown}"
        return code, shown.replace("\r\n", "\n")
