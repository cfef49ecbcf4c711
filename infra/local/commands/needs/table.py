"""What each command needs, and how it is installed."""

from typing import NamedTuple


class Need(NamedTuple):
    """`what` it is for a person, and the packages that have it; "" where a package is of no help."""

    what: str
    debian: str = ""
    fedora: str = ""
    opensuse: str = ""
    how: str = ""
    """What to do in place of installing a package, or after it."""


PYTHON_VENV = Need("Python's venv module with pip", "python3-venv", "python3", "python3")
C_COMPILER = Need("a C compiler with the headers of the C library", "gcc libc6-dev", "gcc glibc-devel", "gcc glibc-devel")
CURL = Need("curl 7.75 or later (--aws-sigv4)", "curl", "curl", "curl")
CMP = Need("cmp", "diffutils", "diffutils", "diffutils")
MKFS = Need("mkfs.ext4", "e2fsprogs", "e2fsprogs", "e2fsprogs")
FSCK = Need("fsck.ext4", "e2fsprogs", "e2fsprogs", "e2fsprogs")
XZ = Need("xz", "xz-utils", "xz", "xz")
GIT = Need("git", "git", "git", "git")
CARGO = Need(
    "Cargo",
    "rustup",
    "rustup",
    "rustup",
    "Fedora's rustup is set up by `rustup-init`; without a package, rustup comes from https://rustup.rs.",
)
TOOLCHAIN = Need("Rust {version}", how="It is installed by `rustup toolchain install {version} --profile minimal {components}`.")
TARGET = Need("Rust's standard library for {target}", how="It is installed by `rustup target add {target}`.")

STACK = (PYTHON_VENV,)
DISK = (MKFS, FSCK, XZ)
BUILD = (PYTHON_VENV, CARGO, C_COMPILER)

COMMANDS = {
    "build": BUILD,
    "up": BUILD,
}
