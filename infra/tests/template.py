"""The service's template, as the tests look at it."""

import re
from pathlib import Path

from samcli.yamlhelper import yaml_parse

TOP = Path(__file__).resolve().parents[2]
DOCS = TOP / "docs"
TEMPLATE = yaml_parse((TOP / "infra" / "template.yaml").read_text())
RESOURCES = TEMPLATE["Resources"]


def of_type(kind):
    """The properties of all resources of a type, by their logical ids."""
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


def references(node):
    """The names that a part of the template refers to: parameters, resources and conditions."""
    found = set()
    if isinstance(node, list):
        for item in node:
            found |= references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("Ref", "Condition") and isinstance(value, str):
                found.add(value)
            elif key == "Fn::GetAtt":
                found.add(value[0] if isinstance(value, list) else value.split(".")[0])
            elif key == "Fn::If":
                found |= {value[0]} | references(value[1:])
            elif key == "Fn::Sub":
                text = value if isinstance(value, str) else value[0]
                found |= {name.split(".")[0] for name in re.findall(r"\$\{([\w.:]+)\}", text)}
                found |= references(value)
            else:
                found |= references(value)
    return found
