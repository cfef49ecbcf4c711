"""The command line of `recording`."""

import argparse
import json
import os
import subprocess
import sys

import recording
from common.failure import Failure
from common.paths import TARGET, TOP, shown
from recording.cast import lines_of, redacted
from recording.drawing import svg
from stack import tools

CAST, PICTURE = TOP / "docs" / "demo.cast", TOP / "docs" / "demo.svg"

COLUMNS, ROWS = 120, 32
LONGEST_PAUSE = 1
"""Seconds that are shown of a pause."""

LARGEST = 500_000
"""Bytes of a picture on a page."""

END = " of disk a second"
"""What a demo prints in its last lines that went well."""


def record():
    (asciinema,) = (folder / "asciinema" for folder in tools.install("recording"))
    file = TARGET / "demo.cast"
    # The make that called this command is not that of the recording.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    env |= {"TERM": "xterm-256color", "ASCIINEMA_CONFIG_HOME": str(TARGET / "asciinema")}
    command = [asciinema, "rec", "--quiet", "--overwrite", "--env", "TERM", "--title", "make demo"]
    command += ["--idle-time-limit", str(LONGEST_PAUSE), "--cols", str(COLUMNS), "--rows", str(ROWS)]
    command += ["--command", "echo '$ make demo'; make demo", file]
    if subprocess.run(command, cwd=TOP, env=env, check=False).returncode != 0:
        raise Failure("asciinema has recorded nothing")
    cast = redacted(file.read_text())
    if END not in cast:
        raise Failure(f"the demo has failed; see {shown(file)}")
    CAST.write_text(cast)


def draw(cast):
    head = json.loads(cast.partition("\n")[0])
    return svg(lines_of(cast), head["width"], head["height"])


def main():
    parser = argparse.ArgumentParser(
        prog="recording", description=recording.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draw", action="store_true", help="draw the recording that is there")
    options = parser.parse_args()
    try:
        if not options.draw:
            record()
        drawn = draw(CAST.read_text())
        if len(drawn) > LARGEST:
            raise Failure(f"the picture has {len(drawn)} bytes; {LARGEST} are enough for a page")
        PICTURE.write_text(drawn)
    except Failure as failure:
        sys.exit(f"recording: {failure}")
    print(f"{shown(CAST)}, {shown(PICTURE)}")


if __name__ == "__main__":
    main()
