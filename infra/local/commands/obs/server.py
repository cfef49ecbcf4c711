"""The server and what it answers."""

import email.utils
import fcntl
import hmac
import http
import http.server
import json
import os
import re
import select
import socket
import socketserver
import stat
import struct
import sys
import termios
import time
import urllib.parse
from xml.sax.saxutils import escape, quoteattr

from common.units import MIB
from obs.faults import FAULTS_SUFFIX, Faults
from obs.names import check_names
from obs.refusal import Refusal

CHUNK = MIB
UNLISTED = {"logfile", "status", "reason", "history"}
"""What getbinarylist() in bs_repserver leaves out."""


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512

    def __init__(self, port, root, credentials):
        super().__init__(("127.0.0.1", port), Handler)
        self.root = root
        self.credentials = credentials
        self.faults = Faults()

    def server_bind(self):
        # Without HTTPServer's look-up of the host's own name, which may ask a DNS server.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds for a request to arrive; OBS has the same alarm

    def do_GET(self):
        self.status, self.sent, self.fault = 0, 0, {}
        self.connection.settimeout(None)  # the answer may take as long as its reader
        try:
            self.answer()
        except Refusal as refusal:
            self.refuse(refusal)
        except ConnectionError:
            self.close_connection = True
        finally:
            self.log()
        if not self.close_connection:
            self.connection.settimeout(self.timeout)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def answer(self):
        raw, _, query = self.path.partition("?")
        self.public = raw.startswith("/public/")
        self.check_credentials()
        try:
            path = urllib.parse.unquote_to_bytes(raw.encode("latin-1")).decode()
        except UnicodeDecodeError:
            raise Refusal("400 path is not utf-8") from None
        segments = path.removeprefix("/public").rstrip("/").split("/")[1:]
        parameters = urllib.parse.parse_qsl(query, keep_blank_values=True)
        reply = self.replier(*segments[:1], length=len(segments))
        if self.command not in ("GET", "HEAD") or not reply:
            raise Refusal(f"400 unknown request: {self.command}:{path}")
        if reply == self.reply_results:
            self.reply_results(parameters)
            return
        if parameters:
            raise Refusal(f"unknown parameter '{parameters[0][0]}'")
        self.check_visible(segments[1:])
        if len(segments) > 4:
            check_names(*segments[1:])
        reply(segments[1:])

    def replier(self, root="", *, length):
        """What answers a path, by the tables of dispatches: the public door leads to the source server, the other one is that
        of the repository server."""
        if root == "build" and length > 4:
            return {5: self.reply_list, 6: self.reply_file}.get(length)
        if self.public:
            return self.reply_directory if root == "build" and length > 1 else None
        if root == "build" and length == 4:
            raise Refusal("must specify view")
        return {("published", 1): self.reply_directory, ("published", 2): self.reply_directory}.get(
            (root, length), self.reply_results if (root, length) == ("_result", 1) else None
        )

    def check_visible(self, names):
        if self.public and names and os.path.exists(os.path.join(self.server.root, names[0], ".hidden")):
            raise Refusal(f"404 Project not found: {names[0]}")

    def folders(self, names):
        try:
            entries = list(os.scandir(os.path.join(self.server.root, *names)))
        except (FileNotFoundError, NotADirectoryError):
            raise Refusal(f"404 project '{names[0]}' does not exist") from None
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))

    def reply_directory(self, names):
        entries = "".join(f"  <entry name={quoteattr(name)} />\n" for name in self.folders(names))
        self.reply_text(200, f"<directory>\n{entries}</directory>\n")

    def reply_results(self, parameters):
        if [name for name, _ in parameters] != ["prpa"]:
            raise Refusal("parameter 'prpa' is missing")
        names = parameters[0][1].split("/")
        project, repository, arch = map(quoteattr, names)
        packages = "".join(
            f'    <status package={quoteattr(name)} code="succeeded" />\n' for name in self.folders(names)
        )
        result = f'  <result project={project} repository={repository} arch={arch} code="published" state="published">\n'
        self.reply_text(200, f'<resultlist state="0">\n{result}{packages}  </result>\n</resultlist>\n')

    def check_credentials(self):
        if not self.server.credentials:
            return
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.server.credentials):
            challenge = ("WWW-Authenticate", 'Basic realm="OBS"')
            raise Refusal("401 Authentication required", [challenge])

    def reply_list(self, names):
        directory = os.path.join(self.server.root, *names)
        entries = []
        try:
            for name in sorted(os.listdir(directory)):
                info = os.stat(os.path.join(directory, name))
                if not stat.S_ISDIR(info.st_mode) and name not in UNLISTED and not name.startswith("."):
                    entries.append((name, info))
        except (FileNotFoundError, NotADirectoryError):
            entries = []
        lines = [
            f'  <binary filename={quoteattr(name)} size="{info.st_size}" mtime="{int(info.st_mtime)}" />\n'
            for name, info in entries
            if not name.endswith(FAULTS_SUFFIX)
        ]
        self.reply_text(200, "<binarylist>\n" + "".join(lines) + "</binarylist>\n")

    def reply_file(self, names):
        path = os.path.join(self.server.root, *names)
        if names[-1].endswith(FAULTS_SUFFIX) or not os.path.isfile(path):
            raise Refusal(f"404 {names[-1]}: No such file or directory")
        if self.command == "GET":
            self.fault = self.server.faults.next(path, self.first_byte())
        if "status" in self.fault:
            status = http.HTTPStatus(self.fault["status"])
            raise Refusal(f"{status.value} {status.phrase}")
        with open(path, "rb") as file:
            self.reply_bytes(file)
        self.misbehave()

    def reply_bytes(self, file):
        """Sends what is asked for of a build result, as far as the fault lets it."""
        status, headers, start, end = self.part(os.fstat(file.fileno()))
        length = self.fault.get("lie", end - start)
        if "do" in self.fault:
            end = min(end, start + self.fault["after"])
            if self.fault["do"] == "short":
                length = end - start
        self.start_reply(status, headers, length)
        if self.command == "GET":
            resume = start
            if "pause" in self.fault:
                resume = min(end, start + self.fault["after"])
                self.send_bytes(file, start, resume)
                time.sleep(self.fault["pause"])
            self.send_bytes(file, resume, end)
            if length != end - start:
                self.close_connection = True

    def part(self, info):
        """(status, headers, start, end) of the answer for a file of which `info` is the stat; end exclusive."""
        size = info.st_size
        tag = f'"{info.st_mtime_ns:x}-{size:x}"'
        modified = email.utils.formatdate(int(info.st_mtime), usegmt=True)
        headers = [("Content-Type", "application/octet-stream")]
        tag = self.fault.get("etag", tag)
        if self.public:
            headers += [("Accept-Ranges", "bytes"), ("Last-Modified", modified)]
        if self.public or "etag" in self.fault:
            headers.append(("ETag", tag))
        status, start, end = 200, 0, size
        if self.fault.get("range", self.public) and self.headers.get("If-Range", tag) in (tag, modified):
            status, start, end = self.asked_range(size)
        if status == 206:
            headers.append(("Content-Range", f"bytes {start}-{end - 1}/{size}"))
        return status, headers, start, end

    def first_byte(self):
        """The byte at which the request's Range begins; 0 without one."""
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(asked[1]) if asked else 0

    def asked_range(self, size):
        """(status, start, end) for the request's Range header, end exclusive. One range is all that is understood."""
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        backwards = asked and asked[1] and asked[2] and int(asked[2]) < int(asked[1])
        if not asked or asked[0] == "bytes=-" or backwards:
            return 200, 0, size
        if asked[1]:
            start, end = int(asked[1]), min(int(asked[2] or size) + 1, size)
        else:
            start, end = max(size - int(asked[2]), 0), size
        if start >= size:
            raise Refusal("416 Range Not Satisfiable", [("Content-Range", f"bytes */{size}")])
        return 206, start, end

    def send_bytes(self, file, start, end):
        while start < end:
            sent = os.sendfile(self.connection.fileno(), file.fileno(), start, min(CHUNK, end - start))
            if sent == 0:  # the file was cut short meanwhile
                self.close_connection = True
                return
            start += sent
            self.sent += sent

    def misbehave(self):
        what = self.fault.get("do")
        if what == "reset":
            while int.from_bytes(fcntl.ioctl(self.connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder):
                time.sleep(0.01)  # until the other side's kernel has all that was sent: a reset throws away the rest
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # The base class shuts a connection down in order before it closes it; a reset needs the bare close.
            os.close(self.connection.detach())
        elif what == "stall":
            select.select([self.connection], [], [])
        if what:
            self.close_connection = True

    def refuse(self, refusal):
        lines = [f'<status code="{refusal.status}">', f"  <summary>{escape(refusal.summary)}</summary>"]
        if refusal.details:
            lines.append(f"  <details>{escape(refusal.details)}</details>")
        body = "\n".join([*lines, "</status>", ""])
        self.reply_text(refusal.status, body, refusal.summary.replace(":", " "), refusal.headers)

    def reply_text(self, status, text, phrase=None, headers=()):
        body = text.encode()
        self.start_reply(status, [("Content-Type", "text/xml"), *headers], len(body), phrase)
        if self.command != "HEAD":
            self.wfile.write(body)
            self.sent = len(body)

    def start_reply(self, status, headers, length, phrase=None):
        self.status = status
        self.send_response_only(status, re.sub(r"[^\x20-\x7e]", "?", phrase) if phrase else None)
        for name, value in headers:
            self.send_header(name, value)
        if not self.public:
            self.send_header("Cache-Control", "no-cache")
            self.send_header("Connection", "close")
        elif self.command not in ("GET", "HEAD"):  # a body that nobody reads
            self.send_header("Connection", "close")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log(self):
        asked = self.headers.get("Range", "-")
        fault = json.dumps(self.fault) if self.fault else ""
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        print(now, self.command, self.path, asked, self.status, self.sent, fault, flush=True)

    def log_message(self, format, *args):
        """What the base class cannot parse at all."""
        print(time.strftime("%Y-%m-%d %H:%M:%S"), format % args, flush=True)
