"""What users get by the link that the stack prints."""

import re
import urllib.parse

from common.failure import Failure
from common.loopback import fetch
from common.paths import TOP

NAME = "user-account.yaml"
TEMPLATE = TOP / "infra" / NAME
GIVEN = {"stackName": "obs-cloudupload", "param_ExternalId": ""}
"""What the link says of the user's stack, beside the service's account. The external ID is for the user to fill in."""


def verify(env):
    """The link names this account and a template that anybody can read, and no other object of that bucket."""
    link = urllib.parse.urlsplit(env["USER_QUICK_CREATE_URL"])
    page, _, query = link.fragment.partition("?")
    parameters = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    template = urllib.parse.urlsplit(parameters.pop("templateURL"))
    require(page == "/stacks/create/review", f"the link leads to {page}")
    given = {**GIVEN, "param_ServiceAccountId": env["SERVICE_ACCOUNT"]}
    require(parameters == given, f"the link has the parameters {parameters}, not {given}")
    declared = set(re.findall(r"^  (\w+):\n    Type: String", TEMPLATE.read_text(), re.MULTILINE))
    named = {name.removeprefix("param_") for name in parameters if name.startswith("param_")}
    require(named <= declared, f"the template has no parameters {named - declared}")
    bucket = template.hostname.partition(".")[0]
    at_emulator = f"{env['AWS_ENDPOINT_URL']}/{bucket}"
    require(template.path == f"/{NAME}", f"the template is {template.path}")
    require(fetch(f"{at_emulator}/{NAME}") == TEMPLATE.read_bytes(), "another template lies in the bucket")
    for other in ("", "/other"):
        require(refused(at_emulator + other), f"{bucket}{other} can be read without credentials")


def refused(url):
    try:
        fetch(url)
    except Failure as failure:
        return getattr(failure.__cause__, "code", None) == 403
    return False


def require(condition, otherwise):
    if not condition:
        raise Failure(otherwise)
