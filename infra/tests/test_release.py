"""The template of a release is infra/template.yaml, but for where the code is."""

import copy
import sys
import unittest

from samcli.yamlhelper import yaml_parse

from tests.template import TEMPLATE, TOP

sys.path.insert(0, str(TOP / "infra" / "local" / "commands"))
from release import cloudformation_yaml, template  # noqa: E402

SOURCE = cloudformation_yaml.parse((TOP / "infra" / "template.yaml").read_text())
CODE = {name: f"{name}-1234" for name in (*template.functions(SOURCE), *template.state_machines(SOURCE))}
RELEASED = template.released(SOURCE, CODE, "x86_64")


def without_code(whole):
    """A template without what may differ."""
    rest = copy.deepcopy(whole)
    groups = rest["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    groups[:] = [group for group in groups if group["Label"]["default"] != "Code"]
    for name in (*template.PARAMETERS, "Architecture"):
        rest["Parameters"].pop(name, None)
    rest["Globals"]["Function"].pop("CodeUri", None)
    for name in CODE:
        resource = rest["Resources"][name]
        for key in ("CodeUri", "DefinitionUri"):
            resource["Properties"].pop(key, None)
        for key in template.BUILD_METADATA:
            resource.get("Metadata", {}).pop(key, None)
    return rest


class Release(unittest.TestCase):
    def test_it_is_read_as_sam_reads_it(self):
        self.assertEqual(SOURCE, yaml_parse((TOP / "infra" / "template.yaml").read_text()))

    def test_nothing_but_the_place_of_the_code_differs(self):
        self.assertEqual(without_code(RELEASED), without_code(TEMPLATE))

    def test_all_code_is_in_the_bucket(self):
        self.assertGreater(len(CODE), 11)
        for name, file in CODE.items():
            properties = RELEASED["Resources"][name]["Properties"]
            self.assertEqual(
                properties.get("CodeUri", properties.get("DefinitionUri")),
                {"Bucket": {"Ref": "CodeBucket"}, "Key": {"Fn::Sub": f"${{CodePrefix}}/{file}"}},
            )

    def test_what_is_written_is_what_was_meant_and_has_no_aliases(self):
        written = cloudformation_yaml.dump(RELEASED)
        self.assertEqual(yaml_parse(written), RELEASED)
        self.assertNotRegex(written, r"(?m)(: |- )[&*]\w+$")

    def test_the_processor_is_that_of_the_release(self):
        architecture = RELEASED["Parameters"]["Architecture"]
        self.assertEqual((architecture["Default"], architecture["AllowedValues"]), ("x86_64", ["x86_64"]))

    def test_the_console_shows_each_parameter_in_a_group(self):
        groups = RELEASED["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        shown = [name for group in groups for name in group["Parameters"]]
        self.assertEqual(sorted(shown), sorted(RELEASED["Parameters"]))


if __name__ == "__main__":
    unittest.main()
