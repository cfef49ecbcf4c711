"""The command line of `try-release`, and its course."""

import argparse
import os
import shutil
import signal
import sys
import tarfile
from pathlib import Path

import try_release
from check import user_link
from common.failure import Failure
from common.loopback import fetch, no_proxy
from common.paths import LOCAL, TARGET, shown
from common.process import output
from release import versions
from stack import running, tools
from stack.deployment import REGION, STACK, USER_ACCOUNT, USER_REGION, USER_STACK, architecture_here
from stack.steps import step
from try_release import job
from try_release.account import Account
from try_release.guide import commands

IMAGE = ("--size-mib", "48", "--content-mib", "8")


def arguments():
    parser = argparse.ArgumentParser(
        prog="try-release", description=try_release.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("release", type=Path, nargs="?", help="tar file (this version's, for this processor)")
    parser.add_argument("--dir", type=Path, default=TARGET / "try-release", help="logs and data (target/try-release)")
    parser.add_argument("--port", type=int, default=5066, help="the AWS endpoint (5066)")
    parser.add_argument("--api-port", type=int, default=5080, help="the cloud uploader (5080)")
    parser.add_argument("--obs-port", type=int, default=5082, help="the stand-in for OBS (5082)")
    return parser.parse_args(namespace=argparse.Namespace(import_seconds=None))


def default_release():
    return TARGET / "release-files" / f"cloudupload-{versions.current()}-{architecture_here()}.tar"


def unpack(release, folder):
    """The release's files in a folder where nothing else is."""
    if not release.exists():
        raise Failure(f"{release} is not there: make it first, with `make release`")
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(release) as archive:
        archive.extractall(folder, filter="data")
    (files,) = folder.iterdir()
    return files


def deploy(files, operator, obs_url):
    """Does what DEPLOY.md says. Returns the stack's outputs."""
    words = {"BUCKET": "release-of-an-operator", "REGION": REGION, "OBS": obs_url, "EMAIL": "operator@example.org"}
    for command in commands((files / "DEPLOY.md").read_text(), words):
        with step(command.split(" --")[0]):
            operator.shell(command)
    return operator.outputs(STACK)


def deploy_user(files, user, service_account):
    """Does what the README tells a user. Returns the settings for uploads into that account."""
    external_id = "external-id-of-tom"
    parameters = f"ServiceAccountId={service_account} ExternalId={external_id}"
    user.shell(
        f"aws cloudformation deploy --template-file {files}/user-account.yaml --stack-name {USER_STACK} "
        f"--capabilities CAPABILITY_NAMED_IAM --parameter-overrides {parameters}"
    )
    role = user.outputs(USER_STACK)["RoleArn"]
    return {"USER_ROLE_ARN": role, "USER_EXTERNAL_ID": external_id, "USER_REGION": USER_REGION}


def require_refusal(url):
    """Whoever has no secret gets 401, also for a job that is not there."""
    try:
        fetch(f"{url}/cloudupload/0")
    except Failure as failure:
        if getattr(failure.__cause__, "code", None) == 401:
            return
        raise
    raise Failure("the API answers without a secret")


def run(options):
    folder = options.dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    files = unpack((options.release or default_release()).resolve(), folder / "files")
    tools.install("emulator", "aws")
    image, raw = folder / "image.raw.xz", folder / "image.raw"
    output(LOCAL / "make-disk", image, *IMAGE, "--raw", raw)
    running.down(folder, clean=True)
    try:
        obs_root, obs_url = running.obs_up(folder, options)
        emulator = running.emulator_service(folder, options, None)
        emulator.up()
        endpoint = f"http://127.0.0.1:{options.port}"
        operator = Account(folder / "operator", files, endpoint, "test", REGION)
        user = Account(folder / "user", files, endpoint, USER_ACCOUNT, USER_REGION)
        outputs = deploy(files, operator, obs_url)
        (running.emulator_data(folder) / "api-id").write_text(operator.resource(STACK, "HttpApi"))
        with step("the stack of a user"):
            settings = deploy_user(files, user, outputs["ServiceAccount"])
        host = f"127.0.0.1:{options.api_port}"
        secret = operator.json("secretsmanager", "get-secret-value", "--secret-id", outputs["FrontendSecret"])
        settings |= {
            "CLOUDUPLOAD_URL": f"http://obs:{secret['SecretString']}@{host}",
            "OBS_ROOT": obs_root,
            "AWS_ENDPOINT_URL": endpoint,
            "SERVICE_ACCOUNT": outputs["ServiceAccount"],
            "USER_QUICK_CREATE_URL": outputs["UserQuickCreateUrl"],
            "USER_ACCOUNT": USER_ACCOUNT,
            "EMULATOR_DATA": running.emulator_data(folder),
        }
        with step("api: 401 without the secret, 404 with it"):
            require_refusal(f"http://{host}")
            running.require_answer(settings["CLOUDUPLOAD_URL"], emulator.log)
        user_link.verify(settings)
        with step("an image from OBS to an AMI, with the same bytes"):
            job.compare(settings, job.upload(settings, image), raw)
    finally:
        running.down(folder, clean=True)
        shutil.rmtree(folder / "files")


def main():
    options = arguments()
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = no_proxy()
    # The image comes from the stand-in, whatever OBS the caller uses otherwise.
    os.environ.pop("OBS_URL", None)
    # So that all is ended whoever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(options)
    except Failure as failure:
        sys.exit(f"try-release: {failure}\n\nThe logs of the stack are below {shown(options.dir)}/.")
    print("The release is deployed and works, by its files and the AWS CLI alone.")


if __name__ == "__main__":
    main()
