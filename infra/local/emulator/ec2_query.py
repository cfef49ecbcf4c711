"""Reading an EC2 Query API request, and refusing it as EC2 does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import ec2

Answer = tuple[int, dict[str, Any], bytes]
Tags = dict[str, str]


class Refusal(Exception):
    """An EC2 error answer. Codes: "Error codes for the Amazon EC2 API", EC2 Developer Guide."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    def answer(self) -> Answer:
        return ec2._error(self.code, escape(self.message), self.status)


def invalid_value(parameter: str, value: str, hint: str = "") -> Refusal:
    text = f"Value ({value}) for parameter {parameter} is invalid."
    return Refusal("InvalidParameterValue", f"{text} {hint}".rstrip())


@dataclass(frozen=True)
class Query:
    """The parameters of one request, as ministack parsed them: each name with its list of values."""

    parameters: dict[str, Any]

    def text(self, name: str) -> str:
        return ec2._p(self.parameters, name)

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise Refusal("MissingParameter", f"The request must contain the parameter {name}")
        return value

    def flag(self, name: str) -> bool | None:
        value = self.text(name)
        if value.lower() not in ("", "true", "false"):
            raise invalid_value(name, value, "Valid values: true, false")
        return value.lower() == "true" if value else None

    def number(self, name: str) -> int | None:
        value = self.text(name)
        if value and not (value.isascii() and value.isdigit()):
            raise invalid_value(name, value, "It must be a whole number")
        return int(value) if value else None

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value and value not in choices:
            raise invalid_value(name, value, f"Valid values: {', '.join(choices)}")
        return value or None

    def members(self, prefix: str) -> list[str]:
        return ec2._parse_member_list(self.parameters, prefix)

    def filters(self, prefix: str = "Filter") -> dict[str, list[str]]:
        filters: dict[str, list[str]] = {}
        number = 1
        while name := self.text(f"{prefix}.{number}.Name"):
            filters[name] = self.members(f"{prefix}.{number}.Value")
            number += 1
        return filters

    def tags(self, prefix: str = "") -> Tags:
        """The tags at `<prefix>Tag.N`, checked against the rules of "Tag your Amazon EC2 resources"."""
        tags: Tags = {}
        number = 1
        while key := self.text(f"{prefix}Tag.{number}.Key"):
            value = self.text(f"{prefix}Tag.{number}.Value")
            check_tag(key, value)
            if key in tags:
                raise Refusal("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
            tags[key] = value
            number += 1
        return tags

    def tag_specification(self, taggable: str) -> Tags:
        """The tags for the one resource type that the action can tag; others are refused, with the text of aws/aws-cli
        issue 2865."""
        tags: Tags = {}
        number = 1
        while kind := self.text(f"TagSpecification.{number}.ResourceType"):
            if kind != taggable:
                raise Refusal(
                    "InvalidParameterValue",
                    f"'{kind}' is not a valid taggable resource type for this operation.",
                )
            tags |= self.tags(f"TagSpecification.{number}.")
            number += 1
        return tags


MOST_TAGS = 50


def check_tag(key: str, value: str) -> None:
    if len(key) > 128:
        raise Refusal("InvalidParameterValue", "Tag key exceeds the maximum length of 128 characters")
    if len(value) > 256:
        raise Refusal("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters")
    if key.lower().startswith("aws:"):
        raise Refusal("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")


def add_tags(resource: str, tags: Tags) -> None:
    """Adds tags to a resource; equal keys are replaced."""
    merged = tags_of(resource) | tags
    if len(merged) > MOST_TAGS:
        raise Refusal("TagLimitExceeded", "The maximum number of tags for this resource has been reached.")
    if merged:
        ec2._tags[resource] = [{"Key": key, "Value": value} for key, value in merged.items()]


def tags_of(resource: str) -> Tags:
    return {tag["Key"]: tag.get("Value", "") for tag in ec2._tags.get(resource, [])}


def serve(action: str, handler: Callable[[Query], Answer]) -> None:
    """Makes `handler` answer `action`, in place of ministack's own handler if it has one."""

    def answer(parameters: dict[str, Any]) -> Answer:
        try:
            return handler(Query(parameters))
        except Refusal as refusal:
            return refusal.answer()

    ec2._ACTION_MAP[action] = answer


def ec2_element(name: str, value: str) -> str:
    tag = name[0].lower() + name[1:]
    return f"<{tag}>{escape(value)}</{tag}>"


def check_filters(query: Query, known: tuple[str, ...]) -> None:
    """Refuses filters that ministack would pass over in silence."""
    for name in query.filters():
        if name not in known and not name.startswith("tag:"):
            raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
