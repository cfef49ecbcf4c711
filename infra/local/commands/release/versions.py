"""The version of the sources."""

import tomllib

from common.failure import Failure
from common.paths import TOP


def current():
    return tomllib.loads((TOP / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def checked(tag):
    """The version, if it is that of the tag, or if there is none."""
    version = current()
    if tag not in (None, f"v{version}"):
        raise Failure(f"the tag is {tag}, but Cargo.toml has the version {version}")
    return version
