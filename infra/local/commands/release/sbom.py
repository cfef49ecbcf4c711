"""What is in the functions, as a CycloneDX SBOM. It needs infra/local/requirements-release.txt."""

import uuid

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL


def describe(name, version, when, zips, packages, edges, checksums):
    """The SBOM as JSON.

    `zips` maps each program to its package and the SHA-256 of its zip. `packages` are those of `cargo metadata`, by
    their ids, and `edges` those that each depends on. `checksums` are the crates' in Cargo.lock.
    """
    bom = Bom()
    bom.metadata.timestamp = when
    bom.metadata.component = whole = Component(
        name=name,
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=name,
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
    )
    components = {identifier: component(package, checksums) for identifier, package in packages.items()}
    functions = {program: function(program, version, digest) for program, (_package, digest) in zips.items()}
    for each in (*components.values(), *functions.values()):
        bom.components.add(each)
    bom.register_dependency(whole, functions.values())
    for program, (package, _digest) in zips.items():
        bom.register_dependency(functions[program], [components[package]])
    for package, dependencies in edges.items():
        bom.register_dependency(components[package], [components[dependency] for dependency in dependencies])
    # A name for this content, where the library would take a random one.
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, repr((name, version, sorted(zips.items()))))
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def function(program, version, digest):
    return Component(
        name=f"{program}.zip",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=f"function:{program}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )


def component(package, checksums):
    name, version = package["name"], package["version"]
    checksum = checksums.get((name, version))
    # Some crates still write MIT/Apache-2.0, as Cargo took it once.
    licence = (package["license"] or "").replace("/", " OR ")
    return Component(
        name=name,
        version=version,
        bom_ref=f"crate:{name}@{version}",
        # The workspace's own crates are in no registry.
        purl=PackageURL("cargo", None, name, version) if package["source"] else None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
    )
