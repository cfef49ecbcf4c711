"""Stand-ins between which the api runs alone: for Lambda, and for DynamoDB."""

import http.client
import json
import queue
import socket
import threading
import time
import urllib.parse

from common.failure import Failure


class Loopback:
    """An HTTP server that costs little: `answer(method, path, headers, body)` gives (status, headers, body)."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = "127.0.0.1:{}".format(self.listener.getsockname()[1])
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            try:
                while line := stream.readline():
                    method, path, _ = line.decode("latin-1").split()
                    headers = {}
                    while (line := stream.readline().strip()) != b"":
                        name, _, value = line.decode("latin-1").partition(":")
                        headers[name.lower()] = value.strip()
                    body = stream.read(int(headers.get("content-length", 0)))
                    status, headers, body = self.answer(method, path, headers, body)
                    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                    head = f"HTTP/1.1 {status} -\r\n{head}Content-Length: {len(body)}\r\n\r\n"
                    connection.sendall(head.encode("latin-1") + body)
            except ConnectionError:
                pass


class Lambda:
    """The side of Lambda that a function sees: Lambda developer guide, "Using the Lambda runtime API"."""

    def __init__(self):
        self.events, self.answers = queue.SimpleQueue(), queue.SimpleQueue()
        self.handed_over = 0.0
        self.server = Loopback(self.answer)

    def answer(self, method, path, _headers, body):
        if path.endswith("/invocation/next"):
            event = self.events.get()
            headers = {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 29_000),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:api",
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
            }
            self.handed_over = time.perf_counter()
            return 200, headers, event
        self.answers.put((time.perf_counter(), path, body))
        return 202, {"Content-Type": "application/json"}, b'{"status":"OK"}'

    def ask(self, event):
        """Returns (when the answer came, its body). The answer has to be a 200 of the API."""
        self.events.put(event)
        try:
            when, path, body = self.answers.get(timeout=30)
        except queue.Empty:
            raise Failure("the api does not answer its event within 30 s") from None
        answer = json.loads(body)
        if not path.endswith("/response") or answer["statusCode"] != 200:
            raise Failure(f"the api answers to {path}: {body.decode(errors='replace')}")
        return when, answer["body"]


class Recorder:
    """A DynamoDB that answers at once what the emulator's has answered to the same request before."""

    def __init__(self, endpoint):
        self.endpoint, self.known = urllib.parse.urlsplit(endpoint).netloc, {}
        self.server = Loopback(self.answer)

    def answer(self, method, path, headers, body):
        request = headers["x-amz-target"], body
        if request not in self.known:
            connection = http.client.HTTPConnection(self.endpoint, timeout=30)
            connection.request(method, path, body, {**headers, "host": self.endpoint})
            answer = connection.getresponse()
            self.known[request] = answer.status, {"Content-Type": answer.getheader("Content-Type")}, answer.read()
            connection.close()
        return self.known[request]
