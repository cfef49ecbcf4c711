"""What both doors have to answer: what OBS's own cloud upload server answered, byte for byte but for numbers and times."""

import json
import re
import time

from common import aws, uploads
from common.failure import Failure
from test_obs.http import ask, query, target

LISTED = range(200_000, 202_000)
"""The jobs that the frontend asks for in one GET."""
THERE = LISTED[:-10]
"""Those of them that there are."""

BATCH = 25
"""The most items that DynamoDB takes in a BatchWriteItem."""

JOB_TIMEOUT = 90

JOB = """<clouduploadjob name="{id}">
  <state>{state}</state>
  <details>{details}</details>
  <created>{created}</created>
  <user>tom</user>
  <target>{target}</target>
  <project>Cloud:Images</project>
  <repository>images</repository>
  <package>leap-ec2</package>
  <arch>x86_64</arch>
  <filename>{filename}</filename>
  <size>{size}</size>
</clouduploadjob>
"""

NO_SUCH_JOB = """<status code="404">
  <summary>no such job</summary>
  <details>404 no such job</details>
</status>
"""

BAD_REQUEST = """<status code="400">
  <summary>{}</summary>
</status>
"""

# What Net::HTTP of the frontend's Ruby sends.
AS_FRONTEND = {
    "Accept_Encoding": "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
    "Accept": "*/*",
    "User_Agent": "Ruby",
    "X_Request_Id": "0f0b9a5e-4d0b-4a7c-9a0e-3f1f6f9b2c11",
}

NO_ROLE = "arn is missing: enter the ARN of your AWS role in OBS, on the page 'Cloud Upload', 'Configuration', 'EC2'"


class Door:
    """A URL that OBS's frontend may have for its source server."""

    def __init__(self, name, url, env, filename, size):
        self.name, self.url, self.env, self.filename, self.size = name, url, env, filename, size

    def ask(self, method, path, body=None, **headers):
        return ask(method, f"{self.url}{path}", body, **{**AS_FRONTEND, **headers})

    def create(self, ami_name, target="ec2", package="leap-ec2", **changes):
        build = uploads.build_result(package)
        path = f"/cloudupload?{query(**build, filename=self.filename, user='tom', target=target)}"
        wishes = {
            "arn": self.env["USER_ROLE_ARN"],
            "external_id": self.env["USER_EXTERNAL_ID"],
            "region": self.env["USER_REGION"],
            "user_id": 7,
            "ami_name": ami_name,
            "vpc_subnet_id": "",
            **changes,
        }
        return self.ask("POST", path, json.dumps(wishes).encode(), Content_Type="application/octet-stream")

    def created(self, ami_name):
        """Creates a job and returns its number."""
        return self.require_job(self.create(ami_name), state="created", details="waiting to receive image")

    def require_job(self, answer, **fields):
        """Requires that an answer is a job of these fields. Returns its number."""
        number = re.search(r'name="(\d+)"', answer.text)
        created = re.search(r"<created>(\d+)</created>", answer.text)
        if answer.status != 200 or not number or not created:
            raise Failure(f"{self.name}: no job, but {answer.status}:\n{answer.text}")
        values = {"target": "ec2", "filename": self.filename, "size": self.size, "created": created[1], **fields}
        self.require("a job", answer, 200, JOB.format(id=number[1], **values))
        return number[1]

    def require(self, what, answer, status, text, content_type="text/xml"):
        found = (answer.status, answer.headers["Content-Type"], answer.text)
        if found != (status, content_type, text):
            raise Failure(f"{self.name}, {what}: expected {(status, content_type, text)}, not {found}")

    def say(self, what):
        print(f"    {self.name:<30} {what}", flush=True)


def check_all(env, filename, frontend, source_server, direct, relayed, size):
    """Every check, the frontend's door first. `direct` is a source server that calls the API without nginx, and `relayed` one
    that calls the relay."""
    front = Door("nginx for the frontend", frontend, env, filename, size)
    source = Door("source server by nginx", source_server, env, filename, size)
    alone = Door("source server by itself", direct, env, filename, size)
    by_relay = Door("source server by the relay", relayed, env, filename, size)
    doors = (front, source, alone, by_relay)
    jobs = {door: create(door) for door in doors}
    for door in doors:
        check_daemons(door)
        check_refusals(door)
    check_refused_request(front)
    for door in (source, alone, by_relay):
        check_refused_jobs(door)
    for door in doors:
        wait_for_success(door, jobs[door])
    make_jobs(env, jobs[front])
    check_list(front, encoding="gzip")
    # It takes no compressed answer, which nginx then unpacks.
    check_list(source, encoding=None)
    check_form(env, jobs[front])
    check_list(by_relay, encoding=None)
    check_image(alone)
    log = by_relay.ask("GET", f"/cloudupload/{jobs[by_relay]}/_log?nostream=1&start=0").text
    if f"Received {size} bytes of {filename}, CRC32 " not in log:
        raise Failure(f"{by_relay.name}: the image was not pushed:\n{log}")


def create(door):
    job = door.created(door.name)
    door.say(f"creates job {job}")
    return job


def wait_for_success(door, job):
    """The image is fetched by the uploader, whatever has become of the one that the source server has sent."""
    deadline = time.monotonic() + JOB_TIMEOUT
    while (fields := uploads.job_fields(door.ask("GET", f"/cloudupload/{job}").text))["state"] != "succeeded":
        log = door.ask("GET", f"/cloudupload/{job}/_log?nostream=1&start=0").text
        if fields["state"] == "failed" or time.monotonic() > deadline:
            raise Failure(f"{door.name}: job {job} is {fields}, and its log\n{log}")
        time.sleep(0.5)
    answer = door.ask("GET", f"/cloudupload/{job}")
    # Progress is what OBS's own server never has.
    answer = answer._replace(text=re.sub(r"  <progress>100</progress>\n", "", answer.text))
    door.require_job(answer, state="succeeded", details=fields["details"])
    log = door.ask("GET", f"/cloudupload/{job}/_log?nostream=1&start=0")
    end = log.text[-200:]
    if f"Created image: {fields['details']}\n" not in log.text or not re.search(r"Upload took: [\d:]{8}\n", end):
        raise Failure(f"{door.name}: the log of job {job} lacks its end:\n{log.text}")
    door.require("the log", log, 200, log.text, "text/plain")
    # Without `nostream`, the source server answers by another process.
    part = door.ask("GET", f"/cloudupload/{job}/_log?start=5&end=9")
    door.require("a part of the log", part, 200, log.text[5:9], "text/plain")
    answer = door.ask("POST", f"/cloudupload/{job}?cmd=kill", b"")
    if answer.status != 200 or "<state>succeeded</state>" not in answer.text:
        raise Failure(f"{door.name}: a kill of a finished job answers {answer}")
    door.say(f"shows job {job} succeed, and its log")


def check_daemons(door):
    """The source server has its own daemon in the list, and the repository server, which the stand-in has not."""
    answer = door.ask("GET", "/build/_workerstatus?daemonsonly=1")
    for daemon in ("clouduploadserver", "clouduploadworker", "srcserver"):
        if not re.search(rf'<daemon type="{daemon}" state="running" starttime="\d+" />', answer.text):
            raise Failure(f"{door.name}: {daemon} does not run according to\n{answer.text}")
    door.say("shows both daemons running")


def check_refusals(door):
    for method, path in (
        ("GET", "/cloudupload/99"),
        ("POST", "/cloudupload/99?cmd=kill"),
        ("GET", "/cloudupload/99/_log?nostream=1"),
    ):
        door.require(path, door.ask(method, path), 404, NO_SUCH_JOB)
    door.require("a list", door.ask("GET", "/cloudupload?name=abc"), 400, BAD_REQUEST.format("not a number: 'abc'"))
    job = door.created(f"{door.name} - killed")
    log = door.ask("GET", f"/cloudupload/{job}/_log?nostream=1&start=5000")
    door.require("its log", log, 400, BAD_REQUEST.format("start out of range: 5000"))
    answer = door.ask("POST", f"/cloudupload/{job}?cmd=kill", b"")
    answer = answer._replace(text=re.sub(r"  <progress>\d+</progress>\n", "", answer.text))
    door.require_job(answer, state="failed", details="killed")
    door.say(f"kills job {job}")


def check_refused_request(door):
    """By the frontend's door, the frontend shows the summary."""
    for arn in ("", None):
        door.require("a user without a role", door.create("x", arn=arn), 400, BAD_REQUEST.format(NO_ROLE))
    door.say("tells a user without a role what to do")


def check_refused_jobs(door):
    """The source server would pass on no more than `Bad Request`, so that there is a job that has failed."""
    for details, target, changes in (
        (NO_ROLE, "ec2", {"arn": None}),
        ("target 'azure' is not supported: valid is ec2", "azure", {}),
    ):
        answer = door.create("x", target, **changes)
        job = door.require_job(answer, state="failed", details=details, target=target)
        for method, path in (("GET", f"/cloudupload/{job}"), ("POST", f"/cloudupload/{job}?cmd=kill")):
            answer = door.ask(method, path, b"" if method == "POST" else None)
            door.require_job(answer, state="failed", details=details, target=target)
        log = door.ask("GET", f"/cloudupload/{job}/_log?nostream=1&start=0")
        door.require("its log", log, 200, f"{details}\n", "text/plain")
        execution = aws.execution_of(door.env, job)
        machine = door.env["UPLOAD_MACHINE_ARN"]
        executions = aws.states(door.env, "ListExecutions", stateMachineArn=machine)["executions"]
        if any(run["executionArn"] == execution for run in executions):
            raise Failure(f"{door.name}: the refused job {job} has an execution")
    door.say("has a failed job for what is wrong with a request")


def make_jobs(env, job):
    """The jobs of the list, each with the record of one that has ended."""
    record = {name: value for name, value in aws.job_record(env, job).items() if name != "unfinished"}
    items = [{**record, "id": {"S": str(number)}} for number in THERE]
    for begin in range(0, len(items), BATCH):
        puts = [{"PutRequest": {"Item": item}} for item in items[begin : begin + BATCH]]
        aws.dynamodb(env, "BatchWriteItem", RequestItems={env["JOBS_TABLE"]: puts})


def check_list(door, encoding):
    """All of a user's jobs in one GET, but for some that are not there."""
    first, numbers = THERE[0], range(LISTED[-1], LISTED[0] - 1, -1)
    path = "/cloudupload?" + "&".join(f"name={number}" for number in numbers)
    began = time.monotonic()
    answer = door.ask("GET", path)
    took = time.monotonic() - began
    found = re.findall(r'<clouduploadjob name="(\d+)">', answer.text)
    if answer.status != 200 or found != [str(number) for number in numbers if number in THERE]:
        raise Failure(f"{door.name}: {len(found)} of {len(THERE)} jobs in {answer.status}: {answer.text[:400]}")
    if answer.headers["Content-Encoding"] != encoding:
        raise Failure(f"{door.name}: the list is encoded as {answer.headers['Content-Encoding']}")
    one = door.ask("GET", f"/cloudupload?name={first}&name=99")
    entry = door.ask("GET", f"/cloudupload/{first}").text
    entry = "".join(f"  {line}\n" for line in entry.splitlines())
    door.require("a list", one, 200, f"<clouduploadjoblist>\n{entry}</clouduploadjoblist>\n")
    empty = door.ask("GET", "/cloudupload?name=99")
    door.require("an empty list", empty, 200, "<clouduploadjoblist>\n</clouduploadjoblist>\n")
    whole = door.ask("GET", "/cloudupload")
    if whole.status != 200 or len(re.findall("<clouduploadjob ", whole.text)) < len(THERE):
        raise Failure(f"{door.name}: a list of all jobs answers {whole.status}: {whole.text[:400]}")
    door.say(f"lists {len(found)} of {len(LISTED)} jobs that a GET of {len(path)} bytes names, in {took:.1f} s")


def check_form(env, job):
    """API Gateway refuses a GET that long, and takes the form in its place."""
    url, authorization = target(env)
    names = "&".join(f"name={number}" for number in [job] * len(LISTED))
    refused = ask("GET", f"{url}/cloudupload?{names}", **authorization)
    if refused.status != 431:
        raise Failure(f"a GET of {len(LISTED)} jobs answers {refused.status}, but API Gateway refuses it")
    form = {"Content_Type": "application/x-www-form-urlencoded", **authorization}
    answer = ask("POST", f"{url}/cloudupload?cmd=list", names.encode(), **form)
    if answer.status != 200 or len(re.findall("<clouduploadjob ", answer.text)) != len(LISTED):
        raise Failure(f"the form of {len(LISTED)} jobs answers {answer.status}: {answer.text[:400]}")


def check_image(door):
    """The source server's PUT: what it sends is of no account, and too much of it neither."""
    url, authorization = target(door.env)
    job = door.created(f"{door.name} - PUT")
    for size, status in ((1 << 10, 200), (11 << 20, 413)):
        answer = ask("PUT", f"{url}/cloudupload/{job}", bytes(size), **authorization)
        if answer.status != status:
            raise Failure(f"a PUT of {size} bytes answers {answer.status}: {answer.text}")
    wait_for_success(door, job)
