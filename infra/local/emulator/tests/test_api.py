"""The front of the deployed HTTP API."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import test_waiting
from botocore.client import BaseClient
from harness import MIB, PATIENCE, Case, emulator, function, role

BOOTSTRAP = b"""#!/usr/bin/env python3
import json, os, time, urllib.request
api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as call:
        event, request = json.load(call), call.headers["Lambda-Runtime-Aws-Request-Id"]
    where, body = "response", json.dumps(event)
    if "/slow" in event["rawPath"]:
        time.sleep(float(event["queryStringParameters"]["s"]))
    if "/meet" in event["rawPath"]:
        open(os.path.join(os.environ["MEETING"], request), "w").close()
        while len(os.listdir(os.environ["MEETING"])) < int(event["queryStringParameters"]["n"]):
            time.sleep(0.1)
    if "/large" in event["rawPath"]:
        body = "x" * 7_000_000
    if "/crash" in event["rawPath"]:
        where, answer = "error", {"errorType": "Bad", "errorMessage": "secret"}
    else:
        answer = {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": body}
    reply = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(api + f"{request}/{where}", reply, method="POST"))
"""


class Api(Case):
    """A function that answers the event it got."""

    functions: BaseClient
    meeting: Path

    @classmethod
    def setUpClass(cls) -> None:
        account = "999900001111"
        functions, gateway = emulator.client("lambda", account), emulator.client("apigatewayv2", account)
        cls.meeting = emulator.data / "meeting"
        cls.meeting.mkdir()
        of_function = role("function", "lambda", account=account)
        echo = function("echo", of_function, BOOTSTRAP, account, MEETING=str(cls.meeting))
        api = gateway.create_api(Name="front", ProtocolType="HTTP")["ApiId"]
        gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
        integration = gateway.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=echo, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        gateway.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{integration}")
        cls.functions = functions
        (emulator.data / "data/api-id").write_text(f"{api}\n")
        test_waiting.begin(lambda: cls.call("GET", "/slow?s=32"))

    @staticmethod
    def call(
        method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, Any, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", emulator.api_port, timeout=60)
        connection.request(method, target, body or None, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text else None, answer.headers

    def test_the_event(self) -> None:
        target = "/build/Cloud:Images/a%2Bb%20c/d/?name=2&name=1&view=entry&empty="
        status, event, headers = self.call("POST", target, b"cmd=kill", {"X-Two": "a", "Content-Type": "text/plain"})
        self.assertEqual(status, 200)
        self.assertEqual(event["rawPath"], "/build/Cloud:Images/a+b c/d/")
        self.assertEqual(event["rawQueryString"], "name=2&name=1&view=entry&empty=")
        self.assertEqual(event["queryStringParameters"], {"name": "2,1", "view": "entry", "empty": ""})
        self.assertEqual((event["version"], event["routeKey"], event["body"]), ("2.0", "$default", "cmd=kill"))
        self.assertEqual(event["requestContext"]["stage"], "$default")
        self.assertEqual(event["requestContext"]["http"]["method"], "POST")
        self.assertEqual((event["headers"]["x-two"], event["headers"]["x-forwarded-for"]), ("a", "127.0.0.1"))
        self.assertIn("apigw-requestid", headers)

    def test_the_endpoint_of_a_stack(self) -> None:
        # A request that is not signed is one to the APIs of this account.
        account = "000000000000"
        stacks, gateway = emulator.client("cloudformation", account), emulator.client("apigatewayv2", account)
        api = {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "deployed", "ProtocolType": "HTTP"}}
        outputs = {"Id": {"Value": {"Ref": "Api"}}, "Url": {"Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}}}
        stacks.create_stack(StackName="api", TemplateBody=json.dumps({"Resources": {"Api": api}, "Outputs": outputs}))
        stacks.get_waiter("stack_create_complete").wait(StackName="api", WaiterConfig={"Delay": 1})
        (stack,) = stacks.describe_stacks(StackName="api")["Stacks"]
        told = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        gateway.create_stage(ApiId=told["Id"], StageName="$default", AutoDeploy=True)
        echo = function("echo", role("function", "lambda", account=account), BOOTSTRAP, account)
        integration = gateway.create_integration(
            ApiId=told["Id"], IntegrationType="AWS_PROXY", IntegrationUri=echo, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        gateway.create_route(ApiId=told["Id"], RouteKey="$default", Target=f"integrations/{integration}")
        url = f"{told['Url']}/cloudupload/17?cmd=kill"
        request = urllib.request.Request(url, headers={"Authorization": "Basic eDp5"})
        with urllib.request.urlopen(request) as answer:
            event = json.load(answer)
        self.assertEqual((event["rawPath"], event["rawQueryString"]), ("/cloudupload/17", "cmd=kill"))
        self.assertEqual(event["headers"]["authorization"], "Basic eDp5")

    def test_escapes_in_the_path(self) -> None:
        """As captured on AWS (hotsock/voker pull request 8)."""
        for sent, arrives in (
            ("plain", "plain"),
            ("space%20value", "space value"),
            ("question%3Fvalue", "question"),
            ("percent%25done", None),
            ("hash%23value", "hash#value"),
            ("slash%2Fvalue", "slash/value"),
            ("unicode-%CE%BB-%E4%B8%96%E7%95%8C", "unicode-\N{GREEK SMALL LETTER LAMDA}-\u4e16\u754c"),
            ("literal%252Fvalue", "literal/value"),
            ("literal%253Fvalue", "literal?value"),
            ("literal%2525value", "literal%value"),
        ):
            status, event, _ = self.call("GET", f"/capture/{sent}?marker=%252F")
            if arrives is None:
                self.assertEqual((status, event), (400, {"message": "Bad Request"}))
                continue
            self.assertEqual((status, event["rawPath"]), (200, f"/capture/{arrives}"))
            self.assertEqual(event["requestContext"]["http"]["path"], f"/capture/{arrives}")
            self.assertEqual(event["rawQueryString"], "marker=%252F")

    def test_every_path_and_method_reaches_the_api(self) -> None:
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            for path in (
                "/",
                "/health",
                "/_ministack/health",
                "/cloudupload",
                "/cloudupload/",
                "/restapis/x",
                "/_aws/x",
            ):
                status, event, _ = self.call(method, path)
                self.assertEqual(
                    (status, event["rawPath"], event["requestContext"]["http"]["method"]), (200, path, method)
                )

    def test_binary_bodies(self) -> None:
        _, event, _ = self.call("POST", "/", b"\xff\x00", {"Content-Type": "application/octet-stream"})
        self.assertEqual((event["isBase64Encoded"], event["body"]), (True, "/wA="))

    def test_limits(self) -> None:
        too_large = b"x" * (10 * MIB + 1)
        self.assertEqual(self.call("POST", "/", too_large)[:2], (413, {"message": "Request Entity Too Large"}))
        names = "&".join(f"name={n}" for n in range(1, 900))
        self.assertEqual(self.call("GET", f"/cloudupload?{names}")[0], 200)
        long = "/cloudupload?name=" + "1" * 10_240
        self.assertEqual(self.call("GET", long)[:2], (431, {"message": "Request Header Fields Too Large"}))
        self.assertEqual(self.call("GET", "/", headers={"X-Long": "x" * 30_000})[0], 431)
        self.assertEqual(self.call("GET", "/large")[:2], (500, {"message": "Internal Server Error"}))
        self.assertEqual(self.call("GET", "/crash")[:2], (500, {"message": "Internal Server Error"}))

    def test_a_burst(self) -> None:
        """Each call is answered when all of them have reached the function: none waits for another one's end."""
        with ThreadPoolExecutor(32) as threads:
            statuses = list(threads.map(lambda _: self.call("GET", "/meet?n=32")[0], range(32)))
        self.assertLessEqual(set(statuses), {200, 503})  # 503: a slow machine takes as long for 32 functions
        deadline = time.monotonic() + PATIENCE
        while (met := len(list(self.meeting.iterdir()))) < 32:
            self.assertLess(time.monotonic(), deadline, f"only {met} functions ran at once")
            time.sleep(0.1)

    def test_throttled_and_undeployed(self) -> None:
        self.functions.put_function_concurrency(FunctionName="echo", ReservedConcurrentExecutions=0)
        self.assertEqual(self.call("GET", "/")[:2], (503, {"message": "Service Unavailable"}))
        self.functions.delete_function_concurrency(FunctionName="echo")
        file = emulator.data / "data/api-id"
        named = file.read_text()
        file.write_text("00000000\n")
        self.assertEqual(self.call("GET", "/")[:2], (404, {"message": "Not Found"}))
        file.unlink()
        self.assertEqual(self.call("GET", "/")[0], 503)
        file.write_text(named)
