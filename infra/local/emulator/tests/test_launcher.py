"""The launcher itself, and the emulator's end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from botocore.exceptions import BotoCoreError
from harness import LAUNCHER, PATIENCE, Emulator, emulator, take_port, zipped
from workflows import BOOTSTRAP


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

    def test_a_taken_port(self) -> None:
        port, lock = take_port(4700)
        with lock, tempfile.TemporaryDirectory() as data:
            command = [sys.executable, str(LAUNCHER), "--port", str(port), "--api-port", str(emulator.api_port)]
            ended = subprocess.run([*command, "--data", data], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.assertIn(f"emulator: 127.0.0.1, ports {port} and {emulator.api_port}: ", ended.stderr)
        self.assertNotIn("Traceback", ended.stderr)


class End(unittest.TestCase):
    def test_nothing_holds_it_up(self) -> None:
        """Not a function, not a call that waits for it, not an execution."""
        other = Emulator()
        other.start()
        try:
            trust = '{"Version": "2012-10-17", "Statement": []}'
            role = other.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
            functions, states = other.client("lambda"), other.client("stepfunctions")
            notes = other.data / "notes"
            notes.mkdir()
            functions.create_function(
                FunctionName="slow",
                Runtime="provided.al2023",
                Handler="bootstrap",
                Role=role,
                Timeout=120,
                Environment={"Variables": {"NOTES": str(notes)}},
                Code={"ZipFile": zipped(BOOTSTRAP)},
            )

            def call() -> None:
                with self.assertRaises(BotoCoreError):
                    functions.invoke(FunctionName="slow", Payload=b'{"sleep": 100}')

            calling = threading.Thread(target=call)
            calling.start()
            item = """{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 100, "End": true}}}"""
            state = f"""{{"Type": "Map", "ItemsPath": "$", "ItemProcessor": {item}, "End": true}}"""
            definition = f"""{{"StartAt": "Each", "States": {{"Each": {state}}}}}"""
            machine = states.create_state_machine(name="slow", definition=definition, roleArn=role)["stateMachineArn"]
            states.start_execution(stateMachineArn=machine, input="[1, 2]")
            deadline = time.monotonic() + PATIENCE
            while not list(notes.glob("*.json")):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            children = children_of(other.process.pid)
            self.assertTrue(children)
            other.process.terminate()
            self.assertEqual(other.process.wait(PATIENCE), 0)
            while any(map(lives, children)):
                self.assertLess(time.monotonic(), deadline + PATIENCE)
                time.sleep(0.05)
            calling.join()
        finally:
            other.clean_up()


def children_of(pid: int) -> list[str]:
    return [child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


def lives(pid: str) -> bool:
    try:
        # The name in the second field may hold blanks and brackets (proc(5)).
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
