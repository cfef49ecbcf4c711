"""Functions as they are deployed, each in a process of its own between stand-ins."""

import os
import subprocess

from common.paths import TARGET
from common.process import output

RELEASE = TARGET / "release"

PASSED_ON = (
    *("JOBS_TABLE", "OUTBOX_TABLE", "SLOTS_TABLE", "JOB_LOG_GROUP", "STAGING_BUCKET", "SERVICE_ACCOUNT"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"),
)
"""Settings of the stack that functions have, too."""


def build(*names):
    """Builds functions with `--release`, as `make package` does: with the features of the whole workspace."""
    env = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    output("cargo", "build", "--locked", "--release", *(word for name in names for word in ("--bin", name)), env=env)


def start(runtime, memory, env, variables, prefix=()):
    """Starts the function of a stand-in for Lambda, which has so many MiB there.

    In the environment of a function, and nothing else: Lambda developer guide, "Using environment variables". `env` are
    the settings of the stack. `prefix` is a command that ends by executing the function.
    """
    environment = {
        "AWS_LAMBDA_RUNTIME_API": runtime.server.address,
        "AWS_LAMBDA_FUNCTION_NAME": runtime.function,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
        "AWS_LAMBDA_LOG_GROUP_NAME": env["FUNCTION_LOG_GROUP"],
        "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
        "METRICS_NAMESPACE": "bench",
        "DEPLOYMENT": "bench",
        **{name: env[name] for name in PASSED_ON},
        **variables,
    }
    command = [*prefix, RELEASE / runtime.function]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
