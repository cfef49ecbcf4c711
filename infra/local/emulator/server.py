"""Puts the additions into ministack and serves it, and the deployed API, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import resource
import signal
import sys
from pathlib import Path
from typing import NoReturn

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as ministack

import control
import ec2_access
import events_rules
import front
import logs_rules
import regions
import secrets_rules
import states_rules
import sts_rules
from ebs_direct import EbsDirect
from ec2_rules import Ec2Rules
from s3_rules import S3Rules
from snapshots import SnapshotStore
from vm_import import VmImport


def run(port: int, api_port: int, data: Path, import_seconds: float) -> None:
    install(data, import_seconds)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    faulthandler.register(signal.SIGUSR1)  # writes what each thread is at
    asyncio.run(serve_both(port, api_port, data))


def install(data: Path, import_seconds: float) -> None:
    control.install()
    store = SnapshotStore(data / "snapshots")
    ec2_access.install()
    Ec2Rules(store).install()
    EbsDirect(store).install()
    VmImport(store, import_seconds).install()
    S3Rules(data / "objects").install()
    regions.install()
    sts_rules.install()
    logs_rules.install()
    secrets_rules.install()
    states_rules.install()
    events_rules.install()
    front.install()
    take_loopback_for_tls()


def take_loopback_for_tls() -> None:
    """Nothing here speaks TLS, and nothing leaves this machine: the bucket policies that ask for TLS
    (aws:SecureTransport) are met, so that templates are deployed with them as they are."""
    pin = ministack.pin_request_origin
    ministack.pin_request_origin = lambda source_ip, _secure: pin(source_ip, True)


async def serve_both(port: int, api_port: int, data: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    serving = [
        asyncio.create_task(serve(ministack.app, listening(port), shutdown_trigger=stop.wait)),
        asyncio.create_task(serve(front.Front(data / "api-id"), listening(api_port), shutdown_trigger=stop.wait)),
    ]
    ended, _ = await asyncio.wait([asyncio.create_task(stop.wait()), *serving], return_when=asyncio.FIRST_COMPLETED)
    # At once, beside the servers: they would wait for their open connections, from Python 3.12 on without a bound.
    for problem in filter(None, (task.exception() for task in ended)):  # as a rule: a port is taken
        print(f"emulator: 127.0.0.1, ports {port} and {api_port}: {problem}", file=sys.stderr, flush=True)
        leave(1)
    leave()


def listening(port: int) -> Config:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 75
    config.h11_max_incomplete_size = 64 * 1024
    return config


def leave(code: int = 0) -> NoReturn:
    """Ends this process and the Lambda processes it has started, which ministack would leave to themselves.

    Nothing of ministack's is worth a wait: its state is in memory, and its threads may sleep for minutes in a function
    or an execution.
    """
    for children in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError):  # a thread that ended meanwhile
            for pid in children.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
    logging.shutdown()
    os._exit(code)
