"""The command line of `upgrade`, and its course."""

import argparse
import signal
import sys
from pathlib import Path

import upgrade
from common import aws, local_stack, uploads
from common.failure import Failure
from common.paths import LOCAL, TARGET
from common.process import output
from upgrade import revision
from upgrade.jobs import FILE, SLOTS, Jobs, user_bucket
from upgrade.outcome import problems_of, wait_until_nothing_is_left
from upgrade.revision import WORKING_TREE, Version


def arguments():
    parser = argparse.ArgumentParser(
        prog="upgrade", description=upgrade.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="revision", default="HEAD", help="git revision that is deployed first (HEAD)")
    parser.add_argument("--functions", type=Path, metavar="DIR", help="its functions, built already")
    parser.add_argument("--no-way-back", dest="way_back", action="store_false", help="do not deploy REVISION again")
    parser.add_argument("--import-seconds", type=int, default=60, help="an import's: longer than the upgrade (60)")
    parser.add_argument(
        "--dir", type=Path, default=TARGET / "upgrade", help="sources, build and stack (target/upgrade)"
    )
    parser.add_argument("--port", type=int, default=4966, help="the stack's AWS endpoint (4966)")
    parser.add_argument("--api-port", type=int, default=4980, help="the stack's cloud uploader (4980)")
    parser.add_argument("--obs-port", type=int, default=4982, help="the stack's stand-in for OBS (4982)")
    parser.add_argument("--faults-port", type=int, default=4990, help="the stack's proxy before AWS (4990)")
    return parser.parse_args()


class Stack:
    """A stack that gets one version after the other."""

    def __init__(self, folder, options):
        self.folder = folder
        self.arguments = ["--import-seconds", options.import_seconds]
        for name in ("port", "api_port", "obs_port", "faults_port"):
            self.arguments += [f"--{name.replace('_', '-')}", getattr(options, name)]
        self.arguments += ["--parameter", f"Slots={SLOTS}", "--parameter", f"SlotsPerUser={SLOTS}"]

    def deploy(self, version, *arguments):
        """Returns the settings of the stack."""
        print(f"== {version.name} is deployed", flush=True)
        folders = "--sources", version.sources, "--functions", version.functions
        return local_stack.up(self.folder, *self.arguments, *folders, *arguments)


def run(options):
    folder = options.dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    sources = revision.check_out(options.revision, folder)
    before = Version(sources.name, sources, options.functions or revision.build(sources, folder / "build"))
    image = folder / "image.raw.xz"
    output(LOCAL / "make-disk", image, "--size-mib", "48", "--content-mib", "16")
    with local_stack.cleaned(folder):
        stack = Stack(folder, options)
        env = stack.deploy(before)
        # The first release found no bucket where the answer for a missing one is 403: its users had one.
        aws.create_bucket(env, user_bucket(env), env["USER_ACCOUNT"], env["USER_REGION"])
        jobs = Jobs(env, "upgrade", image, before)
        jobs.bring_into_their_states()
        jobs.require_held()
        # As an operator does it whose OBS has no secret yet.
        env = stack.deploy(WORKING_TREE, "--parameter", "CallersWithoutSecret=allowed")
        see_to_the_end(env, jobs)
        if options.way_back:
            jobs = Jobs(env, "rollback", image, WORKING_TREE)
            refused = uploads.submit_refused(env, jobs.build, FILE)
            jobs.bring_into_their_states()
            jobs.require_held()
            env = stack.deploy(before)
            see_to_the_end(env, jobs)
            require_list(env, jobs, refused)


def see_to_the_end(env, jobs):
    """Waits for the ends of jobs over which another version has been deployed, and prints a line for each.

    Fails if one has not ended as it should, or something is left.
    """
    jobs.require_still_running()
    jobs.finish()
    wait_until_nothing_is_left(env)
    failed = False
    for job in jobs.all:
        status, problems = job.status(), problems_of(job)
        print(f"job {job.number:>2}  {job.moment:<28}  {status['state']:<10} {status.get('details', '')}", flush=True)
        for problem in problems:
            failed = True
            print(f"        {problem}")
    if failed:
        raise Failure("not all jobs have ended as they should")
    print("All jobs have ended as they should, and nothing of them is left.", flush=True)


def require_list(env, jobs, refused):
    """All jobs have to be in the list, but for one that the version may be unable to read."""
    listed = uploads.listed(env)
    if missing := [job.number for job in jobs.all if job.number not in listed]:
        raise Failure(f"the list of jobs lacks {', '.join(missing)}")
    if refused in listed:
        print(f"All jobs are listed, and job {refused}, which was refused as it was created, among them.")
    else:
        print(f"All jobs are listed but job {refused}: it was refused as it was created, and this version cannot read it.")


def main():
    options = arguments()
    # So that the stack is ended whoever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(options)
    except Failure as failure:
        sys.exit(f"upgrade: {failure}")


if __name__ == "__main__":
    main()
