"""Runs the command that is named first: a package of this folder. Started by infra/local/run."""

import runpy
import sys

if __name__ == "__main__":
    runpy.run_module(sys.argv.pop(1).replace("-", "_"), run_name="__main__", alter_sys=True)
