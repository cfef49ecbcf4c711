"""Writes the bytes of an AMI's root snapshot into a file.

    infra/local/ami-to-file AMI FILE

The AMI is looked up by the EC2 API of the local stack, the bytes come from the emulator's folder. Settings come from
the environment, else from target/local/env, which `make up` writes: AWS_ENDPOINT_URL, USER_ACCOUNT, USER_REGION, and
EMULATOR_DATA, the emulator's --data folder.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

CHECKOUT = Path(__file__).resolve().parents[3]
SETTINGS = ("AWS_ENDPOINT_URL", "USER_ACCOUNT", "USER_REGION", "EMULATOR_DATA")


def settings() -> dict[str, str]:
    file = CHECKOUT / "target/local/env"
    written = dict(re.findall(r"^(?:export )?(\w+)=(.*)$", file.read_text(), re.M)) if file.exists() else {}
    found = {name: "".join(shlex.split(value)) for name, value in written.items()} | dict(os.environ)
    if missing := [name for name in SETTINGS if not found.get(name)]:
        sys.exit(f"ami-to-file: not set: {', '.join(missing)}; they are in {file} while the stack is up (make up)")
    return {name: found[name] for name in SETTINGS}


def root_snapshot(image: str, setting: dict[str, str]) -> str:
    # An account's root: the access key is the account's number (infra/local/emulator/README.md).
    ec2 = boto3.client(
        "ec2",
        endpoint_url=setting["AWS_ENDPOINT_URL"],
        region_name=setting["USER_REGION"],
        aws_access_key_id=setting["USER_ACCOUNT"],
        aws_secret_access_key="root",
    )
    where = f"account {setting['USER_ACCOUNT']}, region {setting['USER_REGION']}"
    try:
        (found,) = ec2.describe_images(ImageIds=[image])["Images"]
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"ami-to-file: DescribeImages for {image} in {where}: {error}")
    for mapping in found["BlockDeviceMappings"]:
        if mapping["DeviceName"] == found["RootDeviceName"] and "SnapshotId" in mapping.get("Ebs", {}):
            return mapping["Ebs"]["SnapshotId"]
    sys.exit(f"ami-to-file: {image} in {where} has no snapshot as its root device {found['RootDeviceName']}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="ami-to-file", description="Writes the bytes of an AMI's root snapshot.")
    parser.add_argument("ami", metavar="AMI")
    parser.add_argument("file", metavar="FILE", type=Path)
    options = parser.parse_args()
    setting = settings()
    snapshot = root_snapshot(options.ami, setting)
    folder = Path(setting["EMULATOR_DATA"], "snapshots", setting["USER_ACCOUNT"], setting["USER_REGION"])
    try:
        shutil.copyfile(folder / f"{snapshot}.raw", options.file)
    except OSError as error:
        sys.exit(f"ami-to-file: the bytes of {snapshot}, root of {options.ami}: {error}")


if __name__ == "__main__":
    main()
