"""The tables of parameters in docs/ name all of them, with the resources that they set."""

import re
import unittest

from tests.template import DOCS, RESOURCES, TEMPLATE, of_type, references

PARAMETERS = TEMPLATE["Parameters"]


def used():
    """The resources that each parameter sets, directly or by a condition."""
    resources = {name: set() for name in PARAMETERS}
    conditions = {name: references(condition) for name, condition in TEMPLATE["Conditions"].items()}
    for resource, definition in RESOURCES.items():
        direct = references(definition)
        for name in direct.union(*(conditions[name] for name in direct & set(conditions))) & set(PARAMETERS):
            resources[name].add(resource)
    for name in references(TEMPLATE["Globals"]["Function"]) & set(PARAMETERS):
        resources[name] |= set(of_type("AWS::Serverless::Function"))
    return resources


def documented():
    """The same, by docs/parameters.md. A row without a parameter goes on with the one before."""
    resources, parameter = {}, None
    for row in re.findall(r"^\| (`.*|) ?\| (.+?) \|.*\|.*\|$", (DOCS / "parameters.md").read_text(), re.MULTILINE):
        first, second = row
        parameter = first.strip().strip("`") or parameter
        named = set(re.findall(r"`(\w+)`", second))
        if second == "all functions":
            named = set(of_type("AWS::Serverless::Function"))
        resources.setdefault(parameter, set()).update(named)
    return resources


class Parameters(unittest.TestCase):
    def test_the_page_names_the_resources_that_each_parameter_sets(self):
        self.assertEqual(documented(), used())

    def test_the_operators_guide_has_each_parameter_with_its_default(self):
        text = (DOCS / "operators.md").read_text()
        for name, parameter in PARAMETERS.items():
            with self.subTest(name):
                (row,) = re.findall(rf"^\| (?:`\w+`, )?`{name}`(?:, `\w+`)? \|(.*?)\|", text, re.MULTILINE)
                default = parameter.get("Default")
                row = row.strip()
                self.assertEqual(row, {None: "", "": "empty"}.get(default, row))
                if default not in (None, ""):
                    self.assertEqual(row.strip("`"), str(default))

    def test_the_console_shows_each_parameter_in_a_group(self):
        groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        shown = [name for group in groups for name in group["Parameters"]]
        self.assertEqual(sorted(shown), sorted(PARAMETERS))


if __name__ == "__main__":
    unittest.main()
