import unittest

from needs.__main__ import architecture
from needs.probes import is_at_least
from needs.report import report
from needs.table import CARGO, CLIPPY, FSCK, MKFS, XZ, Need, needs_of


class NeedsTest(unittest.TestCase):
    def test_all_that_is_missing_is_told_at_once(self):
        self.assertEqual(
            report(["demo", "test"], [MKFS, FSCK, XZ, CARGO, CLIPPY]),
            "demo, test need mkfs.ext4, fsck.ext4, xz, Cargo (rustup, https://rustup.rs) and Clippy, "
            "which this machine lacks. To install:\n"
            "    Debian, Ubuntu:  apt install e2fsprogs xz-utils rustup\n"
            "    Fedora:          dnf install e2fsprogs xz rustup\n"
            "    openSUSE:        zypper install e2fsprogs xz rustup\n"
            "    rustup-init  # on Fedora only, whose package leaves that to you\n"
            "    rustup component add clippy",
        )

    def test_a_command_alone_brings_what_has_no_package(self):
        need = Need("Rust 1.2.3", lambda: False, command="rustup toolchain install")
        told = report(["build"], [need])
        self.assertEqual(
            told, "build needs Rust 1.2.3, which this machine lacks. To install:\n    rustup toolchain install"
        )

    def test_every_target_that_builds_needs_cargo(self):
        building = "build up demo lint test test-obs package release try-restore bench faults fuzz upgrade recording"
        for command in building.split():
            self.assertIn(CARGO, needs_of(command, "arm64"), command)
        self.assertEqual(needs_of("down", "arm64"), ())

    def test_the_architecture_is_that_of_the_template_or_of_the_parameters(self):
        self.assertEqual(architecture(""), "arm64")
        self.assertEqual(architecture("Slots=4 Architecture=x86_64"), "x86_64")
        self.assertIn("aarch64", needs_of("package", "arm64")[-1].command)

    def test_a_later_cargo_will_do(self):
        self.assertTrue(is_at_least("cargo 1.95.0 (f2d3ce0bd 2026-03-21)", "1.95.0"))
        self.assertTrue(is_at_least("cargo 2.0.1\n", "1.95.0"))
        self.assertFalse(is_at_least("cargo 1.94.9 (abc 2026-01-01)", "1.95.0"))
        self.assertFalse(is_at_least("", "1.95.0"))


if __name__ == "__main__":
    unittest.main()
