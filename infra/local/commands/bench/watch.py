"""Memory and processor time of the functions while a job runs."""

import filecmp
import glob
import os
import threading

from bench.processes import cpu, peak, reset_peak

FUNCTIONS = ("receive", "transfer")
"""Those that move images."""


class Watch:
    """Peak RSS and processor time, for as long as it is entered, of the processes that run a function in the stack.

    The emulator keeps those processes for later calls, as Lambda does.
    """

    def __init__(self, folder):
        self.code = os.path.join(folder, "emulator", "tmp") + os.sep
        self.deployed = {name: os.path.join(folder, "functions", name, "bootstrap") for name in FUNCTIONS}
        self.names = {}
        self.rss, self.began, self.used = {}, {}, {}
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def __enter__(self):
        for pid, _ in self.processes():
            reset_peak(pid)
            self.began[pid] = cpu(pid)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def look(self):
        last = False
        while not last:
            last = self.done.wait(0.05)
            for pid, name in self.processes():
                try:
                    self.rss[name, pid] = peak(pid)
                    self.used[name, pid] = cpu(pid) - self.began.get(pid, 0)
                except (FileNotFoundError, ProcessLookupError, StopIteration):
                    pass  # it has ended

    def processes(self):
        """(pid, function) of the processes that run one of the functions."""
        for link in glob.glob("/proc/[0-9]*/exe"):
            try:
                file = os.readlink(link)
            except OSError:
                continue
            if file.startswith(self.code):
                if file not in self.names:
                    self.names[file] = self.function(file)
                if self.names[file]:
                    yield int(link.split("/")[2]), self.names[file]

    def function(self, file):
        return next((name for name, binary in self.deployed.items() if filecmp.cmp(file, binary, shallow=False)), None)

    def peaks(self, function):
        return [rss for (name, _), rss in self.rss.items() if name == function]

    def cpu(self, function):
        return sum(used for (name, _), used in self.used.items() if name == function)
