"""A server in this process that tells what was requested of it."""

import http.server
import json
import sys
import threading
import urllib.parse


class Refusal(Exception):
    def __init__(self, status, body, content_type="application/json", headers=()):
        super().__init__(status, body)
        self.status, self.body, self.content_type, self.headers = status, body, content_type, headers


class Torn(bytes):
    """A body of which only the first `sent` bytes come; then the connection is closed, or silent."""

    def __new__(cls, body, sent, is_silent=False):
        torn = super().__new__(cls, body)
        torn.sent, torn.is_silent = sent, is_silent
        return torn


class Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Server:
    """`answer(method, path, query, headers, body)` returns a status, bytes or what becomes JSON, and perhaps more of what
    `reply` takes; or it raises."""

    def __init__(self):
        self.requests = []
        self.over = threading.Event()
        self.http = Quiet(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.http.shutdown()
        self.http.server_close()

    def read(self, file, length):
        """The body of a request."""
        return file.read(length)

    def handler(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
                length = int(self.headers.get("Content-Length", 0))
                body = server.read(self.rfile, length) or None
                if len(body or b"") < length:
                    raise ConnectionError("the client is gone")
                server.requests.append((self.command, self.path))
                try:
                    self.reply(*server.answer(self.command, urllib.parse.unquote(url.path), query, self.headers, body))
                except Refusal as refusal:
                    self.reply(refusal.status, refusal.body, refusal.content_type, refusal.headers)

            do_GET = do_POST = do_PUT = do_DELETE = do

            def reply(self, status, body, content_type=None, headers=()):
                if not isinstance(body, bytes):
                    body, content_type = json.dumps(body).encode(), content_type or "application/json"
                self.send_response(status)
                self.send_header("Content-Type", content_type or "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                if not isinstance(body, Torn):
                    self.wfile.write(body)
                    return
                self.wfile.write(body[: body.sent])
                if body.is_silent:
                    server.over.wait()
                self.close_connection = True

            def log_message(self, *_):
                pass

        return Handler
