import hashlib
import os
import shutil
import stat
import struct
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

from common.failure import Failure
from common.paths import TOP
from release import archive, binaries, changelog, checksums, crates, notices, versions
from try_release.guide import commands

SOURCES = TOP / "infra" / "release"


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


def program(machine):
    return b"\x7fELF" + bytes(14) + struct.pack("<H", machine)


class ArchiveTest(InFolder):
    def test_the_same_contents_are_the_same_bytes(self):
        entries = [("b", archive.READABLE, b"2"), ("a", archive.EXECUTABLE, b"1")]
        made = []
        for name, order in (("1.zip", entries), ("2.zip", entries[::-1])):
            archive.write_zip(self.folder / name, order)
            made.append((self.folder / name).read_bytes())
        self.assertEqual(made[0], made[1])

    def test_lambda_may_run_the_bootstrap(self):
        archive.write_zip(self.folder / "a.zip", [("bootstrap", archive.EXECUTABLE, b"1")])
        with zipfile.ZipFile(self.folder / "a.zip") as made:
            (info,) = made.infolist()
        self.assertEqual(stat.filemode(info.external_attr >> 16), "-rwxr-xr-x")
        self.assertEqual(info.date_time, archive.EPOCH)

    def test_links_in_a_folder_become_files(self):
        (self.folder / "there").write_text("template")
        (self.folder / "code" / "__pycache__").mkdir(parents=True)
        (self.folder / "code" / "__pycache__" / "x.pyc").write_text("")
        (self.folder / "code" / "link").symlink_to("../there")
        entries = list(archive.folder_entries(self.folder / "code"))
        self.assertEqual(entries, [("link", archive.READABLE, b"template")])

    def test_a_tar_file_does_not_tell_who_made_it_and_when(self):
        made = []
        for time in (1, 2):
            folder = self.folder / str(time) / "release"
            folder.mkdir(parents=True)
            (folder / "script").write_text("")
            (folder / "script").chmod(0o700 + time)
            os.utime(folder / "script", (time, time))
            archive.write_tar(self.folder / "a.tar", folder)
            made.append((self.folder / "a.tar").read_bytes())
        self.assertEqual(made[0], made[1])


class BinariesTest(InFolder):
    def test_functions_are_found_as_either_build_lays_them_out(self):
        (self.folder / "api").write_bytes(program(62))
        (self.folder / "poll").mkdir()
        (self.folder / "poll" / "bootstrap").write_bytes(program(62))
        for name in ("api", "poll"):
            self.assertEqual(binaries.read(self.folder, name, "x86_64"), program(62))
        with self.assertRaisesRegex(Failure, "make release"):
            binaries.read(self.folder, "seal", "x86_64")

    def test_functions_for_another_processor_are_refused(self):
        (self.folder / "api").write_bytes(program(62))
        (self.folder / "poll").write_bytes(b"#!/bin/sh\n")
        for name in ("api", "poll"):
            with self.assertRaisesRegex(Failure, "not a program for arm64"):
                binaries.read(self.folder, name, "arm64")


class ChangelogTest(unittest.TestCase):
    TEXT = "# Changelog\n\n## Unreleased\n\n- new\n\n## 1.2.0 - 2026-11-27\n\n### Added\n\n- this\n\n## 1.1.0\n\n- x\n"

    def test_a_release_has_the_section_of_its_version(self):
        part = changelog.part(self.TEXT, "1.2.0", released=True)
        self.assertEqual(part, "## 1.2.0 - 2026-11-27\n\n### Added\n\n- this\n")

    def test_a_version_to_come_has_the_unreleased_section_until_it_is_tagged(self):
        self.assertEqual(changelog.part(self.TEXT, "1.3.0", released=False), "## Unreleased\n\n- new\n")
        with self.assertRaisesRegex(Failure, "no section 1.3.0"):
            changelog.part(self.TEXT, "1.3.0", released=True)


class NamesTest(InFolder):
    def test_code_is_named_by_its_content(self):
        (self.folder / "new").write_bytes(b"code")
        name = checksums.named_by_content(self.folder / "new", "api", ".zip")
        self.assertEqual(name, f"api-{hashlib.sha256(b'code').hexdigest()[:16]}.zip")
        self.assertEqual((self.folder / name).read_bytes(), b"code")

    def test_a_tag_of_another_version_is_refused(self):
        with self.assertRaisesRegex(Failure, "the tag is v0.0.0"):
            versions.checked("v0.0.0")


def package(name, kind="lib", source="registry"):
    return {
        "id": name,
        "name": name,
        "version": "1.0.0",
        "source": source,
        "license": "MIT",
        "targets": [{"name": name, "kind": [kind]}],
    }


def node(name, **dependencies):
    return {
        "id": name,
        "deps": [{"pkg": each, "dep_kinds": [{"kind": kind}]} for each, kind in dependencies.items()],
    }


class CratesTest(InFolder):
    METADATA = {
        "packages": [package("api", "bin", None), package("tool", "bin", None), package("derive", "proc-macro")]
        + [package(name) for name in ("xz", "sys", "cc", "syn", "proptest", "unused")],
        "resolve": {
            "nodes": [
                node("api", xz=None, derive=None, proptest="dev"),
                node("tool", unused=None),
                node("derive", syn=None),
                node("xz", sys=None),
                node("sys", cc="build", xz=None),  # a circle, as Cargo allows it for tests
                *(node(name) for name in ("cc", "syn", "proptest", "unused")),
            ]
        },
    }

    def test_what_only_builds_tests_and_macros_need_is_in_no_function(self):
        packages, edges = crates.linked(self.METADATA, ["api"])
        self.assertEqual(set(packages), {"api", "xz", "sys"})
        self.assertEqual(edges, {"api": ["xz"], "xz": ["sys"], "sys": ["xz"]})

    def test_a_program_that_no_crate_makes_is_told(self):
        with self.assertRaisesRegex(Failure, "finish"):
            crates.linked(self.METADATA, ["finish"])

    def test_crates_of_the_workspace_have_no_checksum(self):
        lock = {"package": [{"name": "api", "version": "1"}, {"name": "xz", "version": "2", "checksum": "ab"}]}
        self.assertEqual(crates.checksums(lock), {("xz", "2"): "ab"})

    def test_each_licence_text_comes_once_with_the_crates_that_have_it(self):
        packages = [package("api", "bin", None), package("xz"), package("lz"), package("bare")]
        for each in packages:
            home = self.folder / each["name"]
            home.mkdir()
            each["manifest_path"] = str(home / "Cargo.toml")
            if each["name"] != "bare":
                (home / "LICENSE-MIT").write_text("You may.\n")
        text = notices.notices(packages)
        self.assertIn("    bare 1.0.0: MIT\n", text)
        self.assertIn("\nlz 1.0.0, xz 1.0.0\n\nYou may.\n", text)
        self.assertEqual(text.count("You may."), 1)
        self.assertNotIn("api", text)


class PutIntoS3Test(InFolder):
    def setUp(self):
        super().setUp()
        shutil.copy(SOURCES / "put-into-s3", self.folder)
        (self.folder / "code").mkdir()
        (self.folder / "code" / "api-1.zip").write_text("api")
        checksums.write(self.folder)
        aws = self.folder / "bin" / "aws"
        aws.parent.mkdir()
        aws.write_text('#!/bin/sh\necho "$@" >>"$LOG"\n')
        aws.chmod(0o755)
        self.log = self.folder / "calls"

    def put(self, *words):
        env = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "LOG": str(self.log)}
        command = [self.folder / "put-into-s3", *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, cwd="/", check=False)

    def test_the_code_goes_to_the_prefix_and_the_next_command_is_told(self):
        done = self.put("mine", "a/b")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.log.read_text(), "s3 cp --recursive --no-progress code s3://mine/a/b\n")
        self.assertIn("CodeBucket=mine CodePrefix=a/b", done.stdout)

    def test_a_damaged_release_does_not_get_into_s3(self):
        (self.folder / "code" / "api-1.zip").write_text("apj")
        done = self.put("mine")
        self.assertEqual(done.returncode, 1)
        self.assertIn("damaged", done.stderr)
        self.assertFalse(self.log.exists())

    def test_a_failure_of_aws_is_one_of_the_script(self):
        (self.folder / "bin" / "aws").write_text("#!/bin/sh\nexit 1\n")
        done = self.put("mine")
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("Now deploy", done.stdout)

    def test_without_a_bucket_it_tells_its_usage(self):
        self.assertEqual(self.put().returncode, 2)


class GuideTest(unittest.TestCase):
    def test_the_commands_of_the_guide_are_whole_and_filled_in(self):
        words = {"BUCKET": "mine", "REGION": "here", "OBS": "http://obs", "EMAIL": "me@here"}
        told = commands((SOURCES / "DEPLOY.md").read_text(), words)
        self.assertEqual([command.split()[0] for command in told], ["aws", "./put-into-s3", "aws", "aws"])
        self.assertEqual(told[0], "aws s3 mb s3://mine --region here")
        self.assertIn("CodeBucket=mine CodePrefix=cloudupload ObsUrl=http://obs AlarmEmail=me@here", told[2])


if __name__ == "__main__":
    unittest.main()
