"""The AMI in the user's account: what EC2 says of it, and whether its bytes are those of the disk."""

import os
import subprocess
import urllib.parse
import xml.etree.ElementTree as ElementTree

from common.failure import Failure
from common.paths import LOCAL
from common.process import output
from common.units import MIB
from demo.curl import curl
from demo.terminal import show

LABELS = {
    "name": "name",
    "description": "description",
    "imageState": "state",
    "architecture": "arch",
    "bootMode": "boot mode",
    "enaSupport": "ENA",
    "imdsSupport": "IMDS",
    "rootDeviceName": "root device",
}
"""What is shown of an image, and under which name."""


def describe(env, ami):
    """Prints what EC2 says of the AMI and its snapshot to their owner."""
    image = ask_ec2(env, "DescribeImages", **{"ImageId.1": ami}).find("{*}imagesSet/{*}item")
    if image is None:
        raise Failure(f"EC2 does not know {ami} in account {env['USER_ACCOUNT']}")
    print(f"  AMI          {ami} in {env['USER_REGION']}, owned by account {image.findtext('{*}imageOwnerId')}")
    for tag, label in LABELS.items():
        if image.findtext(f"{{*}}{tag}"):
            print(f"  {label:<12} {image.findtext(f'{{*}}{tag}')}")
    print(f"  tags         {tags(image)}")
    snapshot = image.findtext("{*}blockDeviceMapping/{*}item/{*}ebs/{*}snapshotId")
    if not snapshot:
        raise Failure(f"{ami} has no snapshot behind its root device")
    item = ask_ec2(env, "DescribeSnapshots", **{"SnapshotId.1": snapshot}).find("{*}snapshotSet/{*}item")
    if item is None:
        raise Failure(f"EC2 does not know {snapshot}, which {ami} names")
    print(f"  snapshot     {snapshot}, {item.findtext('{*}volumeSize')} GiB, {item.findtext('{*}status')}")
    print(f"  its tags     {tags(item)}", flush=True)


def ask_ec2(env, action, **parameters):
    owner = ["--aws-sigv4", f"aws:amz:{env['USER_REGION']}:ec2", "--user", f"{env['USER_ACCOUNT']}:any"]
    form = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **parameters})
    return ElementTree.fromstring(curl(*owner, "-d", form, env["AWS_ENDPOINT_URL"] + "/"))


def tags(item):
    pairs = {tag.findtext("{*}key"): tag.findtext("{*}value") for tag in item.findall("{*}tagSet/{*}item")}
    return ", ".join(f"{key}={value}" for key, value in sorted(pairs.items()))


def compare(env, ami, raw):
    """Compares the bytes of the AMI's snapshot with the disk that was uploaded."""
    size = raw.stat().st_size
    back = raw.with_name("from-ami.raw")
    fetch = [str(LOCAL / "ami-to-file"), ami, str(back)]
    show(fetch)
    output(*fetch, env=env)
    # EC2 counts a snapshot in GiB: what lies behind the disk's end must be nothing but zeros.
    command = ["cmp", f"--bytes={size}", str(raw), str(back)]
    show(command)
    if subprocess.run(command, check=False).returncode != 0:
        raise Failure(f"the bytes of {ami} are not those of {raw}")
    require_zeros_from(back, size)
    back.unlink()
    print(f"  {size} bytes, all the same")


def require_zeros_from(path, start):
    with open(path, "rb") as file:
        if os.path.getsize(path) < start:
            raise Failure(f"{path} is shorter than the disk")
        file.seek(start)
        while chunk := file.read(MIB):
            if any(chunk):
                raise Failure(f"{path} goes on behind the end of the disk")
