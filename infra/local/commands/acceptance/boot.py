"""Boots an AMI, and reads its console."""

import time

from acceptance.disk import LINE
from acceptance.report import Finding, NotTried
from acceptance.stacks import Stack
from common.paths import TOP

TYPE = "t3.nano"
"""The cheapest that boots x86_64 by UEFI, and shows its console while it runs (EC2 user guide, "Boot modes" and
"Instance console output")."""

CONSOLE_SECONDS = 420
PAUSE = 10


def boot(target, ami, guard):
    """A finding: whether the disk's own program has written to the console."""
    if target.emulated:
        raise NotTried("emulator: it boots no instances")
    ec2 = target.user.client("ec2")
    template = (TOP / "infra" / "acceptance" / "network.yaml").read_text()
    stack = Stack(target.user, target.names.network)
    subnet = stack.create({"Zone": zone_with_type(ec2)}, body=template, run=target.names.run)
    began = time.monotonic()
    instance = start(ec2, ami, subnet["Subnet"], target.names.run)
    try:
        console = wait_for_line(ec2, instance)
    finally:
        end(ec2, instance)
        guard.spend("hours of a t3.nano", (time.monotonic() - began) / 3600)
    return Finding(LINE in console, f"{instance}: {last_of(console)}")


def zone_with_type(ec2):
    """Not every availability zone has every type."""
    filters = [{"Name": "instance-type", "Values": [TYPE]}]
    found = ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=filters)
    zones = [offering["Location"] for offering in found["InstanceTypeOfferings"]]
    if not zones:
        raise NotTried(f"the region has no {TYPE}")
    return min(zones)


def start(ec2, ami, subnet, run):
    tags = [{"Key": "Name", "Value": run}, {"Key": "obs:acceptance", "Value": run}]
    answer = ec2.run_instances(
        ImageId=ami,
        InstanceType=TYPE,
        MinCount=1,
        MaxCount=1,
        CreditSpecification={"CpuCredits": "standard"},
        InstanceInitiatedShutdownBehavior="terminate",
        NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": False}],
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    )
    return answer["Instances"][0]["InstanceId"]


def wait_for_line(ec2, instance):
    """The console, once it has the line, or when the time is up."""
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    deadline = time.monotonic() + CONSOLE_SECONDS
    while True:
        console = ec2.get_console_output(InstanceId=instance, Latest=True).get("Output", "")
        if LINE in console or time.monotonic() > deadline:
            return console
        time.sleep(PAUSE)


def end(ec2, instance):
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance])


def end_all(ec2, run):
    """Ends the instances of a run that died."""
    filters = [
        {"Name": "tag:obs:acceptance", "Values": [run]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
    found = [one["InstanceId"] for page in pages for group in page["Reservations"] for one in group["Instances"]]
    for instance in found:
        end(ec2, instance)


def last_of(console):
    """The end of a console, in one line: firmware writes escapes for a terminal."""
    text = "".join(letter if letter.isprintable() else " " for letter in console)
    return " ".join(text.split())[-200:] or "the console is empty"

