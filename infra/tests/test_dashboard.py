import itertools
import json
import re
import unittest

from tests.template import RESOURCES, TEMPLATE, of_type

BODY = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
WIDGETS = json.loads(BODY[0])["widgets"]

WIDTH = 24
"""Columns of a dashboard (CloudWatch user guide, "Dashboard body structure and syntax")."""

FREE_METRICS = 50
"""Of a dashboard that costs nothing (Amazon CloudWatch pricing, free tier)."""


def metrics():
    """Namespace and name of each metric, in full: "." and "..." repeat what stands in the line above."""
    for widget in WIDGETS:
        above = []
        for row in widget["properties"].get("metrics", []):
            names = [word for word in row if isinstance(word, str)]
            if names == ["..."]:
                names = above
            if names:
                names = [above[place] if word == "." else word for place, word in enumerate(names)]
                above = names
                yield tuple(names)


def expressions():
    for widget in WIDGETS:
        options = [row[-1] for row in widget["properties"].get("metrics", []) if isinstance(row[-1], dict)]
        for option in options:
            if "expression" in option:
                yield option["expression"], {other["id"] for other in options if "id" in other}


class Dashboard(unittest.TestCase):
    def test_widgets_do_not_overlap(self):
        cells = [
            cell
            for widget in WIDGETS
            for cell in itertools.product(
                range(widget["x"], widget["x"] + widget["width"]), range(widget["y"], widget["y"] + widget["height"])
            )
        ]
        self.assertEqual(len(cells), len(set(cells)))
        self.assertTrue(all(x < WIDTH for x, _ in cells))

    def test_it_shows_all_alarms(self):
        (shown,) = [widget["properties"]["alarms"] for widget in WIDGETS if widget["type"] == "alarm"]
        self.assertEqual(sorted(shown), sorted(f"${{{name}.Arn}}" for name in of_type("AWS::CloudWatch::Alarm")))

    def test_it_costs_nothing(self):
        self.assertLessEqual(len(list(metrics())), FREE_METRICS)

    def test_metrics_are_of_resources_of_the_stack(self):
        kinds = {
            "FunctionName": "AWS::Serverless::Function",
            "TableName": "AWS::DynamoDB::Table",
            "BucketName": "AWS::S3::Bucket",
            "ApiId": "AWS::ApiGatewayV2::Api",
            "StateMachineArn": "AWS::Serverless::StateMachine",
        }
        for metric in metrics():
            if len(metric) > 2:
                name = re.fullmatch(r"\$\{(\w+)\}", metric[3]).group(1)
                self.assertEqual(RESOURCES[name]["Type"], kinds[metric[2]], metric)

    def test_expressions_use_metrics_of_their_widget(self):
        for expression, ids in expressions():
            used = set(re.findall(r"(?<![\w\"$])[a-z]\w*", re.sub(r"\$\{\w+\}", "", expression)))
            self.assertLessEqual(used, ids, expression)

    def test_the_estimate_has_the_memory_of_each_function(self):
        (costs,) = [widget for widget in WIDGETS if widget["properties"].get("title") == "US dollars a day"]
        rows = costs["properties"]["metrics"]
        names = {row[-1]["id"]: row[3][2:-1] for row in rows if "Duration" in row}
        text = " ".join(row[0]["expression"] for row in rows if len(row) == 1)
        default = TEMPLATE["Globals"]["Function"]["MemorySize"]
        for identifier, name in names.items():
            memory = RESOURCES[name]["Properties"].get("MemorySize", default)
            group = 'METRICS("small"),0)' if identifier.startswith("small") else identifier + ",0"
            self.assertRegex(text, rf"{re.escape(group)}\)\*{memory}\b", name)
        ours = {name for name, function in of_type("AWS::Serverless::Function").items() if "Runtime" not in function}
        self.assertEqual(set(names.values()), ours)


if __name__ == "__main__":
    unittest.main()
