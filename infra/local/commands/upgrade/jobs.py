"""The jobs that live through the upgrade, each brought to a state of its own."""

import time

from common import aws, uploads
from common.failure import Failure
from upgrade.holds import Hold

FILE = "upgrade.x86_64-1.0.raw.xz"
SLOTS = 4
"""As many as jobs that import or transfer when the next one has to wait."""

STATE_TIMEOUT = 60
"""Seconds for a job to come into the state in which it is to be upgraded."""

END_TIMEOUT = 300


def user_bucket(env):
    """The name of the bucket in the user's account."""
    return f"obs-cloudupload-{env['USER_ACCOUNT']}-{env['USER_REGION']}"


class Job:
    """A job, the moment of its life at which the upgrade meets it, and how it is to end."""

    def __init__(self, env, moment, end, build):
        self.env, self.moment, self.end = env, moment, end
        # EC2 takes no comma in the name of an AMI.
        # The moments are those of an import. A revision that knows no other route ignores the wish.
        self.number = uploads.create(env, build, FILE, "upgrade " + moment.replace(",", " -"), route="import")

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
                raise Failure(f"job {self.number}, {self.moment} at the upgrade, does not end:\n{self.log()}")
            time.sleep(0.5)

    def imports(self):
        return "Importing a disk" in self.log()


class Jobs:
    """All of them, in the order in which they are started."""

    def __init__(self, env, image):
        self.env, self.build = env, uploads.build_result("upgrade")
        uploads.publish(env, self.build, image, FILE)
        self.holds = []
        self.all = []

    def bring_into_their_states(self):
        # The first release found no bucket where the answer for a missing one is 403: its users had one.
        aws.create_bucket(self.env, user_bucket(self.env), self.env["USER_ACCOUNT"], self.env["USER_REGION"])
        imported = [self.start(moment, end) for moment, end in IMPORTED]
        self.to_kill = imported[1]
        for job in imported:
            job.wait_until(job.imports)
        self.start_held("in transfer", "transfer", "s3:UploadPart")
        waiting = self.start("waiting for a slot", "succeeded")
        waiting.wait_until(lambda: waiting.state() == "scheduled")
        self.start_held("receiving", "receive", "s3:UploadPart")
        # Last, as its clean-up does not wait for long.
        hold = self.hold("finish", "ec2:CancelImportTask")
        uploads.kill(self.env, imported[2].number)
        self.wait_for_hold(hold, "the clean-up of a killed job")

    def start(self, moment, end):
        job = Job(self.env, moment, end, self.build)
        self.all.append(job)
        return job

    def start_held(self, moment, function, call):
        """Starts a job and waits until the call of its function is held."""
        hold = self.hold(function, call)
        job = self.start(moment, "succeeded")
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

    def require_still_running(self):
        """Whoever has ended before the upgrade was done has shown nothing."""
        for job in self.all:
            if job.end == "succeeded" and job.state() in uploads.FINAL_STATES:
                raise Failure(
                    f"job {job.number}, {job.moment}, ended before the upgrade did: give --import-seconds more"
                )

    def finish(self):
        """Kills the job that is to be killed by the new version, and lets all others go on to their ends."""
        uploads.kill(self.env, self.to_kill.number)
        for hold in self.holds:
            hold.release()
        for job in self.all:
            job.wait_for_end()


IMPORTED = [
    ("in import", "succeeded"),
    ("in import, killed after it", "killed"),
    ("in import, killed before it", "killed"),
]
