"""What a run costs: planned before it begins, and counted while it runs.

Prices are list prices of us-east-1: those of bench.prices, those of reading from the EBS user guide, "Pricing for EBS
direct APIs", and those of a t3.nano, metrics, dashboards and data transfer, which were not looked up.
"""

import threading

from acceptance.report import Stop
from bench import prices
from common.failure import Failure

METRIC_MONTH, DASHBOARD_MONTH = 0.30, 3.00

PRICES = {
    "blocks written (PutSnapshotBlock)": prices.PUT_BLOCK,
    "blocks read (GetSnapshotBlock)": 0.003 / 1000,
    "lists of blocks (ListSnapshotBlocks)": 0.0006 / 1000,
    "state transitions": prices.TRANSITION,
    "calls of functions": prices.LAMBDA_CALL,
    "GB-seconds of functions": 0.0000166667,
    "requests of the API": prices.API_CALL,
    "writes into S3": prices.S3_WRITE,
    "reads from S3": prices.S3_READ,
    "GB between regions and to the internet": 0.09,
    "GB-hours of snapshots": prices.SNAPSHOT_BYTE_HOUR * prices.GIB,
    "hours of a t3.nano": 0.0052,
    "hours of alarms": prices.ALARM_MONTH / prices.HOURS,
    "hours of secrets": prices.SECRET_MONTH / prices.HOURS,
    "hours of metrics": METRIC_MONTH / prices.HOURS,
    "hours of dashboards": DASHBOARD_MONTH / prices.HOURS,
}

DISK_MIB, VOLUME_GIB = 64, 1
BLOCKS = DISK_MIB * 2
"""Blocks of 512 KiB that a disk has at most."""

JOBS = 12
"""Uploads that a run starts at most, refused and killed ones among them."""


ALARMS, METRICS = 20, 40
"""More than the template has."""


def plan(encrypted, boot):
    """What a run uses at most, if it takes two hours."""
    hours = 2
    written = BLOCKS * 6 + (VOLUME_GIB * 2048 if encrypted else 0)
    return {
        "blocks written (PutSnapshotBlock)": written,
        "blocks read (GetSnapshotBlock)": written,
        "lists of blocks (ListSnapshotBlocks)": 20,
        # An import is polled for half an hour.
        "state transitions": JOBS * 30 + 3 * 300,
        "calls of functions": JOBS * 60 + 60 * hours + 1000,
        "GB-seconds of functions": JOBS * 120 + 60 * hours,
        "requests of the API": 5000,
        "writes into S3": 1000,
        "reads from S3": 2000,
        "GB between regions and to the internet": 1.5,
        "GB-hours of snapshots": 5 * VOLUME_GIB * hours,
        "hours of a t3.nano": 0.5 if boot else 0,
        "hours of alarms": ALARMS * hours,
        "hours of secrets": hours,
        "hours of metrics": METRICS * hours,
        "hours of dashboards": hours,
    }


def dollars(counts):
    return sum(PRICES[item] * count for item, count in counts.items())


class Guard:
    """Ends a run that costs more than it may. Counts from several threads."""

    def __init__(self, limit):
        self.limit, self.counts, self.lock = limit, {}, threading.Lock()

    def allow(self, counts):
        """Refuses a plan that is beyond the limit."""
        if dollars(counts) > self.limit:
            raise Failure(f"this run may cost {dollars(counts):.2f} dollars, and at most {self.limit:.2f} are allowed")

    def spend(self, item, count):
        with self.lock:
            self.counts[item] = self.counts.get(item, 0) + count
            if dollars(self.counts) > self.limit:
                raise Stop(f"this run has cost more than {self.limit:.2f} dollars: it ends here")

    def set(self, item, count):
        """A number that was counted at the end."""
        self.spend(item, count - self.counts.get(item, 0))

    def dollars(self):
        with self.lock:
            return dollars(self.counts)

    def bill(self):
        """Rows of (item, count, dollars)."""
        with self.lock:
            return [(item, f"{count:.10g}", PRICES[item] * count) for item, count in sorted(self.counts.items())]
