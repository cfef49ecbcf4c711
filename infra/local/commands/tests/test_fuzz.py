import tomllib
import unittest

from common.paths import TOP
from fuzz.build import FUZZ, targets
from fuzz.run import reason, summary


def versions(lock):
    """The versions of each package in a Cargo.lock."""
    packages = tomllib.loads(lock.read_text())["package"]
    names = {package["name"] for package in packages}
    return {name: {package["version"] for package in packages if package["name"] == name} for name in names}


class FuzzTest(unittest.TestCase):
    def test_what_is_fuzzed_is_what_is_deployed(self):
        deployed = versions(TOP / "Cargo.lock")
        for name, fuzzed in versions(FUZZ / "Cargo.lock").items():
            told = f"{name}: in tests/fuzz, run cargo update {name} --precise VERSION"
            self.assertLessEqual(fuzzed, deployed.get(name, fuzzed), told)

    def test_every_fuzzer_is_built(self):
        self.assertEqual(targets(), sorted(file.stem for file in (FUZZ / "targets").iterdir()))

    def test_the_last_numbers_of_libfuzzer_count(self):
        log = (
            "#2\tINITED cov: 300 ft: 310 corp: 9/41Kb exec/s: 0 rss: 40Mb\n"
            "#1234567\tDONE   cov: 1345 ft: 2310 corp: 9/41Kb lim: 4096 exec/s: 20000 rss: 41Mb\n"
            "stat::number_of_executed_units: 1234567\n"
        )
        self.assertEqual(summary(log), "   1,234,567 inputs,  1,345 places reached")
        self.assertEqual(summary(""), "")

    def test_a_panic_says_what_is_wrong(self):
        panic = (
            "thread '<unnamed>' (7) panicked at targets/decode.rs:42:20:\nassertion `left == right` failed\n  left: 1\n"
            " right: 2\nstack backtrace:\n   0: rust_begin_unwind\n==7== ERROR: libFuzzer: deadly signal\n"
        )
        self.assertEqual(
            reason(panic, 77),
            "panicked at targets/decode.rs:42:20:\nassertion `left == right` failed\n  left: 1\n right: 2",
        )
        self.assertEqual(
            reason("==8== ERROR: libFuzzer: timeout after 20 seconds\n", 70), "libFuzzer: timeout after 20 seconds"
        )
        self.assertEqual(reason("", -9), "it ended with -9")


if __name__ == "__main__":
    unittest.main()
