"""What each command needs, and how it is installed. The programs are looked for in needs/probes.py."""

from typing import NamedTuple

from common.paths import SOURCE_SERVER as SOURCE_SERVER_FOLDER
from needs import probes

ARCHITECTURES = {"arm64": "aarch64-unknown-linux-gnu", "x86_64": "x86_64-unknown-linux-gnu"}
"""The values of the template's parameter Architecture, in Rust's words."""


class Packages(NamedTuple):
    debian: str
    fedora: str
    opensuse: str


class Need(NamedTuple):
    """What it is, how to find out whether it is there, and what brings it: packages or a command."""

    what: str
    is_there: object
    packages: Packages | None = None
    command: str = ""


def program(name, *packages):
    return Need(name, lambda: probes.program(name), Packages(*packages))


PYTHON_VENV = Need(
    "Python's venv module with pip",
    probes.venv,
    # openSUSE names a package after each version of Python.
    Packages("python3-venv", "python3", probes.python_package()),
)
C_COMPILER = Need("a C compiler", probes.c_compiler, Packages("gcc libc6-dev", "gcc", "gcc"))
CXX_COMPILER = Need("a C++ compiler", probes.cxx_compiler, Packages("g++", "gcc-c++", "gcc-c++"))
CARGO = Need(
    # Where rustup is no package, or an old one, its own page helps.
    "Cargo (rustup, https://rustup.rs)",
    lambda: probes.program("cargo"),
    Packages("rustup", "rustup", "rustup"),
    command="rustup-init  # on Fedora only, whose package leaves that to you",
)
RUST = Need(f"Rust {probes.rust_version()}", probes.rust, command="rustup toolchain install")
CLIPPY = Need("Clippy", lambda: probes.cargo_command("clippy"), command="rustup component add clippy")
RUSTFMT = Need("rustfmt", lambda: probes.cargo_command("fmt"), command="rustup component add rustfmt")
CURL = program("curl", "curl", "curl", "curl")
CMP = program("cmp", "diffutils", "diffutils", "diffutils")
MKFS = program("mkfs.ext4", "e2fsprogs", "e2fsprogs", "e2fsprogs")
FSCK = program("fsck.ext4", "e2fsprogs", "e2fsprogs", "e2fsprogs")
XZ = program("xz", "xz-utils", "xz", "xz")
NGINX = program("nginx", "nginx-light", "nginx", "nginx")
OPENSSL = program("openssl", "openssl", "openssl", "openssl")
SOURCE_SERVER = Need(
    "OBS's source server (obs-server of Debian 12)",
    lambda: SOURCE_SERVER_FOLDER.is_dir(),
    # The other systems have none, or none of a version that has cloud upload.
    Packages("obs-server", "", ""),
)
CHROMIUM = Need(
    "Chromium",
    lambda: probes.chromium() is not None,
    Packages("chromium", "chromium", "chromium"),
)
GIT = program("git", "git", "git", "git")
DOT = program("dot", "graphviz", "graphviz", "graphviz")


def rust_library(architecture):
    target = ARCHITECTURES.get(architecture, architecture)
    return Need(
        f"Rust's library for {target}", lambda: probes.rust_library(target), command=f"rustup target add {target}"
    )


BUILD = (PYTHON_VENV, C_COMPILER, CARGO, RUST)
LINT = (*BUILD, CLIPPY, RUSTFMT)
DISK = (MKFS, FSCK, XZ)
PAGE = (PYTHON_VENV, CHROMIUM)
OBS = (SOURCE_SERVER, NGINX, OPENSSL)


def needs_of(command, architecture):
    """What a target of the Makefile needs. One that is not here needs nothing."""
    return {
        "build": BUILD,
        "up": BUILD,
        "demo": (CURL, CMP, *DISK, *BUILD),
        "lint": LINT,
        "test": (CURL, GIT, *PAGE, *DISK, *LINT),
        "test-obs": (*OBS, *DISK, *BUILD),
        "package": (*BUILD, rust_library(architecture)),
        "release": (GIT, *BUILD, rust_library(architecture)),
        "try-release": (PYTHON_VENV, *DISK),
        "acceptance": (PYTHON_VENV, *DISK),
        "try-restore": (*DISK, *BUILD),
        "bench": (*DISK, *BUILD),
        "faults": (*DISK, *BUILD),
        # libFuzzer is compiled with it.
        "fuzz": (C_COMPILER, CXX_COMPILER, CARGO, RUST),
        "upgrade": (GIT, *DISK, *BUILD),
        "picture": (DOT,),
        "recording": (CURL, CMP, *DISK, *BUILD),
        "make-disk": DISK,
        "test-page": PAGE,
        "screenshots": PAGE,
    }.get(command, ())
