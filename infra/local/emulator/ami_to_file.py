"""Writes the bytes of an AMI's root snapshot into a file, as a volume that is made of it would have them.

    infra/local/ami-to-file AMI FILE

The AMI is looked up by the EC2 API of the local stack, the bytes come from the emulator's folder, and EBS direct says
which blocks were written: of an encrypted snapshot, the others are noise (blocks.py). A snapshot of EBS direct is as
large as its volume, an imported one as its image. Settings come from the environment, else from target/local/env, which
`make up` writes: AWS_ENDPOINT_URL, USER_ACCOUNT, USER_REGION, and EMULATOR_DATA, the emulator's --data folder.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from pathlib import Path

import boto3
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

import blocks

CHECKOUT = Path(__file__).resolve().parents[3]
SETTINGS = ("AWS_ENDPOINT_URL", "USER_ACCOUNT", "USER_REGION", "EMULATOR_DATA")


def settings() -> dict[str, str]:
    file = CHECKOUT / "target/local/env"
    written = dict(re.findall(r"^(?:export )?(\w+)=(.*)$", file.read_text(), re.M)) if file.exists() else {}
    found = {name: "".join(shlex.split(value)) for name, value in written.items()} | dict(os.environ)
    if missing := [name for name in SETTINGS if not found.get(name)]:
        sys.exit(f"ami-to-file: not set: {', '.join(missing)}; they are in {file} while the stack is up (make up)")
    return {name: found[name] for name in SETTINGS}


def client(service: str, setting: dict[str, str]) -> BaseClient:
    # An account's root: the access key is the account's number (infra/local/emulator/README.md).
    return boto3.client(
        service,
        endpoint_url=setting["AWS_ENDPOINT_URL"],
        region_name=setting["USER_REGION"],
        aws_access_key_id=setting["USER_ACCOUNT"],
        aws_secret_access_key="root",
    )


def root_snapshot(image: str, setting: dict[str, str]) -> tuple[str, bool]:
    """The snapshot of an AMI's root device, and whether it is encrypted."""
    (found,) = client("ec2", setting).describe_images(ImageIds=[image])["Images"]
    for mapping in found["BlockDeviceMappings"]:
        ebs = mapping.get("Ebs", {})
        if mapping["DeviceName"] == found["RootDeviceName"] and "SnapshotId" in ebs:
            return ebs["SnapshotId"], ebs["Encrypted"]
    sys.exit(f"ami-to-file: {image} has no snapshot as its root device {found['RootDeviceName']}")


def written_blocks(snapshot: str, setting: dict[str, str]) -> set[int]:
    ebs, written, page = client("ebs", setting), set(), {}
    while True:
        answer = ebs.list_snapshot_blocks(SnapshotId=snapshot, **page)
        written.update(block["BlockIndex"] for block in answer["Blocks"])
        if not answer.get("NextToken"):
            return written
        page = {"NextToken": answer["NextToken"]}


def copy(snapshot: str, source: Path, target: Path, written: set[int] | None) -> None:
    """Copies a snapshot's file, with its holes; with noise where no block was written, if `written` says which were."""
    size = source.stat().st_size
    target.unlink(missing_ok=True)
    target.touch()
    for index in blocks.data_of(source):
        blocks.write(target, index, blocks.read(source, index))
    if written is not None:
        for index in range(-(-size // blocks.BLOCK)):
            if index not in written:
                blocks.write(target, index, blocks.noise(snapshot, index))
    os.truncate(target, size)


def main() -> None:
    parser = argparse.ArgumentParser(prog="ami-to-file", description="Writes the bytes of an AMI's root snapshot.")
    parser.add_argument("ami", metavar="AMI")
    parser.add_argument("file", metavar="FILE", type=Path)
    options = parser.parse_args()
    setting = settings()
    try:
        snapshot, encrypted = root_snapshot(options.ami, setting)
        written = written_blocks(snapshot, setting) if encrypted else None
    except (BotoCoreError, ClientError) as error:
        where = f"account {setting['USER_ACCOUNT']}, region {setting['USER_REGION']}"
        sys.exit(f"ami-to-file: {options.ami} in {where}: {error}")
    folder = Path(setting["EMULATOR_DATA"], "snapshots", setting["USER_ACCOUNT"], setting["USER_REGION"])
    try:
        copy(snapshot, folder / f"{snapshot}.raw", options.file, written)
    except OSError as error:
        sys.exit(f"ami-to-file: the bytes of {snapshot}, root of {options.ami}: {error}")


if __name__ == "__main__":
    main()
