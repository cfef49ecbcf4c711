"""Images on their way through the stack: memory, speed, and where the time goes."""

from typing import Any, NamedTuple

from bench import executions
from bench.images import Image, read_into_page_cache, xz_seconds
from bench.table import Row, mib, note
from bench.watch import FUNCTIONS, Watch
from common import aws, uploads
from common.failure import Failure
from common.units import MIB

FILE = "bench.x86_64-1.0.raw.xz"
RSS_LIMIT = 256 * MIB


class Upload(NamedTuple):
    image: Image
    job: str
    watch: Watch
    phases: Any
    took: float
    slices: int
    xz1: tuple[float, float]
    """Seconds, and seconds of processor, of xz with one thread; and with two."""
    xz2: tuple[float, float]


def upload(folder, env, number, image):
    """Brings an image to an AMI. Returns its measurements."""
    note(f"{image.title}: {mib(image.file.stat().st_size)} of xz")
    read_into_page_cache(image.file)
    xz1, xz2 = xz_seconds(image.file, 1), xz_seconds(image.file, 2)
    build = uploads.build_result(f"bench-{number}")
    uploads.publish(env, build, image.file, FILE)
    with Watch(folder) as watch:
        job = uploads.create(env, build, FILE, f"bench {number}", route="import")
        execution = aws.execution_of(env, job)
        run = executions.wait(env, execution)
    took = run["stopDate"] - run["startDate"]
    return Upload(image, job, watch, executions.phases(env, execution, took), took, slices(env, execution), xz1, xz2)


def small_job(env, file, package):
    """Brings a small image to an AMI. Returns its job's number."""
    build = uploads.build_result(package)
    uploads.publish(env, build, file, FILE)
    job = uploads.create(env, build, FILE, package)
    executions.wait(env, aws.execution_of(env, job))
    return job


def slices(env, execution):
    return sum(name == "TransferSlice" for name, _ in executions.entered_states(env, execution))


def memory_rows(measured, limits):
    rows = []
    for upload in measured:
        for function in reversed(FUNCTIONS):
            peaks = upload.watch.peaks(function)
            if not peaks:
                raise Failure(f"no process of {function} was seen; has the emulator changed how it starts functions?")
            beside = f"the largest of {len(peaks)} processes" if len(peaks) > 1 else ""
            if function == "transfer":
                limits.keep(f"peak RSS of transfer, {upload.image.title}, in bytes", max(peaks), RSS_LIMIT)
                beside = f"{max(peaks) / RSS_LIMIT:.0%} of the limit of {mib(RSS_LIMIT)}" + (beside and f"; {beside}")
            rows.append(Row(f"`{function}`, {upload.image.title}", mib(max(peaks)), beside))
    return rows


def speed_rows(measured):
    rows = []
    for upload in measured:
        speed = upload.image.size / MIB / upload.phases["transfer"]
        slices = "one slice" if upload.slices == 1 else f"{upload.slices} slices"
        rows.append(Row(f"{upload.image.title}, {slices}", f"{speed:.0f} MiB/s", "of disk"))
        for threads, (took, _) in ((1, upload.xz1), (2, upload.xz2)):
            reference = upload.image.size / MIB / took
            rows.append(Row(f"… to `xz -dc -T{threads}`", f"{speed / reference:.2f} : 1", f"{reference:.0f} MiB/s"))
        used = upload.watch.cpu("transfer")
        rows.append(
            Row("… processor time, to that of `xz -dc -T1`", f"{used / upload.xz1[1]:.2f} : 1", f"{used:.1f} s")
        )
    return rows


def phase_rows(upload):
    rows = []
    for name in ("receive", "transfer", "import", "rest"):
        title = name if name == "rest" else f"`{name}`"
        rows.append(Row(title, f"{upload.phases[name] / upload.took:.0%}", f"{upload.phases[name]:.1f} s"))
    speed = upload.image.size / MIB / upload.took
    return [*rows, Row("the whole execution", "100%", f"{upload.took:.1f} s, {speed:.0f} MiB of disk a second")]
