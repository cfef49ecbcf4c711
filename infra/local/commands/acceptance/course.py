"""The course of a run."""

import concurrent.futures
import threading
import time

from acceptance import boot, counting, deployment, disk, jobs, questions, released, roles, snapshots
from acceptance.accounts import require_no_role, require_two
from acceptance.leftovers import Leftovers, words
from acceptance.removal import Removal
from acceptance.report import Finding, NotTried
from common.failure import Failure

KILLED = "failed, with the details killed, and no further"


class Course:
    def __init__(self, target, release, folder, report, guard):
        self.target, self.release, self.folder = target, release, folder
        self.report, self.guard = report, guard
        self.stop = threading.Event()

    def run(self):
        """Everything, to the removal, which comes whatever happens before."""
        released.check(self.release)
        require_two(self.target.service, self.target.user)
        require_no_role(self.target.user)
        self.disk = disk.make(self.folder)
        self.began = time.monotonic()
        try:
            self.deploy()
            self.upload()
            self.compare()
            self.report.check("Boot", "boot the AMI of direct, and read its console", disk.LINE, self.boot)
            self.report.check("Questions", "ask them under the user's roles", "sessions of the roles", self.ask)
            self.report.check("Left behind", "with all jobs ended", "the AMIs, their snapshots", self.count_leftovers)
            self.report.check("Counted", "calls, blocks and times", "numbers of all", self.count_cost)
            self.report.check("Counted", "what Lambda reports of its calls", "reports", self.count_functions)
        finally:
            self.stop.set()
            self.remove()

    def deploy(self):
        """Both sides at the same time. Neither is left alone: the removal must not run beside it."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            sides = [pool.submit(self.deploy_service), pool.submit(self.deploy_user)]
        self.deployed, self.roles = (side.result() for side in sides)

    def deploy_service(self):
        target = self.target
        obs = self.step("the stand-in for OBS", lambda: deployment.deploy_obs(target, self.disk))
        self.step("the uploader, of a release", lambda: deployment.deploy_service(target, self.release, obs))
        found = deployment.find(target, self.guard, self.stop)
        self.step("the API answers", lambda: deployment.require_uploader(found))
        return found

    def deploy_user(self):
        return self.step("the roles of the user", lambda: roles.deploy(self.target))

    def step(self, what, do):
        """A check without which nothing goes on. Returns what it gives."""
        results = []

        def probe():
            results.append(do())
            return Finding(True, "done")

        if not self.report.check("Deployment", what, "deployed", probe):
            raise Failure(f"{what}: this run ends here")
        return results[0]

    def upload(self):
        """All uploads at the same time: they are of different users of OBS."""
        self.uploads = jobs.Uploads(self.target, self.deployed.uploader)
        self.planned = jobs.planned(self.target, self.roles)
        checks = [
            ("Uploads", upload.title(), f"an AMI by {upload.route}", lambda one=upload: self.uploads.succeed(one))
            for upload in self.planned
        ]
        checks += [
            ("Refusals", refusal.tried, refusal.reason, lambda refusal=refusal: self.uploads.refused(refusal))
            for refusal in jobs.refusals(self.target, self.roles)
        ]
        role = self.roles["RoleArn"]
        checks += [
            ("Kills", "kill a job that is created", KILLED, lambda: self.uploads.killed_when_created(role)),
            ("Kills", "kill a job that is receiving", KILLED, lambda: self.uploads.killed_when_receiving(role)),
        ]
        with concurrent.futures.ThreadPoolExecutor(len(checks) + 1) as pool:
            try:
                under_way = [pool.submit(self.report.check, *check) for check in checks]
                under_way.append(pool.submit(self.kill_with_one_slot, role))
                for done in concurrent.futures.as_completed(under_way):
                    done.result()
            except BaseException:
                # Whoever waits for a job ends, too.
                self.stop.set()
                raise

    def kill_with_one_slot(self, role):
        """Two checks that go together: a job waits because the other one has its user's only slot."""
        pair = self.uploads.pair_with_one_slot(role)
        self.report.check("Kills", "kill a job that is scheduled", KILLED, pair.kill_scheduled)
        self.report.check("Kills", "kill a job that is uploading", KILLED, pair.kill_uploading)

    def compare(self):
        for upload in self.planned:
            self.report.check(
                "Bytes",
                f"read the AMI of the {upload.title()} by EBS direct",
                "the disk, and zeros behind it",
                lambda upload=upload: snapshots.compare(
                    self.target.user, upload.region, upload.made(), self.disk.raw, self.guard
                ),
            )

    def boot(self):
        return boot.boot(self.target, self.planned[0].made(), self.guard)

    def ask(self):
        witness = questions.Witness(self.target, self.deployed, self.roles, self.planned)
        questions.ask_all(self.report, witness)
        return Finding(True, f"{len(questions.QUESTIONS)} questions were asked")

    def count_leftovers(self):
        kept = {upload.ami for upload in self.planned if upload.ami}
        for upload in self.planned:
            if upload.ami:
                kept.add(snapshots.of_ami(self.target.user.client("ec2", upload.region), upload.ami).id)
        leftovers = Leftovers(self.target, self.deployed.deployment, self.deployed.resources)
        beyond = leftovers.wait(kept, self.target.clean_up_seconds)
        return Finding(not beyond, f"{words(leftovers.all())}; beyond what belongs there: {words(beyond)}")

    def count_cost(self):
        counting.count(self.guard, self.target, self.deployed, self.uploads, self.hours())
        return Finding(True, f"{self.guard.dollars():.4f} dollars without functions")

    def count_functions(self):
        reports = counting.count_functions(self.guard, self.target, self.deployed)
        if not reports and self.target.emulated:
            raise NotTried("emulator: its Lambda writes no reports")
        return Finding(reports > 0, f"{reports} reports; {self.guard.dollars():.4f} dollars in all")

    def hours(self):
        return (time.monotonic() - self.began) / 3600

    def remove(self):
        removal = Removal(self.target, self.guard)

        def all_removed():
            removal.all()
            left = removal.left()
            problems = "".join(f"; {problem}" for problem in removal.problems)
            return Finding(not left and not removal.problems, f"left: {words(left)}{problems}")

        self.report.check("Left behind", "with everything removed, in both accounts", "nothing", all_removed)
