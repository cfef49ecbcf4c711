"""Stand-ins between which functions run alone: for Lambda, DynamoDB, S3, STS and EC2."""

import http.client
import json
import os
import queue
import re
import socket
import threading
import time
import urllib.parse
from typing import NamedTuple

from common.failure import Failure


class FilePart(NamedTuple):
    """The body of an answer that the kernel sends: bytes of a file."""

    file: int
    start: int
    length: int

    def __len__(self):
        return self.length


class Loopback:
    """An HTTP server that costs little: `answer(method, path, headers, body)` gives (status, headers, body).

    The body is bytes or a FilePart.
    """

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
                    if isinstance(body, FilePart):
                        connection.sendall(head.encode("latin-1"))
                        send_file(connection, body)
                    else:
                        connection.sendall(head.encode("latin-1") + body)
            except ConnectionError:
                pass


def send_file(connection, part):
    at, end = part.start, part.start + part.length
    while at < end:
        sent = os.sendfile(connection.fileno(), part.file, at, end - at)
        if not sent:
            raise ConnectionError("the file is shorter than it was")
        at += sent


class Lambda:
    """The side of Lambda that a function sees: Lambda developer guide, "Using the Lambda runtime API"."""

    def __init__(self, function, seconds):
        """`seconds` are those that the function may take for an event."""
        self.function, self.seconds = function, seconds
        self.events, self.answers = queue.SimpleQueue(), queue.SimpleQueue()
        self.handed_over = 0.0
        self.server = Loopback(self.answer)

    def answer(self, method, path, _headers, body):
        if path.endswith("/invocation/next"):
            event = self.events.get()
            headers = {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.seconds) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:us-east-1:{0:012}:function:{self.function}",
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
            }
            self.handed_over = time.perf_counter()
            return 200, headers, event
        self.answers.put((time.perf_counter(), path, body))
        return 202, {"Content-Type": "application/json"}, b'{"status":"OK"}'

    def ask(self, event):
        """Returns (when the answer came, the answer to the event)."""
        self.events.put(event)
        try:
            when, path, body = self.answers.get(timeout=self.seconds)
        except queue.Empty:
            raise Failure(f"{self.function} does not answer its event within {self.seconds} s") from None
        if not path.endswith("/response"):
            raise Failure(f"{self.function} answers to {path}: {body.decode(errors='replace')}")
        return when, json.loads(body)


class Recorder:
    """A service of AWS's JSON protocol that answers at once what the emulator's has answered to the same request before.

    `asked` is the number of requests.
    """

    def __init__(self, endpoint):
        self.endpoint, self.known, self.asked = urllib.parse.urlsplit(endpoint).netloc, {}, 0
        self.server = Loopback(self.answer)

    def answer(self, method, path, headers, body):
        self.asked += 1
        # The SDK writes maps, such as ExpressionAttributeNames, in any order.
        request = headers["x-amz-target"], json.dumps(json.loads(body), sort_keys=True)
        if request not in self.known:
            connection = http.client.HTTPConnection(self.endpoint, timeout=30)
            connection.request(method, path, body, {**headers, "host": self.endpoint})
            answer = connection.getresponse()
            self.known[request] = answer.status, {"Content-Type": answer.getheader("Content-Type")}, answer.read()
            connection.close()
        return self.known[request]


class Storage:
    """An S3 whose objects are files, read by ranges (S3 API reference, GetObject)."""

    ETAG = '"0123456789abcdef0123456789abcdef"'

    def __init__(self):
        self.objects = {}
        self.server = Loopback(self.answer)

    def put(self, path, file):
        """Makes an object of a file: `/bucket/key`."""
        self.objects[path] = os.open(file, os.O_RDONLY)

    def delete(self, path):
        os.close(self.objects.pop(path))

    def answer(self, method, path, headers, _body):
        file = self.objects.get(urllib.parse.unquote(path.partition("?")[0]))
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
        if method != "GET" or file is None or asked is None:
            return 404, {}, b"<Error><Code>NoSuchKey</Code><Message>No such object.</Message></Error>"
        size = os.fstat(file).st_size
        first, last = int(asked[1]), min(int(asked[2]), size - 1)
        answered = {"Content-Range": f"bytes {first}-{last}/{size}", "ETag": self.ETAG}
        return 206, answered, FilePart(file, first, last - first + 1)


class Account:
    """STS and EC2 of a user's account in which nothing is."""

    def __init__(self):
        self.server = Loopback(self.answer)

    def answer(self, _method, _path, _headers, body):
        action = urllib.parse.parse_qs(body.decode())["Action"][0]
        result = self.ASSUMED if action == "AssumeRole" else ""
        return 200, {"Content-Type": "text/xml"}, f"<{action}Response>{result}</{action}Response>".encode()

    ASSUMED = (
        "<AssumeRoleResult><Credentials><AccessKeyId>ASIABENCH</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
        "<SessionToken>token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>"
        "<PackedPolicySize>10</PackedPolicySize></AssumeRoleResult>"
    )
