"""The command line of `try-restore`, and its course."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import try_restore
from common import aws, local_stack
from common.failure import Failure
from common.loopback import no_proxy
from common.paths import LOCAL, TARGET, shown
from common.process import output
from stack import tools
from stack.deployment import REGION, STACK
from stack.steps import step
from try_release.account import Account
from try_restore import jobs
from try_restore.guide import Guide

IMAGE = ("--size-mib", "48", "--content-mib", "8")
PROGRAMS = ("sh", "xargs", "python3")

FIRST_JOB = 100
"""Of the second stack."""

FORMER_TABLE = "former"
"""What the table of the first stack is called then."""


def arguments():
    parser = argparse.ArgumentParser(
        prog="try-restore", description=try_restore.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dir", type=Path, default=TARGET / "try-restore", help="logs and data (target/try-restore)")
    parser.add_argument("--port", type=int, default=5166, help="the AWS endpoint (5166)")
    parser.add_argument("--api-port", type=int, default=5180, help="the cloud uploader (5180)")
    parser.add_argument("--obs-port", type=int, default=5182, help="the stand-in for OBS (5182)")
    return parser.parse_args()


class Operator:
    """Types the commands of the guide, with the outputs of the stack as variables."""

    def __init__(self, folder, env):
        self.files = folder / "operator" / "files"
        self.account = Account(folder / "operator", self.files, env["AWS_ENDPOINT_URL"], "test", REGION, PROGRAMS)
        self.files.mkdir()
        self.read_outputs()

    def read_outputs(self):
        self.account.env |= self.account.outputs(STACK)

    def type(self, block):
        return self.account.shell(block)


def run(options):
    folder = options.dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    guide = Guide()
    tools.install("aws")
    image = folder / "image.raw.xz"
    output(LOCAL / "make-disk", image, *IMAGE)
    stack = ["--port", options.port, "--api-port", options.api_port, "--obs-port", options.obs_port]
    # An import is open until it is killed.
    stack += ["--import-seconds", 3600]
    with local_stack.cleaned(folder):
        env = local_stack.up(folder, *stack)
        operator = Operator(folder, env)
        with step("a job that succeeds, one that is killed, and one that goes on"):
            succeeded = jobs.succeed(env, image, "succeeded")
            killed = jobs.leave_open(env, image, "killed")
            jobs.kill(env, killed)
            going_on = jobs.leave_open(env, image, "open")
        before = jobs.statuses(env)
        restore_records(env, operator, guide, before, [succeeded, killed])
        jobs.kill(env, going_on)
        before = jobs.statuses(env)
        delete_stack(operator, env["JOBS_TABLE"])
        env = local_stack.up(folder, *stack, "--parameter", f"FirstJob={FIRST_JOB}")
        jobs.require_same("the new stack", {}, jobs.statuses(env))
        operator.read_outputs()
        restore_stack(env, operator, guide, before, going_on)
        with step(f"a new job, with the number {FIRST_JOB}"):
            require_new_job(env, image)
        if {**jobs.statuses(env), **before} != jobs.statuses(env):
            raise Failure("a job of the former stack is not what it was")


def restore_records(env, operator, guide, before, lost):
    """Brings back the records of jobs that had ended."""
    with step("the table is restored into another one, and that is read"):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        operator.type(guide.restore.replace("2026-11-27T10:00:00Z", now))
    for job in lost:
        aws.dynamodb(env, "DeleteItem", TableName=env["JOBS_TABLE"], Key={"id": {"S": job}})
    rest = {job: status for job, status in before.items() if job not in lost}
    jobs.require_same("with records deleted", rest, jobs.statuses(env))
    with step("records are copied back"):
        operator.type(guide.copy)
        jobs.require_same("with records copied back", before, jobs.statuses(env))
        operator.type(guide.delete)


def delete_stack(operator, table):
    """Deletes the stack, of which its table is left.

    The emulator names the table of a new stack as that of the former one, where CloudFormation takes another name
    (CloudFormation user guide, "Name type"). So the one that is left gets another name here.
    """
    with step("the stack is deleted"):
        operator.type(f"aws cloudformation delete-stack --stack-name {STACK}")
        operator.type(f"aws cloudformation wait stack-delete-complete --stack-name {STACK}")
        restore = "aws dynamodb restore-table-to-point-in-time --use-latest-restorable-time"
        operator.type(f"{restore} --source-table-name {table} --target-table-name {FORMER_TABLE}")
        operator.type(f"aws dynamodb update-table --table-name {table} --no-deletion-protection-enabled")
        operator.type(f"aws dynamodb delete-table --table-name {table}")


def restore_stack(env, operator, guide, before, was_open):
    """Brings the jobs of a deleted stack into a new one."""
    with step("records are copied from the backup, in which one job was open"):
        operator.type(guide.copy)
        ended = {job: status for job, status in before.items() if job != was_open}
        jobs.require_same("with the backup's records", ended, jobs.statuses(env))
    with step("records are copied from the table that the former stack has left"):
        operator.type(guide.to_file.replace("$JobsTable", FORMER_TABLE))
        refused = operator.type(guide.copy).count("ConditionalCheckFailedException")
        if refused != len(ended):
            raise Failure(f"{refused} records were refused, and {len(ended)} were there already")
        jobs.require_same("with all records of the former stack", before, jobs.statuses(env))


def require_new_job(env, image):
    if (job := jobs.succeed(env, image, "of the new stack")) != str(FIRST_JOB):
        raise Failure(f"the first job of the new stack has the number {job}")


def main():
    options = arguments()
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = no_proxy()
    # So that all is ended whoever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(options)
    except Failure as failure:
        sys.exit(f"try-restore: {failure}\n\nThe logs of the stack are below {shown(options.dir)}/.")
    print("Records and stack are restored by the commands of docs/operators.md.")


if __name__ == "__main__":
    main()
