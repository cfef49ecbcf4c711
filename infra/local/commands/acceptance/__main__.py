"""The command line of `acceptance`."""

import argparse
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import acceptance
from common.failure import Failure
from common.paths import COMMANDS, TARGET, shown
from release import versions
from stack import tools
from stack.deployment import architecture_here


def arguments():
    parser = argparse.ArgumentParser(
        prog="acceptance", description=acceptance.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--service-profile", help="of the AWS CLI: the account that the uploader is deployed into")
    parser.add_argument("--user-profile", help="of the AWS CLI: the account of a user of OBS")
    parser.add_argument("--region", help="of both")
    parser.add_argument("--user-region", metavar="REGION", help="of the uploads, if it is another one")
    parser.add_argument(
        "--encrypted-region", metavar="REGION", help="one in which the user's account encrypts EBS by default"
    )
    parser.add_argument("--release", type=Path, metavar="DIR", help="folder of a release (the one of make release)")
    parser.add_argument("--at-most", type=float, default=1.0, metavar="DOLLARS", help="what it may cost (1)")
    parser.add_argument("--remove-only", metavar="NAME", help="remove what the run of this name left, and no more")
    parser.add_argument("--local", action="store_true", help="on this machine, on an emulated AWS")
    parser.add_argument("--dir", type=Path, default=TARGET / "acceptance", help="for the report (target/acceptance)")
    parser.add_argument("--port", type=int, default=5266, help="with --local, the AWS endpoint (5266)")
    parser.add_argument("--api-port", type=int, default=5280, help="with --local, the cloud uploader (5280)")
    parser.add_argument(
        "--import-seconds", type=float, default=40, help="with --local, how long an import task takes (40)"
    )
    options = parser.parse_args()
    if not options.local and not (options.service_profile and options.user_profile and options.region):
        parser.error("give --service-profile, --user-profile and --region, or --local")
    return options


def default_release(local):
    architecture = architecture_here() if local else "arm64"
    return TARGET / "release-files" / f"cloudupload-{versions.current()}-{architecture}"


@contextlib.contextmanager
def target_of(options, name):
    from acceptance import local, target

    if options.local:
        with local.emulator(options, name) as emulator:
            yield emulator
    else:
        yield target.on_aws(options, name)


def run(options):
    from acceptance import costs
    from acceptance.course import Course
    from acceptance.page import page
    from acceptance.report import Outcome, Report
    from acceptance.target import NAME, new_name

    folder = options.dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    guard = costs.Guard(options.at_most)
    if options.remove_only:
        if not NAME.fullmatch(options.remove_only):
            raise Failure(f"{options.remove_only} is not the name of a run, such as {new_name()}")
        return remove_only(options, guard)
    release = (options.release or default_release(options.local)).resolve()
    plan = costs.plan(bool(options.encrypted_region or options.local), not options.local)
    print(f"This run costs {costs.dollars(plan):.2f} US dollars at most.", flush=True)
    guard.allow(plan)
    name, began = new_name(), time.time()
    with target_of(options, name) as target:
        print(f"Its name is {name}: all that it makes is found by it.", flush=True)
        report = Report(target.where, lambda line: print(line, flush=True))
        ended = "everything was tried"
        try:
            Course(target, release, folder, report, guard).run()
        except BaseException as error:
            ended = f"it ended early: {error or type(error).__name__}"
            raise
        finally:
            facts = [
                ("run", name),
                ("began", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(began))),
                ("took", f"{time.time() - began:.0f} s"),
                ("release", release.name),
                ("regions", ", ".join([target.service.region, *target.regions()])),
                ("course", ended),
                ("estimate before the run", f"{costs.dollars(plan):.2f} US dollars at most"),
            ]
            file = folder / "report.md"
            file.write_text(page(report, facts, guard.bill()))
            print(f"{report.summary()}; the report is {shown(file)}", flush=True)
            print(f"If its last line says that something is left: --remove-only {name}", flush=True)
    return 1 if report.count(Outcome.FAILED) else 0


def remove_only(options, guard):
    from acceptance.leftovers import words
    from acceptance.removal import Removal

    with target_of(options, options.remove_only) as target:
        removal = Removal(target, guard)
        removal.all()
        left = removal.left()
    print(f"left: {words(left)}")
    return 1 if left or removal.problems else 0


def main():
    options = arguments()
    (home,) = tools.install("acceptance")
    if Path(sys.prefix) != home.parent:
        # For the clients of AWS.
        os.execv(home / "python", [str(home / "python"), str(COMMANDS), "acceptance", *sys.argv[1:]])
    # So that everything is removed whoever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        code = run(options)
    except (Failure, BotoCoreError, ClientError) as failure:
        sys.exit(f"acceptance: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code)


if __name__ == "__main__":
    main()
