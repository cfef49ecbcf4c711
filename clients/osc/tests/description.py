"""docs/openapi.yaml, against which the stand-in for the cloud uploader holds each request and each answer."""

import re
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

FILE = Path(__file__).resolve().parents[3] / "docs" / "openapi.yaml"
DOCUMENT = yaml.safe_load(FILE.read_text())
REGISTRY = Registry().with_resource("urn:api", DRAFT202012.create_resource(DOCUMENT))


class Undescribed(Exception):
    """A request or an answer that the description does not have."""


class Call:
    """An operation below /v1, and where the description has it."""

    def __init__(self, method, path):
        for template, item in DOCUMENT["paths"].items():
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            if template.startswith("/v1/") and re.fullmatch(pattern, path) and method.lower() in item:
                self.place = ("paths", template, method.lower())
                self.operation = item[method.lower()]
                return
        raise Undescribed(f"{method} {path}")

    def check_request(self, query, body):
        parameters = {parameter["name"]: index for index, parameter in enumerate(self.operation.get("parameters", []))}
        for name, value in query.items():
            if name not in parameters:
                raise Undescribed(f"parameter {name} of {self.place}")
            is_number = self.operation["parameters"][parameters[name]]["schema"].get("type") == "integer"
            check(int(value) if is_number else value, *self.place, "parameters", parameters[name], "schema")
        if body is not None:
            check(body, *self.place, "requestBody", "content", "application/json", "schema")

    def success(self):
        """The status code of a success."""
        (status,) = (int(status) for status in self.operation["responses"] if status.startswith("2"))
        return status

    def check_answer(self, status, body, content_type):
        if str(status) not in self.operation["responses"]:
            raise Undescribed(f"status {status} of {self.place}")
        response, place = self.operation["responses"][str(status)], (*self.place, "responses", str(status))
        if "$ref" in response:
            place = response["$ref"].removeprefix("#/").split("/")
        check(body, *place, "content", content_type, "schema")


def check(value, *place):
    """Fails unless the value is as the schema at that place of the description says."""
    pointer = "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in place)
    try:
        Draft202012Validator({"$ref": f"urn:api#/{pointer}"}, registry=REGISTRY).validate(value)
    except Exception as error:
        raise Undescribed(f"{pointer}: {error}") from error
