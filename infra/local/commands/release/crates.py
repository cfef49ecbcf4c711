"""The crates that are linked into the functions, by `cargo metadata`."""

import json

from common.failure import Failure
from common.process import output
from needs.table import ARCHITECTURES


def metadata(architecture):
    platform = ARCHITECTURES[architecture]
    return json.loads(output("cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", platform))


def linked(metadata, binaries):
    """The packages that the binaries' own depend on, those included, by their ids; and on what each depends.

    Cargo compiles what only builds, tests and macros need, but no function has it in it.
    """
    packages = {package["id"]: package for package in metadata["packages"]}
    edges = {node["id"]: list(dependencies(node, packages)) for node in metadata["resolve"]["nodes"]}
    found, pending = {}, [package_of(binary, metadata) for binary in binaries]
    while pending:
        package = pending.pop()
        if package not in found:
            found[package] = edges[package]
            pending += edges[package]
    return {package: packages[package] for package in found}, found


def dependencies(node, packages):
    for dependency in node["deps"]:
        is_normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
        if is_normal and not is_macro(packages[dependency["pkg"]]):
            yield dependency["pkg"]


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def package_of(binary, metadata):
    for package in metadata["packages"]:
        if any(target["name"] == binary and "bin" in target["kind"] for target in package["targets"]):
            return package["id"]
    raise Failure(f"no crate makes the program {binary}")


def checksums(lock):
    """The SHA-256 of crates from a registry, by name and version. `lock` is the parsed Cargo.lock."""
    return {
        (package["name"], package["version"]): package["checksum"]
        for package in lock["package"]
        if "checksum" in package
    }
