"""The programs that make file systems and xz files."""

import os
import shutil
import subprocess

from common.failure import Failure


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def program(name):
    """Where a program is. Administrators' programs may be in a folder that is not in a user's PATH."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not found:
        raise Failure(f"{name} is missing; `infra/local/needs make-disk` tells how to install it")
    return found
