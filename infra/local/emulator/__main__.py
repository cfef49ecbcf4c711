"""The local AWS: ministack with what it lacks (see README.md in this folder).

    <venv>/bin/python infra/local/emulator --port 4566 --api-port 4580 --data DIR

Everything ministack reads from the environment is set here, before its first import.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import IO

MINISTACK = "1.5.33"
"""The additions lean on ministack's private names, so they fit this one version."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="emulator", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=4566, help="the AWS endpoint, on 127.0.0.1")
    parser.add_argument("--api-port", type=int, default=4580, help="the deployed HTTP API, on 127.0.0.1")
    parser.add_argument("--data", type=Path, required=True, help="folder for objects, snapshots and scratch")
    parser.add_argument("--import-seconds", type=float, default=4.0, help="how long an import task takes")
    parser.add_argument(
        "--functions-endpoint", metavar="URL", help="what functions take for the AWS endpoint (by default, it is)"
    )
    return parser.parse_args()


def require_ministack() -> None:
    """Ends the process, saying what to install, if another ministack is there than the one needed."""
    try:
        found = metadata.version("ministack")
    except metadata.PackageNotFoundError:
        found = "none"
    if found != MINISTACK:
        sys.exit(
            f"emulator: ministack {MINISTACK} is needed, found {found}; "
            "install infra/local/requirements-emulator.txt into this Python's environment"
        )


def prepare(data: Path) -> IO[str]:
    """Takes the data folder, as long as the returned lock is open, and empties it.

    What an earlier emulator left there nothing names any more: the rest of its state was in its memory.
    """
    data.mkdir(parents=True, exist_ok=True)
    lock = (data / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"emulator: another emulator runs on {data}")
    for name in ("objects", "snapshots", "tmp"):
        shutil.rmtree(data / name, ignore_errors=True)
        (data / name).mkdir(parents=True)
    (data / "api-id").unlink(missing_ok=True)
    return lock


def set_environment(port: int, functions_endpoint: str, scratch: Path) -> None:
    """Sets what ministack and the Lambda processes it starts (they inherit all of it) read. The endpoint is for those
    processes only."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(
        AUTH="true",
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(port),
        MINISTACK_HOST="localhost",
        MINISTACK_REGION="us-east-1",
        AWS_ENDPOINT_URL=functions_endpoint,
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        LAMBDA_EXECUTOR="local",
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        PERSIST_STATE="0",
        S3_PERSIST="0",
        NO_PROXY="127.0.0.1,localhost",
        TMPDIR=str(scratch),
    )


def main() -> None:
    options = arguments()
    require_ministack()
    data: Path = options.data.resolve()
    with prepare(data):
        set_environment(options.port, options.functions_endpoint or f"http://127.0.0.1:{options.port}", data / "tmp")
        import server  # imports ministack, hence only now

        server.run(options.port, options.api_port, data, options.import_seconds)


if __name__ == "__main__":
    main()
