"""The api next to OBS's own cloud upload server, which does the same on a machine that is always on."""

import contextlib
import http.client
import os
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from bench.api import FIRST_LISTED, LISTED, WARM_UPS, answer_of, api_event, copy_record, running_api
from bench.images import make_small_image
from bench.processes import cpu
from bench.standins import Lambda, Recorder
from bench.table import Table, ms, note
from bench.uploads import small_job
from common import aws, uploads
from common.failure import Failure
from needs.report import report
from needs.table import SOURCE_SERVER
from test_obs.source_server import ObsServer

TITLE = "Next to OBS's own server"
HEAD = ("", "`api`", "its calls of AWS", "OBS 2.9.4", "to OBS's")

STATUSES, LISTS, LOGS = 400, 100, 20
"""Requests of each kind: enough for some seconds of processor time, of which the kernel tells hundredths."""

LOG_BYTES = 1 << 20
LOG_LINE = "Transferred 69% (350 of 506 MiB, 64.2 MiB/s, retries: 0)"
EVENTS = 10_000
"""The most events of a PutLogEvents; a MiB of them is the other limit (API reference), and 26 bytes count for each."""

LIMIT = 0.1
"""Part of the processor time of OBS's server that the api may take."""

API_SECONDS = 29


class Answered(NamedTuple):
    """A kind of request: seconds of processor for one, seconds until the answer (the median), its body, calls of AWS."""

    cpu: float
    took: float
    body: str
    calls: float = 0.0


def measure_obs(folder, env, port, limits):
    """`env` are the settings of a stack, and `port` is for OBS's server."""
    if not SOURCE_SERVER.is_there():
        raise Failure(report(["test-obs"], [SOURCE_SERVER]))
    note(f"OBS's own server: {STATUSES} statuses, {LISTS} lists of {LISTED}, {LOGS} logs of {LOG_BYTES >> 20} MiB")
    job = small_job(env, make_small_image(folder), "bench-obs")
    copy_record(env, job)
    logged = str(FIRST_LISTED)
    log = write_log(env, logged)
    numbers = range(FIRST_LISTED, FIRST_LISTED + LISTED)
    requests = {
        "a single status": (f"/cloudupload/{logged}", "", STATUSES),
        f"a list of {LISTED} jobs": ("/cloudupload", "&".join(f"name={number}" for number in numbers), LISTS),
        f"a log of {LOG_BYTES >> 20} MiB": (f"/cloudupload/{logged}/_log", "nostream=1&start=0", LOGS),
    }
    ours = measure_api(env, requests)
    theirs = measure_server(folder, env, port, numbers, logged, log, requests)
    rows = []
    for what in requests:
        own, other = ours[what], theirs[what]
        require_same_answer(what, own.body, other.body)
        ratio = own.cpu / other.cpu
        if "log" not in what:
            limits.keep(f"processor time of {what}, in parts of that of OBS's server", round(ratio, 3), LIMIT)
        rows.append([f"{what}, processor time", ms(own.cpu), f"{own.calls:.0f}", ms(other.cpu), f"1 : {1 / ratio:.1f}"])
        size = f"{len(own.body)} bytes"
        rows.append([f"… time to the answer, {size}", ms(own.took), "", ms(other.took), f"1 : {other.took / own.took:.1f}"])
    return Table(TITLE, rows, HEAD)


def write_log(env, job):
    """Makes the log of a job, about as long as it may be. Returns its text."""
    lines = [LOG_LINE] * (LOG_BYTES // (len(LOG_LINE) + 1))
    stream = {"logGroupName": env["JOB_LOG_GROUP"], "logStreamName": f"job-{job}"}
    aws.json_call(env, "logs", "Logs_20140328.CreateLogStream", stream)
    now, batch = int(time.time() * 1000), min(EVENTS, LOG_BYTES // (len(LOG_LINE) + 26))
    for start in range(0, len(lines), batch):
        events = [{"timestamp": now, "message": line} for line in lines[start : start + batch]]
        aws.json_call(env, "logs", "Logs_20140328.PutLogEvents", {**stream, "logEvents": events})
    return "".join(f"{line}\n" for line in lines)


def require_same_answer(what, ours, theirs):
    """Both have to have done the same work."""
    if ours != theirs:
        raise Failure(f"{what}: the api answers\n{ours[:1000]}\nand OBS's server\n{theirs[:1000]}")


def measure_api(env, requests):
    """The release build of the api, between stand-ins. Secrets Manager is asked at the first request only."""
    dynamodb, logs = Recorder(env["AWS_ENDPOINT_URL"]), Recorder(env["AWS_ENDPOINT_URL"])
    runtime = Lambda("api", API_SECONDS)
    measured = {}
    with running_api(env, runtime, dynamodb, {"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": f"http://{logs.server.address}"}) as api:
        for what, (path, query, times) in requests.items():
            event = api_event(env, path, query)
            for _ in range(WARM_UPS):
                answer_of(runtime, event)
            before, asked, took = cpu(api.pid), dynamodb.asked + logs.asked, []
            for _ in range(times):
                when, body = answer_of(runtime, event)
                took.append(when - runtime.handed_over)
            used, calls = cpu(api.pid) - before, dynamodb.asked + logs.asked - asked
            measured[what] = Answered(used / times, statistics.median(took), body, calls / times)
    return measured


def measure_server(folder, env, port, numbers, logged, log, requests):
    """OBS's server with the same jobs. Its clients, the source server and the frontend, make a connection a request."""
    server = ObsServer(folder, "bs_clouduploadserver", "bs_clouduploadserver", port, "http://127.0.0.1:9", f"http://127.0.0.1:{port}")
    done = server.data / "cloudupload" / "done"
    done.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (done / str(number)).write_bytes(uploads.status_xml(env, number))
    (done / f"{logged}.log").write_text(log)
    measured = {}
    with contextlib.ExitStack() as stack:
        stack.callback(server.down)
        server.up()
        for what, (path, query, times) in requests.items():
            target = f"{path}?{query}" if query else path
            for _ in range(WARM_UPS):
                ask(port, target)
            time.sleep(SETTLING)
            before, took = cpu_of_session(server.pid()), []
            for _ in range(times):
                began = time.perf_counter()
                body = ask(port, target)
                took.append(time.perf_counter() - began)
            time.sleep(SETTLING)
            used = cpu_of_session(server.pid()) - before
            measured[what] = Answered(used / times, statistics.median(took), body)
    return measured


SETTLING = 1.5
"""Seconds in which the server reaps its children, whose processor time then counts."""


def ask(port, target):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read().decode()
    finally:
        connection.close()
    if answer.status != 200:
        raise Failure(f"OBS's server answers {answer.status}: {body}")
    return body


def cpu_of_session(session):
    """Seconds of processor of all processes of a session, and of their children that have ended (proc(5), stat)."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[3]) == session:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")
