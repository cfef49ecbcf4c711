"""Builds the fuzzers."""

import os
import tomllib

from common.paths import TARGET, TOP
from common.process import output, run_logged
from stack.steps import step
from stack.tools import TOOLS

FUZZ = TOP / "tests" / "fuzz"
BUILD = TARGET / "fuzz"

CARGO_FUZZ = "0.13.2"


def targets():
    manifest = tomllib.loads((FUZZ / "Cargo.toml").read_text())
    return [binary["name"] for binary in manifest["bin"]]


def build(chosen):
    """Builds the chosen fuzzers, or all at once. Returns the folder in which they are."""
    BUILD.mkdir(parents=True, exist_ok=True)
    install_cargo_fuzz()
    triple = output("rustc", "--print", "host-tuple").strip()
    # Neither has a stable counterpart: a sanitizer needs Rust's nightly version. Overflow and debug assertions are found
    # without.
    options = ("--sanitizer", "none", "--target", triple, "--target-dir", BUILD, "--codegen-units", "16")
    # Without this, cargo-fuzz would let Cargo change the lock file.
    run_logged(["cargo", "metadata", "--locked", "--format-version", "1"], BUILD / "metadata.log", cwd=FUZZ)
    with step("the fuzzers are built"):
        for name in chosen if len(chosen) < len(targets()) else [()]:
            command = [TOOLS / "cargo-fuzz" / "bin" / "cargo-fuzz", "build", "--fuzz-dir", FUZZ, *options]
            run_logged([*command, name] if name else command, BUILD / "build.log")
    return BUILD / triple / "release"


def install_cargo_fuzz():
    home = TOOLS / "cargo-fuzz"
    TOOLS.mkdir(parents=True, exist_ok=True)
    with step(f"cargo-fuzz {CARGO_FUZZ}"):
        # Cargo does nothing where this version is installed.
        command = ["cargo", "install", "cargo-fuzz", "--version", f"={CARGO_FUZZ}", "--locked", "--root", home]
        run_logged(command, TOOLS / "cargo-fuzz.log", {**os.environ, "CARGO_TARGET_DIR": str(BUILD / "cargo-fuzz")})
