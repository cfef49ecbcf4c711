"""The commands of the AWS CLI and of SAM in the pages are such that these programs take them."""

import unittest

import click
from samcli.cli.main import cli

from tests import aws_cli
from tests.shell_commands import commands_of
from tests.template import DOCS, TOP

PAGES = [*TOP.glob("*.md"), *DOCS.glob("*.md"), *TOP.glob("infra/release/*.md")]


def sam_options(words):
    """The options of a command of SAM, and the words of it that are none of them."""
    command = cli
    while words and hasattr(command, "get_command"):
        # Without an object of its own in the context, SAM gives a command without options.
        found = command.get_command(click.Context(command, obj=object()), words[0])
        if found is None:
            raise AssertionError(f"sam has no command {words[0]}")
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return known, words


class Commands(unittest.TestCase):
    def test_commands_of_the_aws_cli_are_those_of_its_models(self):
        found = 0
        for page in PAGES:
            for command in commands_of(page.read_text(), "aws"):
                found += 1
                with self.subTest(page=page.name, line=command.line):
                    self.assertEqual(aws_cli.problems_of(command.words), [], " ".join(command.words))
        self.assertGreater(found, 30)

    def test_commands_of_sam_have_only_options_that_it_knows(self):
        found = 0
        for page in PAGES:
            for command in commands_of(page.read_text(), "sam"):
                found += 1
                with self.subTest(page=page.name, line=command.line):
                    known, rest = sam_options(command.words[1:])
                    self.assertEqual([word for word in rest if word.startswith("--") and word not in known], [])
        self.assertGreater(found, 4)


class Reading(unittest.TestCase):
    def words(self, page):
        return [command.words for command in commands_of(page, "aws")]

    def test_a_command_goes_on_over_lines_and_quotes(self):
        page = "Text `aws sts\nget-caller-identity`.\n\n    aws s3 mb \\\n        s3://B # a bucket\n    aws x y --z '{\n    }'\n"
        self.assertEqual(
            self.words(page),
            [["aws", "s3", "mb", "s3://B"], ["aws", "x", "y", "--z", "{\n    }"], ["aws", "sts", "get-caller-identity"]],
        )

    def test_commands_within_others_are_read_too(self):
        page = "    aws a b \"$(aws c d --e 'f)')\" '\"'$(g | h \")\")'\"' |\n    while read -r i; do\n        aws j k; done\n"
        self.assertEqual(
            self.words(page),
            [["aws", "a", "b", "SUBSTITUTED", '"SUBSTITUTED"'], ["aws", "c", "d", "--e", "f)"], ["aws", "j", "k"]],
        )

    def test_commands_that_sh_is_given_are_read_too(self):
        page = "    a |\n    xargs -0 sh -c 'aws b --c \"$1\" \\\n        --d \"e(f)\" || :' \"$X\"\n"
        self.assertEqual(self.words(page), [["aws", "b", "--c", "$1", "--d", "e(f)"]])


class Rules(unittest.TestCase):
    def problems(self, command):
        return aws_cli.problems_of(command.split())

    def test_what_the_cli_takes_is_no_problem(self):
        for command in (
            "aws dynamodb update-table --table-name t --no-deletion-protection-enabled",
            "aws dynamodb wait table-exists --table-name t",
            "aws ec2 describe-images --owners self --filters Name=tag-key,Values=obs:job",
            'aws dynamodb get-item --table-name t --key {"id":{"S":"1"}} --query Item --output json',
            "aws stepfunctions list-executions --state-machine-arn $m --status-filter FAILED --max-items 10",
            "aws lambda invoke --function-name f /dev/null",
        ):
            self.assertEqual(self.problems(command), [], command)

    def test_what_the_cli_does_not_take_is_a_problem(self):
        for command, problem in {
            "aws dynamo scan --table-name t": "there is no service dynamo",
            "aws dynamodb scann --table-name t": "dynamodb has no operation scann",
            "aws dynamodb scan --table t": "scan has no option --table",
            "aws dynamodb scan": "--table-name is missing",
            "aws dynamodb scan --table-name": "--table-name has no value",
            "aws dynamodb scan --no-table-name": "scan has no option --no-table-name",
            "aws dynamodb scan --table-name t --consistent-read yes": "--consistent-read does not take 'yes'",
            "aws dynamodb wait table-there --table-name t": "nothing to wait for in dynamodb is called table-there",
            "aws dynamodb get-item --table-name t --key {id": "--key does not take '{id'",
            'aws dynamodb get-item --table-name t --key {"id":"1"}': "--key does not take",
            "aws stepfunctions list-executions --status-filter DEAD": "--status-filter does not take 'DEAD'",
            "aws s3 mb s3://b --recursive": "there is no option --recursive",
        }.items():
            self.assertTrue(any(problem in found for found in self.problems(command)), (command, self.problems(command)))


if __name__ == "__main__":
    unittest.main()
