"""The uploads: those that succeed, those that are killed, and those that are refused."""

import re
from dataclasses import dataclass

from acceptance import disk, roles
from acceptance.report import Finding
from common.failure import Failure

RECEIVING, UPLOADING, IMPORTING = "Receiving ", "Start uploading image ", "Importing a disk "
CREATED = "Created image: "
"""Lines of a job's log, by which it is seen how far a job came."""

TRIES_AT_CREATED = 3
"""A job is `created` for a second or so: the kill may be too late."""


@dataclass
class Upload:
    """An upload that is to succeed."""

    route: str
    role: str
    region: str
    wishes: dict
    ami: str = ""
    seconds: float = 0
    job: object = None

    def title(self):
        return f"upload by {self.route} into {self.region}"

    def made(self):
        """The AMI."""
        if not self.ami:
            raise Failure(f"the {self.title()} made no AMI")
        return self.ami


@dataclass(frozen=True)
class Refusal:
    """An upload that is to be refused, and the reason that its user reads."""

    tried: str
    reason: str
    user: str
    role: str
    wishes: dict


def planned(target, outputs):
    """One upload for each route, and one into the region that encrypts, if there is one."""
    region, role = target.user.region, outputs["RoleArn"]
    uploads = [
        # It is booted. No wish for a route: the role allows the best one.
        Upload("direct", role, region, {"boot_mode": "uefi"}),
        Upload("copy", outputs["CopyRole"], region, {}),
        Upload("import", role, region, {"route": "import"}),
    ]
    if target.encrypted_region:
        uploads.append(Upload("direct", role, target.encrypted_region, {}))
    return uploads


class Uploads:
    """Starts uploads of the disk into the user's account."""

    def __init__(self, target, uploader):
        self.target, self.uploader = target, uploader
        self.started = []

    def start(self, user, role, *, name=None, file=disk.FILE, region=None, external_id=None, **wishes):
        """`user` is one of OBS, who has one slot. The AMI is named after the user, unless `name` says otherwise."""
        body = {
            "arn": role,
            "external_id": external_id or self.target.secrets["external_id"],
            "region": region or self.target.user.region,
            "ami_name": f"{self.target.names.run} {name or user}",
            **wishes,
        }
        job = self.uploader.create(disk.BUILD, file, user, body)
        self.started.append(job)
        return job

    def succeed(self, upload):
        """A finding: whether the upload ends with an AMI, by its route."""
        upload.job = self.start(f"{upload.route}-{upload.region}", upload.role, region=upload.region, **upload.wishes)
        status = upload.job.wait_for_end()
        log = upload.job.log()
        if status["state"] != "succeeded":
            return Finding(False, f"job {upload.job.number} failed: {status.get('details')}")
        upload.ami = status["details"]
        upload.seconds = seconds_in(log)
        route = re.search(r"^Route (\w+)", log, re.MULTILINE)
        taken = route[1] if route else "no route in the log"
        found = f"job {upload.job.number}, {taken}: {upload.ami} in {upload.seconds:.0f} s"
        return Finding(taken == upload.route, found)

    def refused(self, refusal):
        """A finding: whether the upload fails for its reason, before anything is received."""
        job = self.start(refusal.user, refusal.role, **refusal.wishes)
        status, log = job.wait_for_end(), job.log()
        told = refusal.reason in log + status.get("details", "")
        ok = status["state"] == "failed" and told and RECEIVING not in log
        return Finding(ok, f"job {job.number} {status['state']}: {status.get('details')}")

    def killed_when_created(self, role):
        for _ in range(TRIES_AT_CREATED):
            job = self.start("killed-created", role, file=disk.SLOW)
            job.kill()
            if RECEIVING not in job.log():
                return killed(job, lacks=RECEIVING)
        raise Failure(f"{TRIES_AT_CREATED} jobs were receiving before they could be killed")

    def killed_when_receiving(self, role):
        job = self.start("killed-receiving", role, file=disk.SLOW)
        job.wait_until(lambda status: status["state"] == "receiving", "receiving")
        job.kill()
        return killed(job, lacks=UPLOADING)

    def pair_with_one_slot(self, role):
        return PairWithOneSlot(self, role)


class PairWithOneSlot:
    """Two imports of one user, who has one slot: one uploads, the other waits."""

    def __init__(self, uploads, role):
        self.uploads, self.role = uploads, role
        self.first = uploads.start("killed-first", role, route="import")

    def kill_scheduled(self):
        first = self.first
        first.wait_until(lambda _: IMPORTING in first.log(), "importing")
        second = self.uploads.start("killed-first", self.role, name="killed-second", route="import")
        second.wait_until(lambda status: status["state"] == "scheduled", "scheduled")
        second.kill()
        return killed(second, lacks=UPLOADING)

    def kill_uploading(self):
        state = self.first.status()["state"]
        self.first.kill()
        finding = killed(self.first, lacks=CREATED)
        return Finding(finding.ok and state == "uploading", f"{finding.found}; it was {state}")


def killed(job, lacks):
    """A finding: whether a job is killed, and came no further than to where its log would have a line."""
    status = job.wait_for_end()
    ok = status["state"] == "failed" and status.get("details") == "killed" and lacks not in job.log()
    return Finding(ok, f"job {job.number} {status['state']}: {status.get('details')}")


def seconds_in(log):
    """What a job's log says that the upload took."""
    took = re.search(r"^Upload took: (\d+):(\d+):(\d+)", log, re.MULTILINE)
    if not took:
        raise Failure("the job's log does not say how long the upload took")
    hours, minutes, seconds = map(int, took.groups())
    return 3600 * hours + 60 * minutes + seconds


def refusals(target, outputs):
    """The uploads that are to be refused. `outputs` are those of the user's stacks."""
    wrong_id = {"external_id": f"not-{target.secrets['external_id']}"}
    return [
        Refusal("upload with a wrong external ID", "cannot be assumed", "wrong-id", outputs["RoleArn"], wrong_id),
        Refusal(
            f"upload with a role that lacks {roles.TAKEN}",
            f"add {roles.TAKEN} to the role",
            "lacking",
            outputs["LackingRole"],
            {},
        ),
    ]
