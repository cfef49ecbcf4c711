"""How much longer `osc cloudupload list` takes than osc's own start."""

import subprocess
import time

from tests.osc import OSC
from tests.world import World

LIMIT = 0.3
"""Seconds."""

RUNS = 7


class Start(World):
    def seconds(self, *words):
        began = time.perf_counter()
        subprocess.run([OSC, *words], env=self.home.env, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        return time.perf_counter() - began

    def test_a_list_is_there_soon_after_osc_has_started(self):
        self.sign_in()
        # By turns, so that what else the machine does falls on both; the least is what they need themselves.
        times = [(self.seconds("help"), self.seconds("cloudupload", "list")) for _ in range(RUNS)]
        start, listed = map(min, zip(*times))
        print(f"osc help: {start:.3f} s; osc cloudupload list: {listed:.3f} s")
        self.assertLess(listed - start, LIMIT)
