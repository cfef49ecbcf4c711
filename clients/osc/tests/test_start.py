"""How much longer `osc cloudupload list` takes than osc's own start."""

import subprocess
import time

from tests.osc import OSC
from tests.world import World

RUNS = 5
"""Of each, by turns, so that what else the machine does falls on both; the least is what they need themselves."""


class Start(World):
    def seconds(self, *words):
        began = time.perf_counter()
        subprocess.run([OSC, *words], env=self.home.env, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        return time.perf_counter() - began

    def test_a_list_comes_after_the_start_of_osc(self):
        """Prints the times: 0.3 s more than osc's own start are wished for."""
        self.sign_in()
        runs = [(self.seconds("help"), self.seconds("cloudupload", "list")) for _ in range(RUNS)]
        start, listed = map(min, zip(*runs))
        print(f"osc help: {start:.3f} s; osc cloudupload list: {listed:.3f} s")
