"""The command line of `test-obs`, and its course."""

import argparse
import signal
import sys
from pathlib import Path

import test_obs
from common import local_stack, uploads
from common.failure import Failure
from common.paths import LOCAL, TARGET
from common.process import output
from test_obs import expectations, relays
from test_obs.nginx import Nginx
from test_obs.ports import Ports
from test_obs.relay import Relay
from test_obs.source_server import SourceServer

FIRST_JOB = 100_000
"""Jobs have numbers of six digits."""

FILE = "leap-ec2.x86_64-15.6.raw.xz"
# Its compressed size is more than the 10 MB that API Gateway takes.
IMAGE = ("--size-mib", "64", "--content-mib", "40")


def arguments():
    parser = argparse.ArgumentParser(
        prog="test-obs", description=test_obs.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dir", type=Path, default=TARGET / "test-obs", help="logs and data (target/test-obs)")
    parser.add_argument("--port", type=int, default=4900, help="the first of ten ports (4900)")
    return parser.parse_args()


def run(options):
    folder, ports = options.dir.resolve(), Ports(options.port)
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "image.raw.xz"
    output(LOCAL / "make-disk", image, *IMAGE)
    services = []
    with local_stack.cleaned(folder):
        try:
            env = local_stack.up(folder, *ports.of_the_stack(), "--parameter", f"FirstJob={FIRST_JOB}")
            uploads.publish(env, uploads.build_result("leap-ec2"), image, FILE)
            nginx = Nginx(folder, env, ports)
            by_nginx = SourceServer(folder, "source-server", ports.source_server, ports, nginx.uploader)
            direct = SourceServer(folder, "source-server-direct", ports.direct_source_server, ports, nginx.direct)
            relay = Relay(folder, env, ports)
            relayed = SourceServer(folder, "source-server-relay", ports.relayed_source_server, ports, relay.url)
            for service in (nginx, by_nginx, direct, relay, relayed):
                services.append(service)
                service.up()
            size = image.stat().st_size
            expectations.check_all(env, FILE, nginx.frontend, by_nginx.url, direct.url, relayed.url, size)
            stalled = uploads.publish(env, uploads.build_result(relays.STALLED), image, FILE)
            by_relay = expectations.Door("source server by the relay", relayed.url, env, FILE, size)
            relays.check(relay, by_relay, stalled)
            relays.check_without_aws(relay, by_relay, folder)
        finally:
            for service in services:
                service.down()


def main():
    options = arguments()
    # So that all is ended whoever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(options)
    except Failure as failure:
        sys.exit(f"test-obs: {failure}")


if __name__ == "__main__":
    main()
