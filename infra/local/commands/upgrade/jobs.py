"""The jobs that live through a deployment, each brought to a state of its own."""

import time

from common import aws, uploads
from common.failure import Failure
from upgrade.holds import Hold

FILE = "upgrade.x86_64-1.0.raw.xz"
SLOTS = 6
"""As many as jobs that have a slot when the next one has to wait."""

STATE_TIMEOUT = 60
"""Seconds for a job to come into the state in which the deployment is to meet it."""

END_TIMEOUT = 300


def user_bucket(env):
    """The name of the bucket in the user's account."""
    return f"obs-cloudupload-{env['USER_ACCOUNT']}-{env['USER_REGION']}"


class Job:
    """A job, the moment of its life at which the deployment meets it, and how it is to end."""

    def __init__(self, env, what, moment, end, build, route):
        """`what` is the deployment, in a word."""
        self.env, self.moment, self.end, self.route = env, moment, end, route
        self.held = False
        role = env["USER_EC2_ROLE_ARN" if route == "copy" else "USER_ROLE_ARN"]
        # EC2 takes no comma in the name of an AMI. A version that knows no route but import ignores the wish.
        name = f"{what} {moment.replace(',', ' -')}"
        self.number = uploads.create({**env, "USER_ROLE_ARN": role}, build, FILE, name, route=route)

    def status(self):
        return uploads.status(self.env, self.number)

    def state(self):
        return self.status()["state"]

    def log(self):
        return uploads.log(self.env, self.number)

    def wait_until(self, reached):
        """Until the job is where it is to be. It must not come to its end before."""
        deadline = time.monotonic() + STATE_TIMEOUT
        while not reached():
            if self.state() in uploads.FINAL_STATES:
                raise Failure(f"job {self.number} has ended, and was to be {self.moment}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise Failure(f"job {self.number} is not {self.moment} within {STATE_TIMEOUT} s:\n{self.log()}")
            time.sleep(0.2)

    def wait_for_end(self):
        deadline = time.monotonic() + END_TIMEOUT
        while self.state() not in uploads.FINAL_STATES:
            if time.monotonic() > deadline:
                raise Failure(f"job {self.number}, {self.moment}, does not end:\n{self.log()}")
            time.sleep(0.5)

    def imports(self):
        return "Importing a disk" in self.log()


class Jobs:
    """All of them, in the order in which they are started."""

    def __init__(self, env, what, image, version):
        """`what` is the deployment that is to meet them, in a word, and `version` the one that starts them."""
        self.env, self.what, self.version = env, what, version
        self.build = uploads.build_result("upgrade")
        uploads.publish(env, self.build, image, FILE)
        self.holds = []
        self.all = []

    def bring_into_their_states(self):
        imported = [self.start(moment, end) for moment, end in IMPORTED]
        self.to_kill = imported[1]
        for job in imported:
            job.wait_until(job.imports)
        self.start_held("in transfer", "transfer", "s3:UploadPart")
        if self.version.has_routes():
            self.start_held("in transfer, by direct", "transfer", "ebs:PutSnapshotBlock", "direct")
            self.start_held("before its copy, by copy", "poll", "ec2:CopySnapshot", "copy")
        else:
            for job in [self.start(f"in import, {number} more", "succeeded") for number in (1, 2)]:
                job.wait_until(job.imports)
        waiting = self.start("waiting for a slot", "succeeded")
        waiting.wait_until(lambda: waiting.state() == "scheduled")
        if self.version.has_routes():
            self.start_held("in its preflight", "preflight", "sts:AssumeRole")
        self.start_held("receiving", "receive", "s3:UploadPart")
        # Last, as its clean-up does not wait for long.
        hold = self.hold("finish", "ec2:CancelImportTask")
        uploads.kill(self.env, imported[2].number)
        self.wait_for_hold(hold, "the clean-up of a killed job")

    def start(self, moment, end, route="import"):
        job = Job(self.env, self.what, moment, end, self.build, route)
        self.all.append(job)
        return job

    def start_held(self, moment, function, call, route="import"):
        """Starts a job and waits until the call of its function is held."""
        hold = self.hold(function, call)
        job = self.start(moment, "succeeded", route)
        job.held = True
        job.wait_until(hold.holds)

    def hold(self, function, call):
        hold = Hold(self.env, function, call)
        self.holds.append(hold)
        return hold

    def wait_for_hold(self, hold, what):
        deadline = time.monotonic() + STATE_TIMEOUT
        while not hold.holds():
            if time.monotonic() > deadline:
                raise Failure(f"{what} has not begun within {STATE_TIMEOUT} s")
            time.sleep(0.2)

    def require_held(self):
        """A job whose call is held when the deployment begins can only go on with the new functions."""
        if not all(hold.holds() for hold in self.holds):
            raise Failure("a call is not held any more when the deployment begins")

    def require_still_running(self):
        """Whoever has ended before the deployment was done has shown nothing."""
        for job in self.all:
            if job.end == "succeeded" and not job.held and job.state() in uploads.FINAL_STATES:
                raise Failure(
                    f"job {job.number}, {job.moment}, ended before the deployment did: give --import-seconds more"
                )

    def finish(self):
        """Kills the job that is to be killed by the new functions, starts one more, and lets all go on to their ends."""
        uploads.kill(self.env, self.to_kill.number)
        self.start("not started yet", "succeeded")
        for hold in self.holds:
            hold.release()
        for job in self.all:
            job.wait_for_end()


IMPORTED = [
    ("in import", "succeeded"),
    ("in import, killed after it", "killed"),
    ("in import, killed before it", "killed"),
]
