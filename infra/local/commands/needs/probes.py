"""Looks at the machine. Each function returns whether the thing is there and works."""

import functools
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from common.paths import TOP


def succeeds(*command):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.run(command, **quiet, cwd=TOP, check=False).returncode == 0


def program(name):
    """Administrators' programs may be in a folder that is not in a user's PATH."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is not None


def chromium():
    """The program of Chromium or Chrome, by any name that systems give it; None if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


def venv():
    """Debian's Python lacks ensurepip, which puts pip into a new environment, until python3-venv is installed."""
    return importlib.util.find_spec("venv") is not None and importlib.util.find_spec("ensurepip") is not None


def python_package():
    return f"python3{sys.version_info.minor}"


def c_compiler():
    """Whether a program can be made that needs the C library: its headers may be a package of their own."""
    if not program("cc"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.c")
        source.write_text('#include <stdio.h>\nint main(void) { return puts("") < 0; }\n')
        return succeeds("cc", source, "-o", Path(folder, "program"))


def cxx_compiler():
    """Whether a program can be made that needs the library of C++: Debian has it in a package of its own."""
    if not program("c++"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.cc")
        source.write_text("#include <string>\nint main() { return int(std::string().size()); }\n")
        return succeeds("c++", source, "-o", Path(folder, "program"))


def rust_version():
    return tomllib.loads((TOP / "rust-toolchain.toml").read_text())["toolchain"]["channel"]


@functools.cache
def rust_is_pending():
    """Whether Rust is still to be installed, or the version that we build with: by rustup, which then brings all that
    rust-toolchain.toml names."""
    if not program("rustup"):
        return not program("cargo")
    done = subprocess.run(["rustup", "toolchain", "list"], stdout=subprocess.PIPE, text=True, check=False)
    return not any(line.startswith(rust_version()) for line in done.stdout.splitlines())


def rust():
    """Whether Cargo is of the version that we build with, or of a later one where there is no rustup.

    rustup installs the version when Cargo is called first, unless it is told not to.
    """
    if rust_is_pending():
        return os.environ.get("RUSTUP_AUTO_INSTALL") != "0"
    done = subprocess.run(["cargo", "--version"], stdout=subprocess.PIPE, text=True, cwd=TOP, check=False)
    return done.returncode == 0 and is_at_least(done.stdout, rust_version())


def is_at_least(printed, wanted):
    """Whether `cargo --version` printed a version that is the wanted one or later."""
    found = re.match(r"cargo (\d+)\.(\d+)\.(\d+)", printed)
    return found is not None and tuple(map(int, found.groups())) >= tuple(map(int, wanted.split(".")))


def cargo_command(name):
    return rust_is_pending() or succeeds("cargo", name, "--version")


def rust_library(target):
    if rust_is_pending():
        return target.startswith(f"{platform.machine()}-")
    command = ["rustc", "--print", "target-libdir", "--target", target]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=TOP, check=False)
    return done.returncode == 0 and Path(done.stdout.strip()).is_dir()
