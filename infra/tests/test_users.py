"""docs/users.md describes the role of user-account.yaml."""

import json
import re
import unittest

from samcli.yamlhelper import yaml_parse

from tests.template import DOCS, TOP

PAGE = (DOCS / "users.md").read_text()
ROLE = yaml_parse((TOP / "infra" / "user-account.yaml").read_text())["Resources"]["UploadRole"]["Properties"]


def policies():
    for policy in ROLE["Policies"]:
        yield policy["Fn::If"][1] if "Fn::If" in policy else policy


def in_partition_aws(node):
    """A part of the template as it is in the partition `aws`."""
    if isinstance(node, dict):
        if "Fn::Sub" in node:
            return node["Fn::Sub"].replace("${AWS::Partition}", "aws")
        return {key: in_partition_aws(value) for key, value in node.items()}
    return [in_partition_aws(item) for item in node] if isinstance(node, list) else node


class Users(unittest.TestCase):
    def test_the_lines_to_add_are_those_of_the_template(self):
        (block,) = re.findall(r"^    (\{\"Version\".*?^    \]\})$", PAGE, re.MULTILINE | re.DOTALL)
        of_template = [
            statement
            for policy in policies()
            if policy["PolicyName"] in ("direct", "ami")
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        self.assertEqual(json.loads(block)["Statement"], in_partition_aws(of_template))

    def test_each_action_is_explained_in_the_section_of_its_policy(self):
        for policy in policies():
            name = policy["PolicyName"]
            section = next(part for part in PAGE.split("\n### ") if f"`{name}`" in part.splitlines()[0])
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    self.assertIn(f"`{action}`", section, name)


if __name__ == "__main__":
    unittest.main()
