import contextlib
import io
import os
import tempfile
import threading
import time
import unittest
from pathlib import Path

from check.lanes import Lanes, Step
from common.failure import Failure


def command(*words):
    return lambda shell: shell(*words)


class LanesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.lanes = Lanes(Path(folder.name), dict(os.environ))

    def run_lanes(self, *lanes):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            try:
                self.lanes.run(*lanes)
            finally:
                self.printed = printed.getvalue()

    def test_lanes_run_side_by_side(self):
        meeting = threading.Barrier(2, timeout=10)
        meet = lambda shell: meeting.wait()
        self.run_lanes([Step("one", meet)], [Step("two", meet)])
        self.assertRegex(self.printed, r"(?m)^one +ok +0 s$")
        self.assertRegex(self.printed, r"(?m)^two +ok +0 s$")

    def test_a_step_waits_for_one_of_another_lane(self):
        order = []
        first = [Step("build", lambda shell: (time.sleep(0.2), order.append("build")))]
        second = [Step("stack", lambda shell: order.append("stack"), after="build")]
        self.run_lanes(second, first)
        self.assertEqual(order, ["build", "stack"])

    def test_the_first_failure_stops_the_other_lane_and_shows_the_log(self):
        began = time.monotonic()
        failing = [Step("a step", command("sh", "-c", "echo what went wrong; exit 3")), Step("never", command("true"))]
        with self.assertRaisesRegex(
            Failure, r"(?s)what went wrong.*a step failed \(3\)\. Its whole output is in .*a-step\.log"
        ):
            self.run_lanes(failing, [Step("long", command("sleep", "60")), Step("late", command("true"))])
        self.assertLess(time.monotonic() - began, 20)
        self.assertRegex(self.printed, r"^a step +FAILED +0 s\n$")


if __name__ == "__main__":
    unittest.main()
