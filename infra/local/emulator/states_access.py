"""Whether a state machine's role may do what a task asks for: lambda:InvokeFunction, and DynamoDB's actions. Whoever
reports on a task needs permission for its state machine.

"How AWS Step Functions works with IAM" (Step Functions Developer Guide); "Actions, resources, and condition keys for
Amazon DynamoDB" and "… for AWS Lambda" (Service Authorization Reference).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam

from arns import arn
from states_runs import Failure


def check(context: dict[str, Any], resource: str, request: Any) -> None:
    """Fails the task with the error names that AWS gives to a denial."""
    role, session = context["Execution"]["RoleArn"], context["Execution"]["Name"]
    for error, action, target in needs(resource, request):
        if not may(role, session, action, target):
            denial = iam_actions.identity_denial_message(action, session_arn(role, session), target, False)
            raise Failure(error, denial)


def needs(resource: str, request: Any) -> Iterable[tuple[str, str, str]]:
    """The error, action and ARN of each permission. Nothing for services other than Lambda and DynamoDB.

    Error names as in awslabs/aws-deployment-framework issue 460 (Lambda) and in "Handling errors with StepFunctions SNS
    SDK integration" (dev.to): the base exception of the service in the SDK for Java.
    """
    called = resource.split(":", 5)[-1]
    function = resource if ":function:" in resource else ""
    if called == "lambda:invoke":
        function = request["FunctionName"]
    if function:
        return [("Lambda.AWSLambdaException", "lambda:InvokeFunction", function_arn(function))]
    service, _, operation = called.removeprefix("aws-sdk:").partition(":")
    if service != "dynamodb":
        return []
    error = "DynamoDb.DynamoDbException" if ":aws-sdk:" in resource else "DynamoDB.AmazonDynamoDBException"
    return [(error, action, table) for action, table in table_needs(operation[0].upper() + operation[1:], request)]


def function_arn(function: str) -> str:
    if function.startswith("arn:"):
        return function
    return arn("lambda", f"function:{function}", get_region(), get_account_id())


def table_needs(operation: str, request: Any) -> list[tuple[str, str]]:
    action, body = f"dynamodb:{operation}", json.dumps(request).encode()
    where = (get_region(), get_account_id())
    of_transaction = iam_actions.dynamodb_transaction_checks(action, body, *where)
    return of_transaction or [(action, table) for table in iam_actions.dynamodb_resource_arns(body, *where)]


def may(role: str, session: str, action: str, target: str) -> bool:
    account, name = role.split(":")[4], role.rpartition("/")[2]
    context = iam_evaluator.EvalContext(
        principal_arn=session_arn(role, session),
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=target,
        region=get_region(),
    )
    limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
    policies = iam_evaluator._gather_role_policies(name, account)
    return iam_evaluator.evaluate(context, policies, *limits).decision == "Allow"


def session_arn(role: str, session: str) -> str:
    return arn("sts", f"assumed-role/{role.rpartition('/')[2]}/{session}", account=role.split(":")[4])
