import itertools
import json
import math
import re
import unittest

from tests.template import DOCS, RESOURCES, TEMPLATE, TOP, of_type

BODY = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
WIDGETS = json.loads(BODY[0])["widgets"]

WIDTH = 24
"""Columns of a dashboard (CloudWatch user guide, "Dashboard body structure and syntax")."""

FREE_METRICS = 50
"""Of a dashboard that costs nothing ("3 Custom Dashboards referencing up to 50 metrics each per month": Amazon CloudWatch
pricing, free tier)."""

OURS = "${AWS::StackName}"
"""The namespace of the functions' metrics."""

METRICS_RS = (TOP / "functions" / "cloudupload" / "src" / "metrics.rs").read_text()
STATE_RS = (TOP / "functions" / "cloudupload" / "src" / "job" / "state.rs").read_text()

VALUES = {
    "End": set(re.findall(r'End::\w+ => "(\w+)"', METRICS_RS)),
    "Route": {"direct", "import", "copy", "none"},
    "State": set(re.findall(r'State::\w+ => "(\w+)"', STATE_RS)) - {"succeeded", "failed"},
    "Step": {"preflight", "receive", "push", "slot", "prepare", "transfer", "seal", "poll", "register", "finish"},
    "Payer": {"service", "user"},
}
"""What the dimensions of our metrics may be. No time is spent in a state that is final."""


def rows():
    """Each row of metrics in full, without its options: "." and "..." repeat what stands in the row above."""
    for widget in WIDGETS:
        above = []
        for row in widget["properties"].get("metrics", []):
            names = [word for word in row if isinstance(word, str)]
            if names and names[0] == "...":
                names = above[: len(above) - len(names) + 1] + names[1:]
            if names:
                names = [above[place] if word == "." else word for place, word in enumerate(names)]
                above = names
                yield tuple(names)


def expressions():
    """Each expression, and the ids of its widget's metrics."""
    for widget in WIDGETS:
        options = [row[-1] for row in widget["properties"].get("metrics", []) if isinstance(row[-1], dict)]
        for option in options:
            if "expression" in option:
                yield option["expression"], {other["id"] for other in options if "id" in other}


def searches():
    """Of each search: namespace, dimensions, and what they or the metric's name have to be."""
    for expression, _ids in expressions():
        for namespace, dimensions, terms in re.findall(r"SEARCH\('\{\"([^\"]+)\",([\w,]+)\} ([^']+)'", expression):
            yield namespace, dimensions.split(","), dict(re.findall(r'(\w+)="(\w+)"', terms))


def found(dimensions, terms):
    """The most metrics that a search can find."""
    return math.prod(1 if dimension in terms else len(VALUES[dimension]) for dimension in dimensions)


def described():
    """Our metrics in the operators' guide: the dimensions by name."""
    table = (DOCS / "operators.md").read_text().split("| metric | dimensions |")[1].split("\n\n")[0]
    lines = [line.split("|") for line in table.splitlines()[2:]]
    return {
        name: re.findall(r"`(\w+)`", dimensions)
        for _, names, dimensions, *_ in lines
        for name in re.findall(r"`(\w+)`", names)
    }


def alarms_shown(of_canary):
    """The alarms on the dashboard, if this is put in for the canary's."""
    widgets = json.loads(BODY[0].replace("${CanaryAlarm}", of_canary))["widgets"]
    (shown,) = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    names = [re.fullmatch(r"\$\{(\w+)\.Arn\}", alarm).group(1) for alarm in shown]
    return set(names)


def is_canary_s_alarm(resource):
    return resource["Type"] == "AWS::CloudWatch::Alarm" and resource.get("Condition") == "HasCanary"


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
        with_canary = set(of_type("AWS::CloudWatch::Alarm"))
        self.assertEqual(alarms_shown(BODY[1]["CanaryAlarm"]["Fn::If"][1]["Fn::Sub"]), with_canary)

    def test_it_names_no_alarm_that_is_not_there(self):
        (name,) = [name for name, resource in RESOURCES.items() if is_canary_s_alarm(resource)]
        self.assertEqual(BODY[1]["CanaryAlarm"]["Fn::If"][0], "HasCanary")
        without = BODY[1]["CanaryAlarm"]["Fn::If"][2]
        self.assertEqual(alarms_shown(without), set(of_type("AWS::CloudWatch::Alarm")) - {name})

    def test_it_costs_nothing(self):
        # It is not known whether those that a search finds count: so they do.
        searched = sum(found(dimensions, terms) for _, dimensions, terms in searches())
        self.assertLessEqual(len(list(rows())) + searched, FREE_METRICS)

    def test_metrics_are_of_resources_of_the_stack(self):
        kinds = {
            "FunctionName": "AWS::Serverless::Function",
            "TableName": "AWS::DynamoDB::Table",
            "BucketName": "AWS::S3::Bucket",
            "ApiId": "AWS::ApiGatewayV2::Api",
            "StateMachineArn": "AWS::Serverless::StateMachine",
        }
        for metric in rows():
            if metric[0] != OURS and len(metric) > 2:
                name = re.fullmatch(r"\$\{(\w+)\}", metric[3]).group(1)
                self.assertEqual(RESOURCES[name]["Type"], kinds[metric[2]], metric)

    def test_our_metrics_are_described(self):
        metrics = described()
        for namespace, name, *dimensions in rows():
            if namespace == OURS:
                self.assertEqual(dimensions[::2], metrics[name], name)
                for dimension, value in zip(dimensions[::2], dimensions[1::2]):
                    self.assertIn(value, VALUES[dimension])

    def test_searches_are_for_our_metrics(self):
        metrics = described()
        for namespace, dimensions, terms in searches():
            self.assertEqual(namespace, OURS)
            self.assertEqual(dimensions, metrics[terms.pop("MetricName")])
            for dimension, value in terms.items():
                self.assertIn(value, VALUES[dimension])

    def test_it_shows_all_ends_of_jobs(self):
        ends = [terms["End"] for _, _, terms in searches() if terms["MetricName"] == "Jobs"]
        self.assertEqual(sorted(ends), sorted(VALUES["End"]))

    def test_expressions_use_metrics_of_their_widget(self):
        for expression, ids in expressions():
            if "SEARCH(" not in expression:
                used = set(re.findall(r"(?<![\w\"$])[a-z]\w*", re.sub(r"\$\{\w+\}", "", expression)))
                self.assertLessEqual(used, ids, expression)

    def test_the_estimate_beside_the_jobs_has_the_memory_of_its_functions(self):
        memory = TEMPLATE["Globals"]["Function"]["MemorySize"]
        for name in ("Api", "Sweep"):
            self.assertNotIn("MemorySize", RESOURCES[name]["Properties"])
        (estimate,) = [expression for expression, _ in expressions() if "GbSecond" in expression]
        self.assertIn(f"*{memory}/1024000*", estimate)

    def test_the_estimate_has_the_prices_of_the_table(self):
        table = json.loads((TOP / "functions" / "cloudupload" / "src" / "cost" / "prices.json").read_text())["prices"]
        arm, x86 = (float(price) for price in BODY[1]["GbSecond"]["Fn::If"][1:])
        self.assertEqual(arm, table["gb_second_aarch64"]["dollars"])
        self.assertEqual(x86, table["gb_second_x86_64"]["dollars"])
        (estimate,) = [expression for expression, _ in expressions() if "GbSecond" in expression]
        request = float(re.search(r"FILL\(requests,0\)\*([\d.]+)", estimate).group(1))
        self.assertEqual(request, table["api_request"]["dollars"] / table["api_request"]["per"])


if __name__ == "__main__":
    unittest.main()
