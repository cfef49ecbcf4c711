"""DynamoDB: transactions, queries and their permissions. ministack's own rules suffice here."""

from __future__ import annotations

import time
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError
from harness import USER, Case, emulator, user


def text(value: str) -> dict[str, str]:
    return {"S": value}


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def db_of(*statements: dict[str, Any]) -> BaseClient:
    return emulator.client("dynamodb", **user(*statements))


class Tables(Case):
    """Jobs by id, with an index of those that are active; and their log lines by number."""

    def setUp(self) -> None:
        self.db = emulator.client("dynamodb")
        self.jobs, self.lines = (f"{name}-{time.monotonic_ns()}" for name in ("jobs", "lines"))
        self.db.create_table(
            TableName=self.jobs,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "active")],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "active",
                    "KeySchema": [{"AttributeName": "active", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        self.db.create_table(
            TableName=self.lines,
            KeySchema=[{"AttributeName": "job", "KeyType": "HASH"}, {"AttributeName": "line", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "job", "AttributeType": "S"},
                {"AttributeName": "line", "AttributeType": "N"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    def arn(self, table: str) -> str:
        return f"arn:aws:dynamodb:us-east-1:{USER}:table/{table}"

    def job(self, name: str) -> dict[str, Any] | None:
        return self.db.get_item(TableName=self.jobs, Key={"id": text(name)}, ConsistentRead=True).get("Item")

    def put_job(self, name: str, **attributes: Any) -> None:
        self.db.put_item(TableName=self.jobs, Item={"id": text(name), **attributes})


class Transactions(Tables):
    def actions(self, state: str = "running") -> list[dict[str, Any]]:
        """Put, Update, Delete and ConditionCheck, over both tables."""
        is_state = {
            "ConditionExpression": "#state = :state",
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": {":state": text(state)},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        update = {
            **is_state,
            "UpdateExpression": "SET #state = :done ADD calls :one",
            "ExpressionAttributeValues": {":state": text(state), ":done": text("done"), ":one": number(1)},
        }
        new = {"ConditionExpression": "attribute_not_exists(job)"}
        line = {"job": text("1"), "line": number(1)}
        return [
            {"Put": {"TableName": self.lines, "Item": {**line, "text": text("begun")}, **new}},
            {"Update": {"TableName": self.jobs, "Key": {"id": text("1")}, **update}},
            {"Delete": {"TableName": self.jobs, "Key": {"id": text("2")}, **is_state}},
            {"ConditionCheck": {"TableName": self.jobs, "Key": {"id": text("3")}, **is_state}},
        ]

    def setUp(self) -> None:
        super().setUp()
        for name in ("1", "2", "3"):
            self.put_job(name, state=text("running"))

    def test_all_or_nothing(self) -> None:
        self.put_job("3", state=text("done"))
        with self.assertRaises(ClientError) as caught:
            self.db.transact_write_items(TransactItems=self.actions())
        answer = caught.exception.response
        self.assertEqual(answer["Error"]["Code"], "TransactionCanceledException")
        reasons = answer["CancellationReasons"]
        self.assertEqual([reason["Code"] for reason in reasons], ["None", "None", "None", "ConditionalCheckFailed"])
        self.assertEqual(reasons[3]["Item"], {"id": text("3"), "state": text("done")})
        self.assertNotIn("Item", reasons[1])
        self.assertEqual(self.job("1"), {"id": text("1"), "state": text("running")})
        self.assertIsNotNone(self.job("2"))
        self.assertEqual(self.db.scan(TableName=self.lines)["Count"], 0)
        self.put_job("3", state=text("running"))
        self.db.transact_write_items(TransactItems=self.actions())
        self.assertEqual(self.job("1"), {"id": text("1"), "state": text("done"), "calls": number(1)})
        self.assertIsNone(self.job("2"))
        self.assertEqual(self.db.scan(TableName=self.lines)["Count"], 1)

    def test_the_token_of_a_request(self) -> None:
        request = {"TransactItems": self.actions(), "ClientRequestToken": "finish-1"}
        self.db.transact_write_items(**request)
        self.db.transact_write_items(**request)
        self.assertEqual(self.job("1")["calls"], number(1))
        other = {**request, "TransactItems": self.actions("done")}
        self.refused("IdempotentParameterMismatchException", self.db.transact_write_items, **other)
        self.refused("TransactionCanceledException", self.db.transact_write_items, TransactItems=self.actions())

    def test_what_is_refused(self) -> None:
        _, update, delete, _ = self.actions()
        twice = [update, {"Delete": {**delete["Delete"], "Key": update["Update"]["Key"]}}]
        self.refused("ValidationException", self.db.transact_write_items, TransactItems=twice)
        puts = [{"Put": {"TableName": self.jobs, "Item": {"id": text(f"new-{n}")}}} for n in range(101)]
        self.refused("ValidationException", self.db.transact_write_items, TransactItems=puts)
        self.db.transact_write_items(TransactItems=puts[:100])

    def test_permissions(self) -> None:
        needed = {
            "dynamodb:PutItem": self.lines,
            "dynamodb:UpdateItem": self.jobs,
            "dynamodb:DeleteItem": self.jobs,
            "dynamodb:ConditionCheckItem": self.jobs,
        }
        statements = [{"Action": action, "Resource": self.arn(table)} for action, table in needed.items()]
        for missing in range(len(statements)):
            some = db_of(*statements[:missing], *statements[missing + 1 :])
            self.refused("AccessDeniedException", some.transact_write_items, TransactItems=self.actions())
        named = db_of({"Action": "dynamodb:TransactWriteItems", "Resource": "*"})
        self.refused("AccessDeniedException", named.transact_write_items, TransactItems=self.actions())
        swapped = [{"Action": list(needed), "Resource": self.arn(self.jobs)}]
        other = db_of(*swapped)
        self.refused("AccessDeniedException", other.transact_write_items, TransactItems=self.actions())
        db_of(*statements).transact_write_items(TransactItems=self.actions())


class Queries(Tables):
    def test_numbers_in_their_order_page_by_page(self) -> None:
        for line in (10, 9, 100, 2, 1, -1, 33):
            self.db.put_item(TableName=self.lines, Item={"job": text("17"), "line": number(line)})
        self.db.put_item(TableName=self.lines, Item={"job": text("18"), "line": number(5)})

        def lines(**arguments: Any) -> list[int]:
            found: list[int] = []
            while True:
                page = self.db.query(
                    TableName=self.lines,
                    KeyConditionExpression="job = :job AND #line >= :from",
                    ExpressionAttributeNames={"#line": "line"},
                    ExpressionAttributeValues={":job": text("17"), ":from": number(2)},
                    ConsistentRead=True,
                    **arguments,
                )
                found += [int(item["line"]["N"]) for item in page["Items"]]
                if "LastEvaluatedKey" not in page:
                    return found
                arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

        self.assertEqual(lines(), [2, 9, 10, 33, 100])
        for limit in (1, 2, 5):
            self.assertEqual(lines(Limit=limit), [2, 9, 10, 33, 100])
        self.assertEqual(lines(Limit=2, ScanIndexForward=False), [100, 33, 10, 9, 2])

    def test_a_sparse_index_of_keys(self) -> None:
        self.put_job("1", active=text("yes"), state=text("running"))
        self.put_job("2", state=text("done"))
        self.put_job("3", active=text("yes"), state=text("running"))
        query = {
            "TableName": self.jobs,
            "IndexName": "active",
            "KeyConditionExpression": "active = :yes",
            "ExpressionAttributeValues": {":yes": text("yes")},
        }
        items = self.db.query(**query)["Items"]
        self.assertEqual(items, [{"id": text(name), "active": text("yes")} for name in ("1", "3")])
        first = self.db.query(**query, Limit=1)
        self.assertEqual(set(first["LastEvaluatedKey"]), {"id", "active"})
        rest = self.db.query(**query, ExclusiveStartKey=first["LastEvaluatedKey"])["Items"]
        self.assertEqual(first["Items"] + rest, items)
        self.refused("ValidationException", self.db.query, **query, ConsistentRead=True)
        self.db.update_item(TableName=self.jobs, Key={"id": text("1")}, UpdateExpression="REMOVE active")
        self.assertEqual(self.db.query(**query)["Items"], items[1:])
        table, index = self.arn(self.jobs), f"{self.arn(self.jobs)}/index/active"
        for resource in (table, f"{index}-not"):
            denied = db_of({"Action": "dynamodb:Query", "Resource": resource})
            self.refused("AccessDeniedException", denied.query, **query)
        allowed = db_of({"Action": "dynamodb:Query", "Resource": index})
        self.assertEqual(allowed.query(**query)["Items"], items[1:])
