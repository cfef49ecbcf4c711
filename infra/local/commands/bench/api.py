"""The speed of the api, run alone between stand-ins for Lambda and DynamoDB."""

import contextlib
import json
import statistics
import subprocess
import time
from typing import NamedTuple

from bench.functions import start
from bench.processes import cpu, peak, used_cpu
from bench.standins import Lambda, Recorder
from bench.table import Row, mib, ms, note
from common import aws
from common.failure import Failure
from common.loopback import without_secret
from common.paths import TOP

API_SECONDS = 29
"""What the API may take for an answer, in the template."""

STARTS = 20
WARM_UPS, STATUSES, LISTS = 20, 2000, 300
LISTED = 100
FIRST_LISTED = 1_000_001
"""Where the records for the list get their numbers: far from those of the jobs of this run."""


class Warm(NamedTuple):
    """Of a process that runs already: seconds to the answer (the median), and seconds of processor (the mean)."""

    took: float
    cpu: float


def measure_api(env, job):
    note(f"the api: {STARTS} cold starts, {STATUSES} statuses, {LISTS} lists of {LISTED}")
    copy_record(env, job)
    dynamodb = Recorder(env["AWS_ENDPOINT_URL"])
    status, listing, rss, xml_size = measure_warm(env, dynamodb, job)
    nothing, cold, cold_cpu = measure_cold(env, dynamodb, job)
    median_cold, median_cpu, median_nothing = map(statistics.median, (cold, cold_cpu, nothing))
    xml = f"{xml_size / 1024:.0f} KiB of XML"
    return [
        Row("cold: process start to first answer", ms(median_cold), f"median of {STARTS}, slowest {ms(max(cold))}"),
        Row("… to start and end of `/bin/true`", f"{median_cold / median_nothing:.1f} : 1", ms(median_nothing)),
        Row("… to a warm request", f"{median_cold / status.took:.1f} : 1", ms(status.took)),
        Row("… in processor time", ms(median_cpu), f"{median_cpu / median_cold:.0%} of the cold start"),
        Row("processor time of a single status", ms(status.cpu), f"mean of {STATUSES}"),
        Row(f"processor time of a list of {LISTED} jobs", ms(listing.cpu), f"mean of {LISTS}; {xml}"),
        Row("… to a single status", f"{listing.cpu / status.cpu:.1f} : 1", f"for {LISTED} times the jobs"),
        Row("warm list, time to the answer", ms(listing.took), f"{listing.took / status.took:.1f} times a warm status"),
        Row("peak RSS after all that", mib(rss)),
    ]


def copy_record(env, job):
    """Makes the jobs of the list, each with the record of a job that has ended."""
    original = aws.job_record(env, job)
    for number in range(FIRST_LISTED, FIRST_LISTED + LISTED):
        aws.dynamodb(env, "PutItem", TableName=env["JOBS_TABLE"], Item={**original, "id": {"S": str(number)}})


def measure_warm(env, dynamodb, job):
    """Returns a status and a list as Warm, the peak RSS after both, and the size of the list."""
    names = "&".join(f"name={number}" for number in range(FIRST_LISTED, FIRST_LISTED + LISTED))
    status_event, list_event = api_event(env, f"/cloudupload/{job}"), api_event(env, "/cloudupload", names)
    runtime = Lambda("api", API_SECONDS)
    with running_api(env, runtime, dynamodb) as process:
        for _ in range(WARM_UPS):
            answer_of(runtime, status_event)
            _, xml = answer_of(runtime, list_event)
        if (listed := xml.count("<clouduploadjob ")) != LISTED:
            raise Failure(f"the list has {listed} jobs instead of {LISTED}")
        status = repeat(runtime, process, status_event, STATUSES)
        listing = repeat(runtime, process, list_event, LISTS)
        return status, listing, peak(process.pid), len(xml)


def repeat(runtime, process, event, times):
    before, took = cpu(process.pid), []
    for _ in range(times):
        when, _ = answer_of(runtime, event)
        took.append(when - runtime.handed_over)
    return Warm(statistics.median(took), (cpu(process.pid) - before) / times)


def measure_cold(env, dynamodb, job):
    """Seconds of each start: of `/bin/true`, of the api to its first answer, and the latter in processor time."""
    event = api_event(env, f"/cloudupload/{job}")
    nothing, cold, cold_cpu = [], [], []
    for _ in range(STARTS):
        began = time.perf_counter()
        subprocess.run(["/bin/true"], env={}, check=True)
        nothing.append(time.perf_counter() - began)
        runtime = Lambda("api", API_SECONDS)
        began = time.perf_counter()
        process = start_api(env, runtime, dynamodb)
        try:
            when, _ = answer_of(runtime, event)
        finally:
            process.kill()
            cold_cpu.append(used_cpu(process))
        cold.append(when - began)
    return nothing, cold, cold_cpu


@contextlib.contextmanager
def running_api(env, runtime, dynamodb, variables=None):
    """The api, with more variables in its environment."""
    process = start_api(env, runtime, dynamodb, variables)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def start_api(env, runtime, dynamodb, variables=None):
    variables = {
        **(variables or {}),
        "AWS_ENDPOINT_URL_DYNAMODB": f"http://{dynamodb.server.address}",
        "OBS_URL": "http://127.0.0.1:9",
        "FIRST_JOB": "1",
        "UPLOAD_MACHINE_ARN": env["UPLOAD_MACHINE_ARN"],
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": env["AWS_ENDPOINT_URL"],
        "FRONTEND_SECRET": env["FRONTEND_SECRET"],
        "CALLERS_TABLE": env["CALLERS_TABLE"],
        "CALLERS_WITHOUT_SECRET": "refused",
        "USERS_TABLE": env["USERS_TABLE"],
        "USERS_ARE_OBS_USERS": "no",
        # Nobody connects a role or removes an image here.
        "CONNECT_FUNCTION": "connect",
        "DEREGISTER_FUNCTION": "deregister",
    }
    return start(runtime, 256, env, variables)


def answer_of(runtime, event):
    """(when the answer came, its body). The answer has to be a 200 of the API."""
    when, answer = runtime.ask(event)
    if answer["statusCode"] != 200:
        raise Failure(f"the api answers {answer}")
    return when, answer["body"]


def api_event(env, path, query=""):
    """The sample event, as a GET that has the frontend's secret."""
    sample = json.loads((TOP / "events" / "api.json").read_text())
    sample |= {
        "rawPath": path,
        "rawQueryString": query,
        "queryStringParameters": {},
        "body": None,
        "isBase64Encoded": False,
    }
    sample["headers"] = {name: text for name, text in sample["headers"].items() if not name.startswith("content-")}
    sample["headers"]["authorization"] = without_secret(env["CLOUDUPLOAD_URL"])[1]["Authorization"]
    sample["requestContext"]["http"] |= {"method": "GET", "path": path}
    return json.dumps(sample).encode()
