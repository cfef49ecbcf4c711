"""What the tests share: one emulator, clients of it, and accounts with something in them."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import http.client
import io
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

LAUNCHER = Path(__file__).parents[1]

IMPORT_SECONDS = 1.5

PATIENCE = 30
"""Seconds, for what takes one or two; what must not be waited for takes sixty."""

TRIES = 20
"""How often a test tries to meet a phase of an import, of which a busy machine may miss one or the other."""

REGION = "us-east-1"
USER, STRANGER = "111122223333", "444455556666"
"""Accounts; an account's number as access key is its root (README.md)."""

MIB = 1 << 20

T = TypeVar("T")


def take_port(start: int) -> tuple[int, IO[str]]:
    """A port that nobody listens on. It is the caller's, among all runs of these tests, as long as the lock is open."""
    for port in range(start, start + 100):
        lock = Path(tempfile.gettempdir(), f"emulator-test-{port}.lock").open("w")
        with socket.socket() as probe, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if probe.connect_ex(("127.0.0.1", port)):
                return port, lock
        lock.close()
    raise RuntimeError(f"no free port from {start} on")


class Emulator:
    """An emulator with ports and a folder of its own, once it is started."""

    port: int
    api_port: int
    functions_socket: socket.socket
    """Where functions look for AWS. Nobody answers there, but in the test that does."""
    data: Path
    """What the tests may use; the emulator's own folder is `data / "data"`."""

    def start(self) -> None:
        self.port, self.port_lock = take_port(4700)
        self.api_port, self.api_port_lock = take_port(4800)
        self.functions_socket = socket.create_server(("127.0.0.1", 0))
        self.folder = tempfile.TemporaryDirectory(prefix="emulator-test-")
        self.data = Path(self.folder.name)
        self.log = (self.data / "emulator.log").open("w")
        command = [sys.executable, str(LAUNCHER), "--port", str(self.port), "--api-port", str(self.api_port)]
        command += ["--data", str(self.data / "data"), "--import-seconds", str(IMPORT_SECONDS)]
        command += ["--functions-endpoint", f"http://127.0.0.1:{self.functions_port()}"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, start_new_session=True)
        deadline = time.monotonic() + PATIENCE
        while not (listens(self.port) and listens(self.api_port)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = f"the emulator did not start.\n{self.tail()}"
                self.clean_up()
                raise RuntimeError(text)
            time.sleep(0.05)

    def functions_port(self) -> int:
        return self.functions_socket.getsockname()[1]

    def stop(self) -> None:
        """Ends the emulator. It is an error if it does not end by itself when it is told to."""
        try:
            self.process.terminate()
            if (code := self.process.wait(PATIENCE)) != 0:
                raise RuntimeError(f"the emulator ended with {code}.\n{self.tail()}")
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR1)  # its threads' stacks, into the log
            time.sleep(1)
            raise RuntimeError(f"the emulator does not end on SIGTERM.\n{self.tail()}") from None
        finally:
            self.clean_up()

    def clean_up(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for held in (self.log, self.functions_socket, self.port_lock, self.api_port_lock):
            held.close()
        self.folder.cleanup()

    def tail(self) -> str:
        text = Path(self.log.name).read_text(errors="replace").splitlines()
        return "\n".join(["The end of its log:", *(f"    {line}" for line in text[-60:])])

    def settings(self, account: str, method: str = "PUT", **settings: Any) -> tuple[int, dict[str, Any]]:
        """Replaces what tests ask for an account (control.py), or shows it; the answer's status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, f"/_emulator/accounts/{account}", json.dumps(settings))
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        return answer.status, body

    def client(
        self,
        service: str,
        key: str = USER,
        secret: str = "x",
        token: str | None = None,
        region: str = REGION,
        port: int | None = None,
    ) -> BaseClient:
        options = Config(
            retries={"max_attempts": 1},
            s3={"addressing_style": "path"},
            # Without it, boto3 signs URLs with the version before.
            signature_version="s3v4" if service == "s3" else None,
            read_timeout=60,
            parameter_validation=False,
        )
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{port or self.port}",
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=options,
        )


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


emulator = Emulator()
"""The one of all tests but those of its end."""


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **each} for each in statements]})


def vmie(**condition: Any) -> str:
    return policy({"Principal": {"Service": "vmie.amazonaws.com"}, "Action": "sts:AssumeRole", **condition})


TRUST = vmie(Condition={"StringEquals": {"sts:Externalid": "vmimport"}})
READ = ["s3:GetBucketLocation", "s3:ListBucket", "s3:GetObject"]


def user(*statements: dict[str, Any], account: str = USER) -> dict[str, str]:
    """The credentials of a new IAM user with these statements, as arguments of `Emulator.client`."""
    iam, name = emulator.client("iam", account), f"user-{time.monotonic_ns()}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy(*statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def role(name: str, service: str, *statements: dict[str, Any], account: str = USER) -> str:
    """The ARN of a new role of a service (`lambda`, `states`)."""
    iam = emulator.client("iam", account)
    trust = policy({"Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(*statements))
    return arn


def function(name: str, role_arn: str, bootstrap: bytes, account: str = USER, **environment: str) -> str:
    """The ARN of a new function that is one executable."""
    return emulator.client("lambda", account).create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role=role_arn,
        Timeout=60,
        Environment={"Variables": environment},
        Code={"ZipFile": zipped(bootstrap)},
    )["FunctionArn"]


def zipped(bootstrap: bytes) -> bytes:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, bootstrap)
    return code.getvalue()


def noise(size: int) -> bytes:
    return os.urandom(size)


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.ec2, self.s3, self.iam = (emulator.client(service) for service in ("ec2", "s3", "iam"))

    def with_settings(self, account: str = USER, **settings: Any) -> None:
        """Asks for something in an account, until the test ends."""
        self.assertEqual(emulator.settings(account, **settings)[0], 200)
        self.addCleanup(emulator.settings, account)

    def refused(self, code: str, call: Any, text: str = "", status: int | None = None, **arguments: Any) -> None:
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        error = caught.exception.response
        self.assertEqual(error["Error"]["Code"], code, error)
        self.assertIn(text, error["Error"]["Message"])
        if status:
            self.assertEqual(error["ResponseMetadata"]["HTTPStatusCode"], status)


class ImportCase(Case):
    """With a bucket and a service role in the user's account."""

    BUCKET, ROLE = "import-bucket", "importer"

    @classmethod
    def setUpClass(cls) -> None:
        s3, iam = emulator.client("s3"), emulator.client("iam")
        s3.create_bucket(Bucket=cls.BUCKET)
        iam.create_role(RoleName=cls.ROLE, AssumeRolePolicyDocument=TRUST)
        iam.put_role_policy(RoleName=cls.ROLE, PolicyName="read", PolicyDocument=cls.reading())

    @classmethod
    def reading(cls, actions: list[str] = READ) -> str:
        bucket = f"arn:aws:s3:::{cls.BUCKET}"
        return policy({"Action": actions, "Resource": [bucket, f"{bucket}/*"]})

    def put(self, body: bytes, key: str | None = None) -> str:
        key = key or f"disk-{time.monotonic_ns()}.raw"
        self.s3.put_object(Bucket=self.BUCKET, Key=key, Body=body)
        return key

    def arguments(self, key: str, **changes: Any) -> dict[str, Any]:
        source = {"S3Bucket": self.BUCKET, "S3Key": key}
        return {"RoleName": self.ROLE, "DiskContainer": {"Format": "RAW", "UserBucket": source}, **changes}

    def start(self, key: str, **changes: Any) -> str:
        return self.ec2.import_snapshot(**self.arguments(key, **changes))["ImportTaskId"]

    def detail(self, task: str) -> dict[str, Any]:
        found = self.ec2.describe_import_snapshot_tasks(ImportTaskIds=[task])
        return found["ImportSnapshotTasks"][0]["SnapshotTaskDetail"]

    def finish(self, task: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            detail = self.detail(task)
            if detail["Status"] in ("completed", "deleted"):
                return detail
            time.sleep(0.05)
        self.fail(f"{task} does not end: {detail}")

    def meet(self, key: str, look: Callable[[str], T | None], **changes: Any) -> T:
        """What `look` finds in a task that imports `key`; with another task where it came too late."""
        for _ in range(TRIES):
            if (found := look(self.start(key, **changes))) is not None:
                return found
        self.fail(f"not met in {TRIES} imports")

    def snapshot(self, body: bytes = b"x" * 512) -> str:
        return self.finish(self.start(self.put(body)))["SnapshotId"]

    def bytes_of(self, snapshot: str) -> Path:
        return emulator.data / "data/snapshots" / USER / REGION / f"{snapshot}.raw"


BLOCK = 512 << 10


def checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def block_arguments(snapshot: str, index: int, data: bytes, **changes: Any) -> dict[str, Any]:
    sums = {"Checksum": checksum(data), "ChecksumAlgorithm": "SHA256"}
    return {
        "SnapshotId": snapshot,
        "BlockIndex": index,
        "BlockData": data,
        "DataLength": len(data),
        **sums,
        **changes,
    }


class EbsCase(Case):
    """With what writes a snapshot by EBS direct, in an account of the test's own, so that its quotas are too."""

    def setUp(self) -> None:
        super().setUp()
        self.account = str(100_000_000_000 + time.monotonic_ns() % 10**11)
        self.ebs, self.ec2 = emulator.client("ebs", self.account), emulator.client("ec2", self.account)

    def start(self, **arguments: Any) -> str:
        return self.ebs.start_snapshot(**{"VolumeSize": 1, **arguments})["SnapshotId"]

    def put(self, snapshot: str, index: int, data: bytes) -> None:
        self.ebs.put_snapshot_block(**block_arguments(snapshot, index, data))

    def state(self, snapshot: str, account: str | None = None) -> dict[str, Any]:
        ec2 = emulator.client("ec2", account or self.account)
        return ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]

    def until_final(self, snapshot: str, account: str | None = None) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if (found := self.state(snapshot, account))["State"] != "pending":
                return found
            time.sleep(0.05)
        self.fail(f"{snapshot} stays pending")

    def written(self, written: dict[int, bytes], **arguments: Any) -> str:
        """A completed snapshot with these blocks."""
        snapshot = self.start(**arguments)
        for index, data in written.items():
            self.put(snapshot, index, data)
        self.ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=len(written))
        self.assertEqual(self.until_final(snapshot)["State"], "completed")
        return snapshot

    def listed(self, snapshot: str) -> dict[int, str]:
        """The block tokens by index."""
        found = self.ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
        return {block["BlockIndex"]: block["BlockToken"] for block in found}

    def disk(self, snapshot: str, account: str | None = None) -> mmap.mmap:
        """What ami-to-file makes of an AMI of a snapshot."""
        account = account or self.account
        arguments = image_arguments(f"disk-{time.monotonic_ns()}", snapshot)
        image = emulator.client("ec2", account).register_image(**arguments)["ImageId"]
        target = emulator.data / f"{image}.raw"
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{emulator.port}",
            "USER_ACCOUNT": account,
            "USER_REGION": REGION,
            "EMULATOR_DATA": str(emulator.data / "data"),
        }
        command = [sys.executable, str(LAUNCHER / "ami_to_file.py"), image, str(target)]
        subprocess.run(command, env=environment, check=True)
        with target.open("rb") as file:
            disk = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        target.unlink()
        self.addCleanup(disk.close)
        return disk


def image_arguments(name: str, snapshot: str, **changes: Any) -> dict[str, Any]:
    disk = {
        "DeviceName": "/dev/xvda",
        "Ebs": {"SnapshotId": snapshot, "VolumeType": "gp3", "DeleteOnTermination": True},
    }
    return {
        "Name": name,
        "Architecture": "x86_64",
        "VirtualizationType": "hvm",
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMappings": [disk],
        **changes,
    }
