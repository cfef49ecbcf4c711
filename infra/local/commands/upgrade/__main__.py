"""The command line of `upgrade`, and its course."""

import argparse
import signal
import sys
from pathlib import Path

import upgrade
from common import local_stack
from common.failure import Failure
from common.paths import BINARIES, LOCAL, TARGET, TOP
from common.process import output
from upgrade import revision
from upgrade.jobs import SLOTS, Jobs
from upgrade.outcome import problems_of, wait_until_nothing_is_left


def arguments():
    parser = argparse.ArgumentParser(
        prog="upgrade", description=upgrade.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="revision", default="HEAD", help="git revision that is deployed first (HEAD)")
    parser.add_argument("--functions", type=Path, metavar="DIR", help="its functions, built already")
    parser.add_argument("--import-seconds", type=int, default=60, help="an import's: longer than the upgrade (60)")
    parser.add_argument(
        "--dir", type=Path, default=TARGET / "upgrade", help="sources, build and stack (target/upgrade)"
    )
    parser.add_argument("--port", type=int, default=4966, help="the stack's AWS endpoint (4966)")
    parser.add_argument("--api-port", type=int, default=4980, help="the stack's cloud uploader (4980)")
    parser.add_argument("--obs-port", type=int, default=4982, help="the stack's stand-in for OBS (4982)")
    parser.add_argument("--faults-port", type=int, default=4990, help="the stack's proxy before AWS (4990)")
    return parser.parse_args()


def run(options):
    folder = options.dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    sources = revision.check_out(options.revision, folder)
    functions = options.functions or revision.build(sources, folder / "build")
    image = folder / "image.raw.xz"
    output(LOCAL / "make-disk", image, "--size-mib", "48", "--content-mib", "16")
    stack = ["--import-seconds", options.import_seconds]
    for name in ("port", "api_port", "obs_port", "faults_port"):
        stack += [f"--{name.replace('_', '-')}", getattr(options, name)]
    stack += ["--parameter", f"Slots={SLOTS}", "--parameter", f"SlotsPerUser={SLOTS}"]
    with local_stack.cleaned(folder):
        print(f"== {sources.name} is deployed", flush=True)
        env = local_stack.up(folder, *stack, "--sources", sources, "--functions", functions)
        jobs = Jobs(env, image)
        jobs.bring_into_their_states()
        print("== the working tree is deployed over its jobs", flush=True)
        # As an operator does it whose OBS has no secret yet.
        stack += ["--parameter", "CallersWithoutSecret=allowed"]
        local_stack.up(folder, *stack, "--sources", TOP, "--functions", BINARIES)
        jobs.require_still_running()
        jobs.finish()
        wait_until_nothing_is_left(env)
        report(jobs)


def report(jobs):
    """Prints a line for each job, and fails if one has not ended as it should."""
    failed = False
    for job in jobs.all:
        status, problems = job.status(), problems_of(job)
        print(f"job {job.number}  {job.moment:<28}  {status['state']:<10} {status.get('details', '')}")
        for problem in problems:
            failed = True
            print(f"       {problem}")
    if failed:
        raise Failure("not all jobs have ended as they should")
    print("All jobs have ended as they should, and nothing of them is left.")


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
