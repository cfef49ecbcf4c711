"""The command line of `obs`."""

import argparse
import base64
import os

import obs
from obs.server import Server


def main():
    parser = argparse.ArgumentParser(prog="obs", description=obs.__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--root", required=True, help="<project>/<repository>/<arch>/<package>/<file> lie here")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    arguments = parser.parse_args()
    credentials = None
    if arguments.user:
        pair = f"{arguments.user}:{arguments.password}".encode()
        credentials = b"Basic " + base64.b64encode(pair)
    os.makedirs(arguments.root, exist_ok=True)
    server = Server(arguments.port, os.path.realpath(arguments.root), credentials)
    print(f"OBS build results of {arguments.root} on http://127.0.0.1:{server.server_port}/build", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
