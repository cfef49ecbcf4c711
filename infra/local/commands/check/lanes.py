"""Runs steps in lanes side by side. The first failure stops them all."""

import os
import signal
import subprocess
import sys
import threading
import time

from common.failure import Failure

STEP_TIMEOUT = 1800
KILL_TIMEOUT = 30
"""Seconds that a program has to end when it is told to."""

WIDTH = 36


class Step:
    """A name, and `run(shell)`, which does the step by commands (`shell(*command)`).

    `after` names a step of another lane that has to be done before.
    """

    def __init__(self, name, run, after=None):
        self.name, self.run, self.after = name, run, after


class Stopped(Exception):
    """Another step has failed."""


class Lanes:
    """`folder` is for the logs, `env` for the commands."""

    def __init__(self, folder, env):
        self.folder, self.env = folder, env
        self.lock = threading.Condition()
        self.done, self.active, self.processes = set(), [], {}
        self.failure = None

    def log(self, step):
        return self.folder / f"{step.name.replace(' ', '-')}.log"

    def run(self, *lanes):
        """Runs each lane's steps in their order. Raises the first failure, when nothing runs any more."""
        threads = [threading.Thread(target=self.run_lane, args=(lane,), daemon=True) for lane in lanes]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:
            self.stop(Stopped())
            for thread in threads:
                thread.join()
            raise
        if self.failure:
            raise self.failure

    def run_lane(self, steps):
        for step in steps:
            try:
                self.wait_for(step.after)
                self.run_step(step)
            except Stopped:
                return
            except Exception as error:  # of whatever kind: the other lane must not go on
                self.stop(error)
                return

    def wait_for(self, name):
        with self.lock:
            self.lock.wait_for(lambda: self.failure or name is None or name in self.done)
            if self.failure:
                raise Stopped

    def run_step(self, step):
        began = time.monotonic()
        self.begin(step)
        try:
            with self.log(step).open("wb") as log:
                step.run(Shell(self, log, began + STEP_TIMEOUT))
        except (subprocess.SubprocessError, OSError, Failure) as error:
            self.end(step, f"FAILED {time.monotonic() - began:4.0f} s")
            raise Failure(self.report(step, reason(error))) from error
        with self.lock:
            self.done.add(step.name)
            self.lock.notify_all()
        self.end(step, f"ok {time.monotonic() - began:8.0f} s")

    def report(self, step, reason):
        log = self.log(step)
        last = log.read_text(errors="replace").splitlines()[-60:]
        lines = ["", *last, "", f"{step.name} failed ({reason}). Its whole output is in {os.path.relpath(log)}."]
        return "\n".join(lines)

    def begin(self, step):
        with self.lock:
            self.active.append(step.name)
            self.show_active()

    def end(self, step, result):
        with self.lock:
            self.active.remove(step.name)
            if self.failure:
                raise Stopped
            show(step.name, result)
            self.show_active()

    def show_active(self):
        """On a terminal, the last line tells what runs."""
        if sys.stdout.isatty():
            print(f"\r\033[K{', '.join(self.active)}", end="\r", flush=True)

    def stop(self, failure):
        with self.lock:
            self.failure = self.failure or failure
            self.lock.notify_all()
        self.signal_all(signal.SIGTERM)
        last_resort = threading.Timer(KILL_TIMEOUT, self.signal_all, [signal.SIGKILL])
        last_resort.daemon = True
        last_resort.start()

    def signal_all(self, number):
        with self.lock:
            for process in self.processes.values():
                kill(process, number)


def reason(error):
    if isinstance(error, subprocess.TimeoutExpired):
        return "took too long"
    return str(error.returncode if isinstance(error, subprocess.CalledProcessError) else error)


class Shell:
    """Runs the commands of one step, with their output in its log."""

    def __init__(self, lanes, log, deadline):
        self.lanes, self.log, self.deadline = lanes, log, deadline
        self.env = lanes.env

    def __call__(self, *command, env=None):
        command = [str(word) for word in command]
        with self.lanes.lock:
            if self.lanes.failure:
                raise Stopped
            # In a session of its own, so that all that it starts can be ended with it.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                env=env or self.env,
                start_new_session=True,
            )
            self.lanes.processes[process.pid] = process
        try:
            process.wait(timeout=max(0, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            end(process)
            raise
        finally:
            with self.lanes.lock:
                del self.lanes.processes[process.pid]
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)


def end(process):
    """Ends a program, first by asking."""
    kill(process, signal.SIGTERM)
    try:
        process.wait(timeout=KILL_TIMEOUT)
    except subprocess.TimeoutExpired:
        kill(process, signal.SIGKILL)
        process.wait()


def kill(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def show(name, result):
    clear = "\r\033[K" if sys.stdout.isatty() else ""
    print(f"{clear}{name:<{WIDTH}}{result}", flush=True)
