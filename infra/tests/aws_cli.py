"""What the AWS CLI takes, by the models of botocore, from which it makes its commands itself.

A command is a service, an operation and options (AWS CLI user guide, "Command line structure in the AWS CLI"): members
of the operation's input in lower case with hyphens; those that are true or false have a `--no-` form. Not made of the
models, and therefore listed here, are the options of all commands (AWS CLI command reference, "Global options"; the
paging options of "Using AWS CLI pagination options"), and the commands that the CLI has beside them.
"""

import json

import botocore.exceptions
import botocore.session
from botocore import xform_name
from botocore.validate import ParamValidator

GLOBAL_OPTIONS = {
    *("region", "output", "query", "profile", "endpoint-url", "no-cli-pager", "cli-binary-format"),
    "cli-read-timeout",
}
PAGING_OPTIONS = {"max-items", "page-size", "starting-token"}

CUSTOM = {
    "cloudformation deploy": {
        *("template-file", "stack-name", "s3-bucket", "s3-prefix", "capabilities", "parameter-overrides", "role-arn"),
        *("no-execute-changeset", "no-fail-on-empty-changeset", "tags", "notification-arns", "kms-key-id"),
    },
    "cloudformation package": {"template-file", "s3-bucket", "s3-prefix", "output-template-file"},
    # Version 2 of the CLI only.
    "logs tail": {
        *("since", "follow", "format", "filter-pattern", "log-stream-names", "log-stream-name-prefix"),
    },
    "s3 mb": set(),
    "s3 cp": {"recursive", "no-progress"},
    "s3 ls": {"recursive"},
    "s3 rm": {"recursive"},
}
"""Options of commands that are no operations (AWS CLI command reference)."""

RENAMED = {"sns subscribe": {"endpoint": "notification-endpoint"}}
"""Options that would not be told from those of all commands (awscli/customizations/argrename.py)."""

OUTFILES = {"lambda invoke"}
"""Operations that write what they get into a file, which is named without an option."""

UNKNOWN = ("$", "…", "...", "SUBSTITUTED", "<")
"""What stands in a value for something that only the reader knows."""

SESSION = botocore.session.get_session()


def problems_of(words):
    """What the AWS CLI would not take in a command, or would find missing."""
    _, service, operation, *rest = words
    if f"{service} {operation}" in CUSTOM:
        return unknown_options(rest, CUSTOM[f"{service} {operation}"])
    if service not in SESSION.get_available_services():
        return [f"there is no service {service}"]
    if operation == "wait":
        return problems_of_wait(service, *rest)
    return problems_of_operation(service, operation, rest)


def unknown_options(rest, known):
    return [f"there is no option --{name}" for name in options_of(rest) if name not in known | GLOBAL_OPTIONS]


def options_of(rest):
    """The options, each with its values."""
    options = {}
    values = []
    for word in rest:
        if word.startswith("--"):
            values = options[word[2:]] = []
        else:
            values.append(word)
    return options


def problems_of_wait(service, name, *rest):
    config = SESSION.get_component("data_loader").load_service_model(service, "waiters-2")["waiters"]
    waiters = {xform_name(waiter, "-"): waiter for waiter in config}
    if name not in waiters:
        return [f"nothing to wait for in {service} is called {name}"]
    return problems_of_operation(service, xform_name(config[waiters[name]]["operation"], "-"), rest)


def problems_of_operation(service, name, rest):
    model = SESSION.get_service_model(service)
    operations = {xform_name(operation, "-"): operation for operation in model.operation_names}
    if name not in operations:
        return [f"{service} has no operation {name}"]
    shape = model.operation_model(operations[name]).input_shape
    renamed = RENAMED.get(f"{service} {name}", {})
    names = {member: xform_name(member, "-") for member in shape.members} if shape else {}
    members = {renamed.get(option, option): member for member, option in names.items()}
    problems, given = [], set()
    for option, values in options_of(rest).items():
        if option in GLOBAL_OPTIONS | PAGING_OPTIONS | {"generate-cli-skeleton"}:
            continue
        positive = option.removeprefix("no-")
        member = members.get(option) or members.get(positive)
        if member is None or (option not in members and shape.members[member].type_name != "boolean"):
            problems.append(f"{name} has no option --{option}")
            continue
        given.add(member)
        problems += problems_of_values(option, values, shape.members[member], f"{service} {name}" in OUTFILES)
    required = set(shape.required_members) if shape else set()
    return problems + [f"--{xform_name(member, '-')} is missing" for member in sorted(required - given)]


def problems_of_values(option, values, shape, outfile):
    if any(mark in value for value in values for mark in UNKNOWN):
        return []
    wrong = f"--{option} does not take {' '.join(values)!r}"
    if shape.type_name == "boolean":
        return [wrong] if values else []
    if not values:
        return [f"--{option} has no value"]
    if shape.type_name == "string":
        fits = (len(values) == 1 or outfile) and (not shape.enum or values[0] in shape.enum)
        return [] if fits else [wrong]
    if shape.type_name in ("structure", "map", "list") and values[0][0] in "{[":
        try:
            report = ParamValidator().validate(json.loads(values[0]), shape)
        except (ValueError, botocore.exceptions.ParamValidationError) as error:
            return [f"{wrong}: {error}"]
        return [f"{wrong}: {report.generate_report()}"] if report.has_errors() else []
    if shape.type_name == "list" and shape.member.type_name == "string":
        return [wrong] if shape.member.enum and not set(values) <= set(shape.member.enum) else []
    return []
