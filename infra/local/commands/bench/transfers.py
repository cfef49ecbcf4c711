"""A staged disk on its way into blocks of EBS: `prepare` and `transfer` alone, between stand-ins."""

import contextlib
import json
import queue
import threading
import time
from typing import NamedTuple

from bench import cgroup
from bench.functions import start
from bench.images import make_small_image, read_into_page_cache
from bench.processes import cpu, peak
from bench.sink import running_ebs_sink
from bench.standins import Account, Lambda, Storage
from bench.uploads import small_job
from common import aws
from common.failure import Failure

SIDE_BY_SIDE = 8
"""Slices at a time: `MaxConcurrency` in infra/upload.asl.json."""

SECONDS = 900
"""What `transfer` may take, in the template. Held to a part of a processor, it gets as many times that."""

PREPARE_MEMORY, TRANSFER_MEMORY = 512, 1769
"""MiB in the template."""

FIRST_NUMBER = 2_000_001
"""Where these jobs get their numbers: far from those of the jobs of this run."""


class Slice(NamedTuple):
    """What a slice came to: blocks written, seconds, of processor too, and the largest resident set of its process so far.

    The start of a process counts with its first slice.
    """

    blocks: int
    took: float
    cpu: float
    peak: int


class Transfer(NamedTuple):
    """What a disk came to: seconds in all, its slices, and seconds of processor of sink and stand-ins meanwhile."""

    took: float
    slices: list[Slice]
    sink_cpu: float
    standins_cpu: float
    checksum: str
    """Of all blocks written, as EBS makes it (`LINEAR`)."""

    @property
    def cpu(self):
        return sum(slice.cpu for slice in self.slices)

    @property
    def blocks(self):
        return sum(slice.blocks for slice in self.slices)

    @property
    def peak(self):
        return max(slice.peak for slice in self.slices)


class Stage:
    """The stand-ins, with a job for each transfer. `env` are the settings of the stack, whose DynamoDB has the jobs."""

    def __init__(self, env, sink, job):
        self.env, self.sink = env, sink
        self.record = aws.job_record(env, job)
        self.storage, self.account = Storage(), Account()
        self.number = FIRST_NUMBER
        self.variables = {
            "AWS_ENDPOINT_URL": env["AWS_ENDPOINT_URL"],
            "AWS_ENDPOINT_URL_S3": f"http://{self.storage.server.address}",
            "AWS_ENDPOINT_URL_EBS": sink.url,
            "AWS_ENDPOINT_URL_STS": f"http://{self.account.server.address}",
            "AWS_ENDPOINT_URL_EC2": f"http://{self.account.server.address}",
            "WRITERS_TABLE": writers_table(env),
        }

    @contextlib.contextmanager
    def job(self, file):
        """A job that has received a file and got a slot. Gives its number."""
        job, self.number = str(self.number), self.number + 1
        name = self.record["order"]["M"]["filename"]["S"]
        path = f"/{self.env['STAGING_BUCKET']}/job-{job}/{name}"
        self.storage.put(path, file)
        aws.dynamodb(self.env, "PutItem", TableName=self.env["JOBS_TABLE"], Item=self.received(job, file))
        slot = {"kind": {"S": "held"}, "job": {"N": job}, "user": {"S": "bench"}}
        aws.dynamodb(self.env, "PutItem", TableName=self.env["SLOTS_TABLE"], Item=slot)
        try:
            yield job
        finally:
            key = {"kind": slot["kind"], "job": slot["job"]}
            aws.dynamodb(self.env, "DeleteItem", TableName=self.env["SLOTS_TABLE"], Key=key)
            aws.dynamodb(self.env, "DeleteItem", TableName=self.env["JOBS_TABLE"], Key={"id": {"S": job}})
            self.storage.delete(path)

    def received(self, job, file):
        """The record of a job of this stack, as it was when its file was staged. It takes the route `direct`."""
        kept = ("target", "state", "details", "created", "order")
        record = {name: self.record[name] for name in kept if name in self.record}
        order = {**self.record["order"]["M"], "size": {"N": str(file.stat().st_size)}}
        staged = {"M": {"etag": {"S": Storage.ETAG}, "sha256": {"S": "0" * 64}}}
        began = {"N": str(int(time.time()))}
        work = {"M": {"staging_began": began, "staged": staged, "route": {"S": "direct"}}}
        return {**record, "id": {"S": job}, "state": {"S": "scheduled"}, "order": {"M": order}, "work": work}

    def prepare(self, job):
        """Slices of the job's file, from `prepare`."""
        runtime = Lambda("prepare", 300)
        process = start(runtime, PREPARE_MEMORY, self.env, self.variables)
        try:
            _, answer = runtime.ask(json.dumps({"job": job}).encode())
        finally:
            process.kill()
            process.wait()
        return answer["slices"]

    def snapshot(self, job):
        return aws.job_record(self.env, job)["work"]["M"]["block_snapshot"]["S"]

    def transfer(self, file, side_by_side=SIDE_BY_SIDE, part=None):
        """Brings a file to blocks, so many slices at a time. Each process may use that `part` of a processor."""
        read_into_page_cache(file)
        with self.job(file) as job, contextlib.ExitStack() as stack:
            slices = self.prepare(job)
            groups = stack.enter_context(cgroup.groups(side_by_side, part)) if part else [None] * side_by_side
            sink_cpu, own_cpu = self.sink.cpu(), time.process_time()
            done, took = self.run(job, slices, groups, SECONDS / (part or 1))
            sink_cpu, own_cpu = self.sink.cpu() - sink_cpu, time.process_time() - own_cpu
            snapshot = self.snapshot(job)
            transfer = Transfer(took, done, sink_cpu, own_cpu, self.sink.written(snapshot)["checksum"])
            # The sink refuses another number than that of the blocks which it has.
            self.sink.complete(snapshot, transfer.blocks)
            return transfer

    def run(self, job, slices, groups, seconds):
        """Transfers slices, in as many processes as there are groups. Returns (slices, seconds)."""
        left, done, failures = queue.SimpleQueue(), [], []
        for slice in slices:
            left.put(slice)

        def work(group):
            try:
                self.work(job, left, group, seconds, done)
            except Exception as failure:  # pylint: disable=broad-exception-caught
                failures.append(failure)

        threads = [threading.Thread(target=work, args=(group,)) for group in groups[: len(slices)]]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        if failures:
            raise failures[0]
        if len(done) != len(slices):
            raise Failure(f"{len(done)} of {len(slices)} slices were transferred")
        return done, took

    def work(self, job, left, group, seconds, done):
        """One process, which takes a slice after the other, as Lambda's do."""
        runtime = Lambda("transfer", seconds)
        prefix = cgroup.prefix(group) if group else ()
        process = start(runtime, TRANSFER_MEMORY, self.env, self.variables, prefix)
        try:
            before = 0
            while True:
                try:
                    slice = left.get_nowait()
                except queue.Empty:
                    return
                began = time.perf_counter()
                when, answer = runtime.ask(json.dumps({"job": job, "try": 0, "slice": slice}).encode())
                now = cpu(process.pid)
                done.append(Slice(answer["blocks"], when - began, now - before, peak(process.pid)))
                before = now
        finally:
            process.kill()
            process.wait()


def writers_table(env):
    """The table in which writers share EBS's quota, by its logical ID in the template."""
    tables = aws.dynamodb(env, "ListTables")["TableNames"]
    return next(table for table in tables if "WritersTable" in table)


@contextlib.contextmanager
def stage(folder, env, port):
    """The stand-ins, with records like that of a job which has ended."""
    job = small_job(env, make_small_image(folder), "bench-blocks")
    with running_ebs_sink(port) as sink:
        yield Stage(env, sink, job)
