"""Lays a release out."""

import datetime
import shutil
import tomllib

from common.paths import TOP
from common.process import output
from release import archive, binaries, changelog, checksums, cloudformation_yaml
from release import crates, notices, sbom, template, versions

INFRA = TOP / "infra"
SOURCES = INFRA / "release"
"""What a release has of its own, as it is."""


def write(architecture, functions, out, tag):
    """Writes the folder and its tar file. Returns the folder."""
    version = versions.checked(tag)
    folder = out / f"cloudupload-{version}-{architecture}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "code").mkdir(parents=True)
    source = cloudformation_yaml.parse((INFRA / "template.yaml").read_text())
    code = write_code(source, functions, architecture, folder / "code")
    released = template.released(source, code, architecture)
    (folder / "template.yaml").write_text(cloudformation_yaml.dump(released))
    part = changelog.part((TOP / "CHANGELOG.md").read_text(), version, released=tag is not None)
    (folder / "CHANGELOG.md").write_text(part)
    for file in (*SOURCES.iterdir(), INFRA / "user-account.yaml", TOP / "LICENSE"):
        shutil.copy(file, folder)
    write_contents(folder, version, architecture, list(binaries_of(source).values()))
    checksums.write(folder)
    archive.write_tar(folder.with_name(f"{folder.name}.tar"), folder)
    return folder


def binaries_of(source):
    """The Rust functions: their programs, by logical ids."""
    return {
        name: resource["Metadata"]["BuildProperties"]["Binary"]
        for name, resource in template.functions(source).items()
        if not resource["Metadata"].get("SkipBuild")
    }


def write_code(source, functions, architecture, folder):
    """Writes the code of all functions and state machines. Returns the files' names, by logical ids."""
    code, rust = {}, binaries_of(source)
    for name, resource in template.functions(source).items():
        if name in rust:
            binary = binaries.read(functions, rust[name], architecture)
            stem, entries = rust[name], [("bootstrap", archive.EXECUTABLE, binary)]
        else:
            stem = resource["Properties"]["CodeUri"]
            entries = archive.folder_entries(INFRA / stem)
        file = folder / "new.zip"
        archive.write_zip(file, entries)
        code[name] = checksums.named_by_content(file, stem, ".zip")
    for name, resource in template.state_machines(source).items():
        stem, dot, suffix = resource["Properties"]["DefinitionUri"].partition(".")
        file = folder / "new"
        shutil.copyfile(INFRA / f"{stem}{dot}{suffix}", file)
        code[name] = checksums.named_by_content(file, stem, dot + suffix)
    return code


def write_contents(folder, version, architecture, programs):
    """What is in the functions: SBOM and licences."""
    lock = (TOP / "Cargo.lock").read_bytes()
    metadata = crates.metadata(architecture)
    packages, edges = crates.linked(metadata, programs)
    (folder / "NOTICES.txt").write_text(notices.notices(packages.values()))
    roots = {program: crates.package_of(program, metadata) for program in programs}
    zips = {file.name.rpartition("-")[0]: checksums.digest(file) for file in (folder / "code").glob("*.zip")}
    bom = sbom.describe(
        f"cloudupload-{architecture}",
        version,
        time_of_commit(),
        {program: (root, zips[program]) for program, root in roots.items()},
        packages,
        edges,
        crates.checksums(tomllib.loads(lock.decode())),
    )
    (folder / "sbom.cdx.json").write_text(bom)


def time_of_commit():
    """The time of the sources, so that the same sources give the same SBOM."""
    seconds = int(output("git", "-C", TOP, "log", "-1", "--format=%ct"))
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
