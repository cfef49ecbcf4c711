"""What lies in either account that belongs to a deployment, by its tags, prefixes and tables."""

import time

from botocore.exceptions import ClientError


def unique_id(stack_id):
    """What the tags and keys of a deployment begin with (docs/architecture.md, "Names")."""
    return stack_id.rpartition("/")[2]


class Leftovers:
    """`deployment` is the unique part of the stack's id, `resources` are the stack's, as long as it is there."""

    def __init__(self, target, deployment, resources=None):
        self.target, self.deployment, self.resources = target, deployment, resources
        self.regions = target.regions()

    def all(self):
        """Everything, as words, by kind."""
        found = {}
        for region in self.regions:
            for who, account in (("user", self.target.user), ("service", self.target.service)):
                ec2 = account.client("ec2", region)
                where = f"of the {who} in {region}"
                found[f"AMIs {where}"] = self.images(ec2)
                found[f"snapshots {where}"] = self.snapshots(ec2)
                found[f"import tasks {where}"] = self.tasks(ec2)
            s3, bucket = self.target.user.client("s3", region), self.target.user_bucket(region)
            found |= in_bucket(s3, bucket, f"{self.deployment}/")
        if self.resources:
            found |= in_bucket(self.target.service.client("s3"), self.resources["Staging"], "")
            found["slots"] = self.slots()
            found["running executions"] = self.executions()
        return {kind: things for kind, things in found.items() if things}

    def images(self, ec2):
        # Disabled ones too: a run may die while it tries that.
        pages = ec2.get_paginator("describe_images").paginate(
            Owners=["self"], Filters=[{"Name": "tag-key", "Values": ["obs:job"]}], IncludeDisabled=True
        )
        return [found["ImageId"] for page in pages for found in page["Images"] if self.is_ours(found)]

    def snapshots(self, ec2):
        pages = ec2.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": ["obs:job"]}]
        )
        return [found["SnapshotId"] for page in pages for found in page["Snapshots"] if self.is_ours(found)]

    def tasks(self, ec2):
        """Import tasks at work: VM Import goes on listing those that have ended."""
        pages = ec2.get_paginator("describe_import_snapshot_tasks").paginate()
        tasks = [task for page in pages for task in page["ImportSnapshotTasks"] if self.is_ours(task)]
        return [task["ImportTaskId"] for task in tasks if is_active(task)]

    def is_ours(self, thing):
        return any(
            tag["Key"] == "obs:job" and tag["Value"].startswith(f"{self.deployment}/") for tag in thing.get("Tags", [])
        )

    def slots(self):
        """The jobs that wait, or have a slot. Other items of the table count what was done."""
        pages = self.target.service.client("dynamodb").get_paginator("scan").paginate(
            TableName=self.resources["SlotsTable"]
        )
        items = [item for page in pages for item in page["Items"]]
        return [item["job"]["N"] for item in items if item["kind"]["S"] in ("held", "waiting")]

    def executions(self):
        states = self.target.service.client("stepfunctions")
        pages = states.get_paginator("list_executions").paginate(
            stateMachineArn=self.resources["UploadMachine"], statusFilter="RUNNING"
        )
        return [found["name"] for page in pages for found in page["executions"]]

    def wait(self, expected, seconds):
        """What is beyond the things `expected` when the time is up, or as soon as there is nothing beyond them."""
        deadline = time.monotonic() + seconds
        while True:
            beyond = without(self.all(), expected)
            if not beyond or time.monotonic() > deadline:
                return beyond
            time.sleep(3)


def without(found, expected):
    rest = {kind: [thing for thing in things if thing not in expected] for kind, things in found.items()}
    return {kind: things for kind, things in rest.items() if things}


def in_bucket(s3, bucket, prefix):
    objects = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    uploads = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    return {
        f"objects in {bucket}": absent(lambda: [one["Key"] for page in objects for one in page.get("Contents", [])]),
        f"uploads in {bucket}": absent(lambda: [one["Key"] for page in uploads for one in page.get("Uploads", [])]),
    }


def is_active(task):
    return task.get("SnapshotTaskDetail", {}).get("Status") not in ("completed", "deleted", "deleting")


def absent(look):
    """What is found in a bucket, and nothing if there is no such bucket."""
    try:
        return look()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchBucket", "404"):
            return []
        raise


def words(found):
    return "; ".join(f"{kind}: {', '.join(things)}" for kind, things in found.items()) or "nothing"
