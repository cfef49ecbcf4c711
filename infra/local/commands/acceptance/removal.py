"""Removes what a run made, by its name: whatever of it is there, and in any order in which a run may have died."""

import time

from botocore.exceptions import ClientError

from acceptance import boot, roles
from acceptance.deployment import find
from acceptance.leftovers import Leftovers, absent, unique_id
from acceptance.stacks import Stack
from common import uploads
from common.failure import Failure

TABLE_WAIT = {"Delay": 2, "MaxAttempts": 150}
DEREGISTER_SECONDS = 120
"""For which EC2 may say that an AMI still uses the snapshot behind it."""


class Removal:
    def __init__(self, target, guard, show=print):
        self.target, self.guard, self.show = target, guard, show
        self.problems = []

    def all(self):
        """Removes everything. What goes wrong with one thing does not keep the others; it is told at the end."""
        names, service, user = self.target.names, self.target.service, self.target.user
        stack_id, created = self.service_stack()
        steps = [
            ("instances", lambda: boot.end_all(user.client("ec2"), names.run)),
            ("running jobs", self.end_jobs),
            ("what the uploader made in either account", lambda: stack_id and self.remove_made(unique_id(stack_id))),
            ("snapshots of probes", self.remove_probes),
            ("the user's buckets", lambda: created and self.remove_user_buckets(created)),
            ("policies of roles", lambda: roles.empty(self.target)),
            (f"stack {names.network}", lambda: Stack(user, names.network).delete()),
            (f"stack {names.roles}", lambda: Stack(user, names.roles).delete()),
            (f"stack {names.user}", lambda: Stack(user, names.user).delete()),
            ("files in buckets", self.empty_buckets),
            (f"stack {names.service}", lambda: Stack(service, names.service).delete()),
            (f"stack {names.obs}", lambda: Stack(service, names.obs).delete()),
            ("tables that the stack kept", self.remove_tables),
            ("logs that the stack kept", self.remove_logs),
        ]
        for what, step in steps:
            self.show(f"removing {what}")
            try:
                step()
            except (ClientError, Failure, OSError) as error:
                self.problems.append(f"{what}: {error}")
                self.show(f"          {error}")

    def service_stack(self):
        """(id, time of creation) of the service's stack, also once it is deleted; (None, None) if there was none."""
        pages = self.target.service.client("cloudformation").get_paginator("list_stacks").paginate()
        for page in pages:
            for found in page["StackSummaries"]:
                if found["StackName"] == self.target.names.service:
                    return found["StackId"], found["CreationTime"]
        return None, None

    def end_jobs(self):
        """Kills the jobs that run, and waits for their executions: they remove best what they made."""
        deployed = find(self.target, self.guard)
        if deployed is None:
            return
        table = self.target.service.client("dynamodb").get_paginator("scan")
        pages = table.paginate(
            TableName=deployed.resources["Jobs"],
            ProjectionExpression="id, #s",
            ExpressionAttributeNames={"#s": "state"},
        )
        for item in (item for page in pages for item in page["Items"]):
            if item.get("state", {}).get("S") not in (None, *uploads.FINAL_STATES):
                deployed.uploader.call(f"/{item['id']['S']}?cmd=kill", b"")
        leftovers = Leftovers(self.target, deployed.deployment, deployed.resources)
        deadline = time.monotonic() + self.target.clean_up_seconds
        while leftovers.executions():
            if time.monotonic() > deadline:
                raise Failure("executions still run")
            time.sleep(3)

    def remove_made(self, deployment):
        """AMIs, snapshots, import tasks and objects, by the deployment's tag and prefix."""
        leftovers = Leftovers(self.target, deployment)
        for region in leftovers.regions:
            for account in (self.target.user, self.target.service):
                ec2 = account.client("ec2", region)
                for ami in leftovers.images(ec2):
                    ec2.deregister_image(ImageId=ami)
                for task in leftovers.tasks(ec2):
                    ec2.cancel_import_task(ImportTaskId=task)
                for snapshot in leftovers.snapshots(ec2):
                    delete_snapshot(ec2, snapshot)
            empty(self.target.user.client("s3", region), self.target.user_bucket(region), f"{deployment}/")

    def remove_probes(self):
        ec2 = self.target.user.client("ec2")
        filters = [{"Name": "tag:obs:acceptance", "Values": [self.target.names.run]}]
        pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
        for snapshot in [found["SnapshotId"] for page in pages for found in page["Snapshots"]]:
            delete_snapshot(ec2, snapshot)

    def remove_user_buckets(self, created):
        """The buckets for imports, if this run made them and nothing else lies there."""
        for region in self.target.regions():
            s3 = self.target.user.client("s3", region)
            bucket = self.target.user_bucket(region)
            made = {found["Name"]: found["CreationDate"] for found in s3.list_buckets()["Buckets"]}.get(bucket)
            if made and made >= created and not absent(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents", [])):
                s3.delete_bucket(Bucket=bucket)

    def empty_buckets(self):
        for name in (self.target.names.service, self.target.names.obs):
            stack = Stack(self.target.service, name)
            if stack.describe() is None:
                continue
            for bucket in stack.resources_of("AWS::S3::Bucket"):
                empty(self.target.service.client("s3"), bucket, "")

    def remove_tables(self):
        dynamodb = self.target.service.client("dynamodb")
        for table in self.kept_tables():
            if dynamodb.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
                dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
                dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig=TABLE_WAIT)
            dynamodb.delete_table(TableName=table)
            dynamodb.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig=TABLE_WAIT)

    def kept_tables(self):
        pages = self.target.service.client("dynamodb").get_paginator("list_tables").paginate()
        return [name for page in pages for name in page["TableNames"] if self.is_ours(name)]

    def remove_logs(self):
        logs = self.target.service.client("logs")
        for group in self.kept_logs():
            logs.delete_log_group(logGroupName=group)

    def kept_logs(self):
        pages = self.target.service.client("logs").get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix=f"{self.target.names.run}-"
        )
        return [group["logGroupName"] for page in pages for group in page["logGroups"]]

    def is_ours(self, name):
        return name.startswith(f"{self.target.names.run}-")

    def left(self):
        """What is still there, as words, by kind."""
        stack_id, _ = self.service_stack()
        found = Leftovers(self.target, unique_id(stack_id)).all() if stack_id else {}
        names = self.target.names
        stacks = [
            *(Stack(self.target.service, name) for name in (names.service, names.obs)),
            *(Stack(self.target.user, name) for name in (names.user, names.roles, names.network)),
        ]
        found["stacks"] = [stack.name for stack in stacks if stack.describe()]
        found["tables"] = self.kept_tables()
        found["groups of logs"] = self.kept_logs()
        buckets = self.target.service.client("s3").list_buckets()["Buckets"]
        found["buckets"] = [bucket["Name"] for bucket in buckets if self.is_ours(bucket["Name"])]
        return {kind: things for kind, things in found.items() if things}


def delete_snapshot(ec2, snapshot):
    deadline = time.monotonic() + DEREGISTER_SECONDS
    while True:
        try:
            ec2.delete_snapshot(SnapshotId=snapshot)
            return
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "InvalidSnapshot.NotFound":
                return
            if code != "InvalidSnapshot.InUse" or time.monotonic() > deadline:
                raise
        time.sleep(2)


def empty(s3, bucket, prefix):
    """Removes objects and unfinished uploads of a bucket, below a prefix."""
    uploads_of = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    for upload in absent(lambda: [found for page in uploads_of for found in page.get("Uploads", [])]):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    objects = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for key in absent(lambda: [found["Key"] for page in objects for found in page.get("Contents", [])]):
        s3.delete_object(Bucket=bucket, Key=key)
