"""A version of the uploader: a revision's sources, and its functions."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

from common.failure import Failure
from common.paths import BINARIES, TOP
from common.process import output


class Version(NamedTuple):
    """What is deployed, under the name that the output has for it."""

    name: str
    sources: Path
    functions: Path

    def has_routes(self):
        """Whether it knows other routes than import. The preflight, which chooses one, came with them."""
        return (self.functions / "preflight").exists()


WORKING_TREE = Version("the working tree", TOP, BINARIES)


def check_out(revision, folder):
    """Lays the files of a revision below `folder`, in a folder named after its commit. Returns that.

    A copy, not a work tree of Git: it needs no cleaning up in the repository.
    """
    commit = output("git", "-C", TOP, "rev-parse", "--verify", "--short", f"{revision}^{{commit}}").strip()
    sources = folder / commit
    if not sources.exists():
        archive = subprocess.run(["git", "-C", TOP, "archive", commit], stdout=subprocess.PIPE, check=False)
        if archive.returncode != 0:
            raise Failure(f"git archive {commit} ended with {archive.returncode}")
        half = folder / f"{commit}.new"
        shutil.rmtree(half, ignore_errors=True)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(half, filter="data")
        half.rename(sources)
    return sources


def build(sources, target):
    """Builds the functions of a checkout. Returns their folder."""
    env = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    command = ["cargo", "build", "--profile", "quick", "--locked", "--workspace", "--bins"]
    if subprocess.run(command, cwd=sources, env=env, check=False).returncode != 0:
        raise Failure(f"the functions of {sources.name} cannot be built")
    return target / "quick"
