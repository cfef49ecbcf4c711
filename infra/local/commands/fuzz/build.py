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


def build():
    """Builds the fuzzers. Returns the folder in which they are."""
    BUILD.mkdir(parents=True, exist_ok=True)
    install_cargo_fuzz()
    # cargo-fuzz would let Cargo change the lock file.
    run_logged(["cargo", "metadata", "--locked", "--format-version", "1"], BUILD / "metadata.log", cwd=FUZZ)
    triple = output("rustc", "--print", "host-tuple").strip()
    command = [TOOLS / "cargo-fuzz" / "bin" / "cargo-fuzz", "build", "--fuzz-dir", FUZZ, "--target-dir", BUILD]
    # Sanitizers need Rust's nightly version. They look for what only unsafe code does; overflow is found without them.
    command += ["--target", triple, "--sanitizer", "none", "--codegen-units", "16"]
    with step("the fuzzers are built"):
        run_logged(command, BUILD / "build.log")
    return BUILD / triple / "release"


def install_cargo_fuzz():
    home = TOOLS / "cargo-fuzz"
    TOOLS.mkdir(parents=True, exist_ok=True)
    with step(f"cargo-fuzz {CARGO_FUZZ}"):
        # Cargo does nothing where this version is installed.
        command = ["cargo", "install", "cargo-fuzz", "--version", f"={CARGO_FUZZ}", "--locked", "--root", home]
        run_logged(command, TOOLS / "cargo-fuzz.log", {**os.environ, "CARGO_TARGET_DIR": str(BUILD / "cargo-fuzz")})
