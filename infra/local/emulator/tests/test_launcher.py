"""The launcher itself."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness import LAUNCHER, emulator


class Launcher(unittest.TestCase):
    def test_another_ministack_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as fake:
            metadata = Path(fake) / "ministack-9.9.9.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ministack\nVersion: 9.9.9\n")
            ended = subprocess.run(
                [sys.executable, str(LAUNCHER), "--data", fake],
                env={"PYTHONPATH": fake},
                capture_output=True,
                text=True,
            )
        self.assertEqual(ended.returncode, 1)
        self.assertIn("ministack 1.5.33 is needed, found 9.9.9", ended.stderr)

    def test_only_loopback(self) -> None:
        listening = Path("/proc/net/tcp").read_text()
        for port in (emulator.port, emulator.api_port):
            addresses = {
                line.split()[1]
                for line in listening.splitlines()[1:]
                if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
            }
            self.assertEqual(addresses, {f"0100007F:{port:04X}"})
