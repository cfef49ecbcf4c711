"""The steps, in two lanes: with Cargo, which has one lock for all that it builds, and without."""

import os
import shutil
import sys

from check import described_api, logged_metrics, secrets, user_link
from check.lanes import Step
from common import node, settings
from common.failure import Failure
from common.paths import BINARIES, COMMANDS, LOCAL, TARGET, TOP
from needs.report import report
from needs.table import OBS
from stack.deployment import architecture_here

STACK = LOCAL / "stack"
TOOLS = TARGET / "tools"
FOLDER = TARGET / "test"
OSC_PLUGIN = TOP / "clients" / "osc"
OSCS = ("osc-oldest", "osc")
"""Environments with the oldest osc that its plugin works with, and with the newest."""

FUZZERS = TOP / "tests" / "fuzz" / "Cargo.toml"
PORTS = ("--port", 4666, "--api-port", 4680, "--obs-port", 4682, "--faults-port", 4690)

# Always the whole workspace: with other features than those of the build, every SDK would be built again.
WORKSPACE = ("--profile", "quick", "--locked", "--workspace")


def workflow(shell):
    node.install(shell, shell.env)
    # The validator takes ${ReceiveArn} and the like for ARNs, but no integration of an unknown partition.
    definition = (TOP / "infra" / "upload.asl.json").read_text().replace("${Partition}", "aws")
    deployed = FOLDER / "upload.asl.json"
    deployed.write_text(definition)
    validator = node.MODULES / ".bin" / "asl-validator"
    shell(node.PROGRAM, validator, "--json-path", deployed, "--no-arn-check")


def template(name):
    return lambda shell: validate(shell, TOP / "infra" / name)


def acceptance_templates(shell):
    for file in sorted((TOP / "infra" / "acceptance").glob("*.yaml")):
        validate(shell, file)


def validate(shell, file):
    shell(STACK, "tools", "sam")
    command = [TOOLS / "sam" / "bin" / "sam", "validate", "--lint", "--template", file]
    shell(*command, env={**shell.env, "SAM_CLI_TELEMETRY": "0"})


def permissions(shell):
    infra = TOP / "infra"
    unittest = ("-m", "unittest", "discover", "-s", infra / "tests", "-t", infra, "-p", "linked_permissions.py")
    shell(TOOLS / "sam" / "bin" / "python", "-B", *unittest)


def insecure_settings(shell):
    """checkov's findings. Exceptions are in the templates' metadata, with their reasons."""
    shell(STACK, "tools", "checkov")
    checkov = TOOLS / "checkov" / "bin" / "checkov"
    files = [TOP / "infra" / name for name in ("template.yaml", "user-account.yaml")]
    files += sorted((TOP / "infra" / "acceptance").glob("*.yaml"))
    shell(checkov, "--framework", "cloudformation", "--compact", "--quiet", "--skip-download", "--file", *files)


def templates(shell):
    shell(STACK, "tools", "sam")
    infra = TOP / "infra"
    shell(TOOLS / "sam" / "bin" / "python", "-B", "-m", "unittest", "discover", "-s", infra / "tests", "-t", infra)


def api_description(shell):
    shell(STACK, "tools", "openapi")
    shell(TOOLS / "openapi" / "bin" / "openapi-spec-validator", TOP / "docs" / "openapi.yaml")


def commands(shell):
    shell(sys.executable, "-m", "unittest", "discover", "-s", COMMANDS / "tests", "-t", COMMANDS)
    shell(sys.executable, "-B", "-m", "unittest", "discover", "-s", described_api.HOME)


def emulator(shell):
    shell(STACK, "tools", "emulator")
    shell(TOOLS / "emulator" / "bin" / "python", "-B", LOCAL / "emulator" / "test_emulator.py")


def osc_plugin(shell):
    for name in OSCS:
        shell(STACK, "tools", name)
        install = ("--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--force-reinstall")
        shell(TOOLS / name / "bin" / "pip", "install", *install, OSC_PLUGIN)
        osc_plugin_tests(shell, name, "test_*.py")


def osc_plugin_tests(shell, name, pattern, **options):
    unittest = ("-m", "unittest", "discover", "-s", OSC_PLUGIN / "tests", "-t", OSC_PLUGIN, "-p", pattern)
    shell(TOOLS / name / "bin" / "python", "-B", *unittest, **options)


def stack_up(shell):
    shell(STACK, "up", "--dir", FOLDER, *PORTS)


def link_for_users(_shell):
    user_link.verify(settings.read(FOLDER / "env"))


def api_as_described(shell):
    shell(STACK, "tools", "schemathesis")
    described_api.hold(shell, settings.read(FOLDER / "env"), TOOLS / "schemathesis" / "bin" / "schemathesis")


def page(shell):
    """On the stack, too, if it runs."""
    shell(LOCAL / "page", "test", env=settings.environment(FOLDER / "env", shell.env))


def osc_plugin_on_stack(shell):
    env = {**settings.environment(FOLDER / "env", shell.env), "PYTHONPATH": str(COMMANDS)}
    for name in OSCS:
        osc_plugin_tests(shell, name, "on_stack.py", env=env)


def both_doors(shell):
    shell(LOCAL / "test-obs")


def stack_down(shell):
    shell(STACK, "down", "--dir", FOLDER, "--clean")


def end_to_end(shell):
    env = settings.environment(FOLDER / "env", shell.env)
    names = [word for file in sorted((TOP / "tests" / "tests").glob("*.rs")) for word in ("--test", file.stem)]
    shell("cargo", "test", *WORKSPACE, "--no-fail-fast", *names, env=env)


def acceptance_tests(shell):
    shell(STACK, "tools", "acceptance")
    command = [TOOLS / "acceptance" / "bin" / "python", "-B", "-m", "unittest", "discover"]
    shell(*command, "-s", COMMANDS / "acceptance" / "tests", "-t", COMMANDS)


def acceptance(shell):
    (written,) = (FOLDER / "release").glob("*/template.yaml")
    folder = FOLDER / "acceptance"
    shell(LOCAL / "acceptance", "--local", "--release", written.parent, "--dir", folder)
    places = {"ACCEPTANCE_RELEASE": str(written.parent), "ACCEPTANCE_DIR": str(folder), "PYTHONPATH": str(COMMANDS)}
    command = [TOOLS / "acceptance" / "bin" / "python", "-B", "-m", "unittest", "acceptance.tests.on_emulator"]
    shell(*command, env={**shell.env, **places})


def release(shell):
    """The files of a release, with the functions of the tests instead of optimized ones."""
    shutil.rmtree(FOLDER / "release", ignore_errors=True)  # it may be of another version
    shell(LOCAL / "release", "--architecture", architecture_here(), "--functions", BINARIES, "--out", FOLDER / "release")
    (written,) = (FOLDER / "release").glob("*/template.yaml")
    validate(shell, written)


def release_deployed(shell):
    (tar,) = (FOLDER / "release").glob("*.tar")
    shell(LOCAL / "try-release", tar, "--dir", FOLDER / "try-release")


def backup_and_restore(shell):
    shell(LOCAL / "try-restore", "--dir", FOLDER / "try-restore")


def secrets_in_logs(shell):
    lines = secrets.search(settings.read(FOLDER / "env"), FOLDER)
    shell.log.write(f"no secret in {lines} lines\n".encode())


def metrics_in_logs(shell):
    lines = logged_metrics.verify(settings.read(FOLDER / "env"), "cloudupload")
    shell.log.write(f"{lines} lines with metrics\n".encode())


def cargo(*arguments):
    return lambda shell: shell("cargo", *arguments)


LINT = (
    [
        Step("format", cargo("fmt", "--all", "--check")),
        # It has the dependencies of the functions, and nothing but `make fuzz` reads it.
        Step("lock file of the fuzzers", cargo("tree", "--locked", "--depth", "0", "--manifest-path", FUZZERS)),
        Step("clippy", cargo("clippy", *WORKSPACE, "--all-targets", "--", "-D", "warnings")),
    ],
    [
        Step("workflow", workflow),
        Step("template of the service", template("template.yaml")),
        Step("template of a user", template("user-account.yaml")),
        Step("templates of the acceptance", acceptance_templates),
        Step("tests of the templates", templates),
        Step("insecure settings", insecure_settings),
        Step("description of the API", api_description),
    ],
)

def doors_of_obs():
    """The step with a real OBS, where one is installed. CI has to have it."""
    missing = [need for need in OBS if not need.is_there()]
    if not missing:
        return [Step("both doors of OBS", both_doors, after="build")]
    if os.environ.get("CI") == "true":
        raise Failure(report(["test-obs"], missing))
    return []


TESTS = (
    [
        Step("build", cargo("build", *WORKSPACE, "--bins")),
        Step("tests of the crates", cargo("test", *WORKSPACE, "--no-fail-fast", "--lib", "--bins", "--test", "relay")),
        # These tests make calls of the function api fail, whoever's request they are for.
        Step("tests on the stack", end_to_end, after="API against its description"),
        Step("secrets in logs", secrets_in_logs),
        Step("metrics in logs", metrics_in_logs),
    ],
    [
        Step("tests of the commands", commands),
        Step("tests of the emulator", emulator),
        Step("tests of the acceptance", acceptance_tests),
        Step("tests of the plugin of osc", osc_plugin),
        Step("permissions of the functions", permissions, after="build"),
        Step("stack", stack_up, after="build"),
        Step("link for users", link_for_users),
        Step("page in a browser", page),
        Step("tests of the plugin on the stack", osc_plugin_on_stack),
        Step("API against its description", api_as_described),
    ],
)

# Most of it is the AWS CLI's waiting, 30 s between two looks at a stack: it has a lane of its own.
RELEASE = [
    Step("release", release, after="build"),
    Step("release deployed", release_deployed),
    Step("backup and restore", backup_and_restore),
    Step("acceptance on the emulator", acceptance),
]
