"""Functions can be given another endpoint than AWS's own: a proxy, which leaves the Host header as it was signed."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from botocore.client import BaseClient
from harness import Case, emulator
from workflows import ACCOUNT, Function

BUCKET = "through-a-proxy"


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    passed: ClassVar[list[str]] = []

    def forward(self) -> None:
        self.passed.append(self.headers["Host"])
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=10)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        upstream.close()

    do_GET = do_PUT = do_POST = forward  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


class Endpoint(Case):
    def setUp(self) -> None:
        self.proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy, bind_and_activate=False)
        self.proxy.socket.close()
        self.proxy.socket = emulator.functions_socket
        threading.Thread(target=self.proxy.serve_forever, daemon=True).start()

    def tearDown(self) -> None:
        self.proxy.shutdown()

    def test_a_functions_calls_through_a_proxy(self) -> None:
        emulator.client("s3", ACCOUNT).create_bucket(Bucket=BUCKET)
        objects = {"Action": ["s3:PutObject", "s3:GetObject"], "Resource": f"arn:aws:s3:::{BUCKET}/*"}
        function = Function("proxied", objects)
        emulator.client("lambda", ACCOUNT).invoke(FunctionName="proxied", Payload=b"{}")
        environment = function.noted(1)[0]["environment"]
        self.assertEqual(environment["AWS_ENDPOINT_URL"], f"http://127.0.0.1:{emulator.functions_port()}")

        def client(service: str, secret: str = "") -> BaseClient:
            key, own = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
            token = environment["AWS_SESSION_TOKEN"]
            return emulator.client(service, key, secret or own, token, port=emulator.functions_port())

        identity = client("sts").get_caller_identity()["Arn"]
        self.assertEqual(identity, f"arn:aws:sts::{ACCOUNT}:assumed-role/proxied-role/proxied")
        named = {"Bucket": BUCKET, "Key": "a+b c/ü%20"}
        client("s3").put_object(**named, Body=b"bytes")
        self.assertEqual(client("s3").get_object(**named)["Body"].read(), b"bytes")
        self.refused("SignatureDoesNotMatch", client("s3", "wrong").get_object, status=403, **named)
        self.refused("AccessDeniedException", client("dynamodb").list_tables)
        self.assertEqual(set(Proxy.passed), {f"127.0.0.1:{emulator.functions_port()}"})
