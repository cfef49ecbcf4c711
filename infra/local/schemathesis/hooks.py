"""What schemathesis has to know about this API beside its description.

CALLER_USER is the one user of OBS whose jobs the caller may see and create, CALLER_JOBS are the numbers of such jobs, and
CALLER_PACKAGE is the package that has the file of the description's examples.
"""

import os
from pathlib import Path

import requests
import schemathesis
import yaml
from schemathesis.core.transport import Response
from schemathesis.specs.openapi import checks

from xml_values import Reader

DESCRIPTION = yaml.safe_load((Path(__file__).resolve().parents[3] / "docs" / "openapi.yaml").read_text())
READER = Reader(DESCRIPTION)
USER, PACKAGE = os.environ["CALLER_USER"], os.environ["CALLER_PACKAGE"]
JOBS = os.environ["CALLER_JOBS"].split()
BUILD = {
    "project": "Cloud:Images",
    "repository": "images",
    "arch": "x86_64",
    "package": "leap-ec2",
    "user": USER,
    "target": "ec2",
}
"""What a request that creates a job has to have."""

SUBMISSION, FORM = "text/xml", "application/x-www-form-urlencoded"
TIMEOUT = 30
CONFORMANCE = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
STRANGERS = {
    "nobody": None,
    "a caller that is not known": requests.auth._basic_auth_str("nobody", "guess"),
    "a caller with another secret": requests.auth._basic_auth_str("obs", "guess"),
    "a bearer": "Bearer guess",
    "no base64": "Basic guess",
}
"""Headers `Authorization` of those who are not let in."""


@schemathesis.deserializer("text/xml")
def read_xml(context, response):
    operation = context.operation
    answers = DESCRIPTION["paths"][operation.path][operation.method]["responses"]
    answer = READER.resolved(answers[str(response.status_code)])
    return READER.read(response.content, answer["content"]["text/xml"]["schema"])


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Says which parameters go together, for which OpenAPI has no words, and turns requests that would find nothing into
    some that do. What is wrong on purpose stays as it is."""
    if not case.meta:
        return
    if not case.meta.generation.mode.is_positive:
        if case.operation.label == "POST /cloudupload" and case.media_type == "application/json":
            leave_one_mistake(case)
        return
    job = case.path_parameters.get("job", "")
    if case.operation.path.startswith("/v1/"):
        return
    if job and int(job) % 2:
        case.path_parameters["job"] = JOBS[int(job) // 2 % len(JOBS)]
    if case.operation.label == "POST /cloudupload":
        complete(case)
    elif isinstance(case.body, dict):
        # A parameter comes once, in the query or in the form.
        location = getattr(case.meta.phase.data, "parameter_location", None)
        if location and location.value == "query":
            case.body = {name: value for name, value in case.body.items() if name not in case.query}
        else:
            case.query = {name: value for name, value in case.query.items() if name not in case.body}


def leave_one_mistake(case):
    """Without the mistake that was made on purpose, the job would be created."""
    if case.query.get("cmd") == "list":
        del case.query["cmd"]
    case.query.pop("push", None)
    for name, example, ours in [("user", "tom", USER), ("package", BUILD["package"], PACKAGE)]:
        if case.query.get(name) == example:
            case.query[name] = ours


def complete(case):
    if case.media_type == SUBMISSION:
        case.query = {name: value for name, value in case.query.items() if name == "push"}
        case.body["user"] = own(case.body["user"])
    elif case.media_type == FORM:
        case.query = {"cmd": "list"}
    else:
        for other in ("cmd", "push"):
            case.query.pop(other, None)
        case.query = {**BUILD, **case.query}
        case.query["user"] = own(case.query["user"])
        if case.query["package"] == BUILD["package"]:
            # Few of these requests are to create a job, which costs an execution. OBS does not have the other package.
            is_example = case.meta.phase.name.value == "examples"
            case.query["package"] = PACKAGE if is_example else f"no-{PACKAGE}"


def own(user):
    """Most requests are for the caller's user. The others are refused."""
    return user if len(user) % 4 == 2 else USER


@schemathesis.check
def other_methods_are_unknown(_context, response, case):
    """Answers as OBS does where a path does not have the method, and below /v1 as HTTP has it."""
    method = response.request.method
    if method.lower() not in DESCRIPTION["paths"][case.operation.path]:
        if case.operation.path.startswith("/v1/"):
            assert response.status_code == 405, f"{method} gets {response.status_code}"
            return
        if is_open(case):
            # Nobody says who they are to such an operation, which any other method needs.
            assert response.status_code == 401, f"{method} gets {response.status_code}"
            return
        assert response.status_code == 400, f"{method} gets {response.status_code}"
        problem = READER.read(response.content, {"$ref": "#/components/schemas/Status"})
        assert problem["summary"].startswith("unknown request: "), problem


def is_open(case):
    """Whether it takes no secret."""
    return DESCRIPTION["paths"][case.operation.path][case.operation.method].get("security") == []


refused = set()
"""Operations and strangers that were tried."""


@schemathesis.check
def strangers_are_refused(_context, response, case):
    """Asks the same without the caller's secret, once for each operation that needs one."""
    if is_open(case):
        return
    for who, authorization in STRANGERS.items():
        if (case.operation.label, who) in refused:
            continue
        request = response.request.copy()
        request.headers.pop("Authorization", None)
        if authorization:
            request.headers["Authorization"] = authorization
        with requests.Session() as session:
            answer = session.send(request, timeout=TIMEOUT)
        assert answer.status_code == 401, f"{who} gets {answer.status_code}"
        case.validate_response(Response.from_requests(answer, verify=True), checks=CONFORMANCE)
        refused.add((case.operation.label, who))
