"""Brings a stack up, and ends it."""

import contextlib
import fcntl
import json
import os
import shutil
import urllib.error
import urllib.request

from common import local_user, settings
from common.failure import Failure
from common.loopback import no_proxy, without_secret
from common.paths import BINARIES, COMMANDS, LOCAL, shown
from common.process import tail
from stack.deployment import REGION, USER_ACCOUNT, USER_REGION, Deployment
from stack.services import Service, end
from stack.steps import step
from stack.tools import TOOLS, base_python


def up(options):
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = no_proxy()
    folder = options.dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder):
        faults_url = faults_up(folder, options)
        obs_root, obs_url = obs_up(folder, options)
        emulator = emulator_service(folder, options, faults_url)
        run_of_emulator = emulator.up()
        sources, functions = options.sources.resolve(), options.functions.resolve()
        deployment = Deployment(folder, options.port, obs_url, dict(options.parameter), sources, functions)
        deployment.up(run_of_emulator)
        data = emulator_data(folder)
        (data / "api-id").write_text(deployment.api_id())
        url = f"http://{deployment.credentials()}127.0.0.1:{options.api_port}"
        write_settings(folder, url, deployment, data, obs_root, faults_url)
        with step("api: the first answer"):
            require_answer(url, emulator.log)
        user = user_up(folder)
    print(f"The cloud uploader is at {url}; its settings are in {shown(folder / 'env')}.")
    if user:
        print(f"Its page is at {local_user.page_url({'CLOUDUPLOAD_URL': url})}: sign in with the token")
        print(f"    {user.token}")
        print(f"and connect the role {user.role} in {USER_REGION}.")


def down(folder, clean):
    if not folder.exists():
        return
    with lock(folder):
        for name in ("emulator", "faults", "obs"):
            if end(folder / f"{name}.pid"):
                print(f"{name} has ended")
        for name in ("env", "deployed", "external-id", "local-user"):
            (folder / name).unlink(missing_ok=True)
        if clean:
            for name in ("emulator", "obs"):
                shutil.rmtree(folder / name, ignore_errors=True)


@contextlib.contextmanager
def lock(folder):
    """One `up` or `down` at a time."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def faults_up(folder, options):
    """The proxy between the functions and the emulator, if one is wanted. Returns its URL."""
    if options.faults_port is None:
        end(folder / "faults.pid")
        return None
    binary = BINARIES / "fault-proxy"
    if not binary.exists():
        raise Failure(f"{shown(binary)} is not there: build it first, with `make build`")
    command = [binary, "--port", options.faults_port, "--upstream", f"http://127.0.0.1:{options.port}"]
    Service(folder, "faults", command, [binary], {"--faults-port": options.faults_port}).up()
    return f"http://127.0.0.1:{options.faults_port}"


def obs_up(folder, options):
    """The stand-in for OBS, unless there is another OBS. Returns its folder of build results, and its URL."""
    if url := os.environ.get("OBS_URL"):
        end(folder / "obs.pid")
        return None, url
    root = folder / "obs"
    command = [base_python(), COMMANDS, "obs", "--port", options.obs_port, "--root", root]
    sources = sorted((COMMANDS / "obs").glob("*.py"))
    Service(folder, "obs", command, sources, {"--obs-port": options.obs_port}).up()
    return root, f"http://127.0.0.1:{options.obs_port}"


def emulator_service(folder, options, functions_endpoint):
    command = [TOOLS / "emulator" / "bin" / "python", LOCAL / "emulator", "--port", options.port]
    command += ["--api-port", options.api_port, "--data", emulator_data(folder)]
    if options.import_seconds is not None:
        command += ["--import-seconds", options.import_seconds]
    if functions_endpoint:
        command += ["--functions-endpoint", functions_endpoint]
    sources = [*sorted((LOCAL / "emulator").glob("*.py")), LOCAL / "requirements-emulator.txt"]
    ports = {"--port": options.port, "--api-port": options.api_port}
    return Service(folder, "emulator", command, sources, ports)


def emulator_data(folder):
    return folder / "emulator"


def user_up(folder):
    """A user for the page, if the release has users."""
    env, file = settings.read(folder / "env"), folder / "local-user"
    if not env["USERS_TABLE"]:
        return None
    if file.exists():
        user = local_user.LocalUser(*json.loads(file.read_text()))
        if local_user.is_known(env, user.token):
            return user
    user = local_user.make(env, "tom")
    file.touch(mode=0o600)
    file.write_text(json.dumps(user))
    return user


def write_settings(folder, url, deployment, data, obs_root, faults_url):
    service, user = deployment.service_outputs(), deployment.user_outputs()
    values = {
        "CLOUDUPLOAD_URL": url,
        "USER_ROLE_ARN": user["RoleArn"],
        "USER_EC2_ROLE_ARN": deployment.ec2_role_outputs()["RoleArn"],
        "USER_EXTERNAL_ID": deployment.external_id.read_text(),
        "USER_REGION": USER_REGION,
        "USER_ACCOUNT": USER_ACCOUNT,
        "FRONTEND_SECRET": service.get("FrontendSecret", ""),
        "CALLERS_TABLE": service.get("CallersTable", ""),
        "USERS_TABLE": service.get("UsersTable", ""),
        "SERVICE_ACCOUNT": service["ServiceAccount"],
        "JOBS_TABLE": service["JobsTable"],
        "SLOTS_TABLE": service["SlotsTable"],
        # Versions before there were events have none.
        "OUTBOX_TABLE": service.get("OutboxTable", ""),
        "SWEEP_FUNCTION": service["SweepFunction"],
        # An earlier release has no canary.
        "CANARY_FUNCTION": service.get("CanaryFunction", ""),
        "STAGING_BUCKET": service["StagingBucket"],
        "JOB_LOG_GROUP": service["JobLogGroup"],
        "FUNCTION_LOG_GROUP": service["FunctionLogGroup"],
        "UPLOAD_MACHINE_ARN": service["UploadMachineArn"],
        # An earlier release has none.
        "USER_QUICK_CREATE_URL": service.get("UserQuickCreateUrl", ""),
        "EMULATOR_DATA": data,
        "SNAPSHOTS": data / "snapshots",
        "AWS_ENDPOINT_URL": deployment.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": no_proxy(),
        "no_proxy": no_proxy(),
    }
    if obs_root:
        values["OBS_ROOT"] = obs_root
    if faults_url:
        values["FAULTS_URL"] = faults_url
    settings.write(folder / "env", values)


def require_answer(url, log):
    """Asks for a job that cannot be there: whoever answers that with OBS's error has read the table."""
    plain, authorization = without_secret(f"{url}/cloudupload/0")
    try:
        urllib.request.urlopen(urllib.request.Request(plain, headers=authorization), timeout=30).close()
    except urllib.error.HTTPError as answer:
        body = answer.read().decode(errors="replace")
        if answer.code == 404 and "<status" in body:
            return
        raise Failure(f"The API answers {answer.code}: {body}\n{tail(log)}") from answer
    except OSError as error:
        raise Failure(f"The API does not answer: {error}\n{tail(log)}") from error
    raise Failure(f"The API knows a job 0.\n{tail(log)}")
