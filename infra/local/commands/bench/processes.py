"""What a process takes: memory and processor time."""

import os


def cpu(pid):
    """Seconds of processor that a process has used, its threads that ended among them (proc(5), stat)."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak(pid):
    """The largest resident set of a process so far, in bytes (proc(5), status)."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


def reset_peak(pid):
    """Sets the peak back to what is resident now (proc(5), clear_refs)."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")


def used_cpu(process):
    """Waits for the end of a process. Returns the processor time that it used, in seconds, to the microsecond."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    return used.ru_utime + used.ru_stime
