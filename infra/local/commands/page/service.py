"""A service for the page to talk to, in this process: strict, and in whatever state a test wants it.

It serves the page's files as the function `api` does, and answers the calls of docs/openapi.yaml that the page makes. A call
that the service would refuse as wrongly made is in `mistakes`.
"""

import http.server
import json
import re
import sys
import threading
import time
import urllib.parse

from common.paths import TOP

PAGE = TOP / "functions" / "api" / "page"
SOURCE = TOP / "functions" / "api" / "src" / "page.rs"

TOKEN = f"cloudup_tom_{'0123456789abcdef' * 4}"
NEW_TOKEN = f"cloudup_tom_{'fedcba9876543210' * 4}"
THIS_TOKEN = "0123456789abcdef"
"""The id of the token that the tests sign in with."""

ROLE = "arn:aws:iam::111122223333:role/obs-cloudupload"
REGION = "eu-central-1"
LINK = "https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/create/review"
WISHES = {
    "region": str,
    "ami_name": str,
    "route": str,
    "boot_mode": str,
    "tpm_support": str,
    "imds_support": str,
    "volume_size": int,
    "tags": dict,
    "encrypted": bool,
    "kms_key_id": str,
}
IMAGE = {"project": str, "repository": str, "arch": str, "package": str}
OBS = {
    "Cloud:Images": [
        ("images", "x86_64", "leap-ec2"),
        ("images", "x86_64", "leap-minimal"),
        ("images", "aarch64", "leap-ec2"),
    ],
    "home:tom": [("a", "x86_64", "mine+1"), ("b", "x86_64", "mine+1")],
}
"""Projects with repository, architecture and package of what is built in them."""

TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}


def policy():
    """The Content-Security-Policy of the page."""
    return "; ".join((PAGE / "content-security-policy.txt").read_text().splitlines())


def script():
    """The page's script, of its parts in the order in which the function puts them together."""
    parts = re.findall(r'include_str!\("\.\./page/script/([a-z-]+\.js)"\)', SOURCE.read_text())
    return b"".join((PAGE / "script" / part).read_bytes() for part in parts)


def files():
    """Path, media type and bytes of all that the page is made of."""
    return {
        "/": (TYPES["html"], (PAGE / "index.html").read_bytes()),
        "/page/style.css": (TYPES["css"], (PAGE / "style.css").read_bytes()),
        "/page/page.js": ("text/javascript; charset=utf-8", script()),
        "/page/icon.svg": (TYPES["svg"], (PAGE / "icon.svg").read_bytes()),
    }


class Refused(Exception):
    """An answer that is a problem (RFC 9457). One that is the client's mistake is no part of any test."""

    def __init__(self, status, detail, mistake=False):
        super().__init__(detail)
        self.status, self.detail, self.mistake = status, detail, mistake


class Service(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files()
        self.reset()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        # A tab that is closed hangs up.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"

    def reset(self):
        self.role, self.jobs, self.logs = None, {}, {}
        self.tokens = {THIS_TOKEN: token(THIS_TOKEN, "browser", used=1795445900)}
        self.calls, self.mistakes, self.refusals = [], [], {}
        self.usable = True

    def connect(self):
        """A user who has connected a role already."""
        self.role = {"arn": ROLE, "region": REGION}

    def add_job(self, state="created", **fields):
        number = len(self.jobs) + 1
        self.jobs[number] = {
            "id": number,
            "state": state,
            "details": "waiting to receive image",
            "progress": None,
            "created": int(time.time()) - 60,
            "ended": None,
            "project": "Cloud:Images",
            "repository": "images",
            "arch": "x86_64",
            "package": "leap-ec2",
            "filename": "leap-ec2.x86_64-15.6.raw.xz",
            "size": 530250884,
            "region": REGION,
            "ami_name": "leap-ec2.x86_64-15.6",
            "ami": None,
            "image_deleted": None,
            **fields,
        }
        self.logs[number] = b""
        return number

    def move(self, number, state, **fields):
        ended = int(time.time()) if state in ("succeeded", "failed") else None
        self.jobs[number].update({"state": state, "ended": ended, **fields})

    def write(self, number, text):
        """Adds to a job's log."""
        self.logs[number] += text if isinstance(text, bytes) else text.encode()

    def refuse(self, method, path, status, detail):
        """Refuses the next such call."""
        self.refusals[f"{method} {path}"] = Refused(status, detail)

    def count(self, call):
        return sum(made.startswith(call) for made in self.calls)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_request(self):
        path, _, query = self.path.partition("?")
        if path in self.server.files and self.command in ("GET", "HEAD"):
            self.send(200, *self.server.files[path], {"Content-Security-Policy": policy()})
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls.append(f"{self.command} {self.path}")
        try:
            status, answer = self.call(path, urllib.parse.parse_qs(query, strict_parsing=bool(query)), body)
        except Refused as refused:
            if refused.mistake:
                self.server.mistakes.append(f"{self.command} {self.path}: {refused.detail}")
            problem = {"status": refused.status, "title": "", "detail": refused.detail}
            self.send(refused.status, "application/problem+json", json.dumps(problem).encode())
            return
        if isinstance(answer, bytes):
            self.send(status, "text/plain; charset=utf-8", answer)
        else:
            self.send(status, "application/json", b"" if answer is None else json.dumps(answer).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

    def send(self, status, content_type, body, headers=()):
        self.send_response(status)
        for name, value in {**dict(headers), "Content-Type": content_type}.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-store")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)

    def call(self, path, query, body):
        if "Cookie" in self.headers:
            raise Refused(400, "a cookie was sent", mistake=True)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "the token is wrong, or it was revoked, or it has expired: make a new one")
        if refusal := self.server.refusals.pop(f"{self.command} {path}", None):
            raise refusal
        return self.operation(path, query)(self, query, body)

    def operation(self, path, query):
        for pattern, method, parameters, operation in OPERATIONS:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                if not query.keys() <= parameters:
                    raise Refused(400, f"unknown parameters {query.keys() - parameters}", mistake=True)
                kind = int if path.startswith("/v1/jobs/") else urllib.parse.unquote
                names = [kind(text) for text in match.groups()]
                return lambda *arguments: operation(*arguments, *names)
        raise Refused(404, f"there is no {self.command} {path}", mistake=True)

    def json(self, body, required, optional=None):
        """The body, with these keys and types."""
        if self.headers.get("Content-Type") != "application/json":
            raise Refused(415, "the body must be JSON", mistake=True)
        values, known = json.loads(body), {**required, **(optional or {})}
        for key, value in values.items():
            if type(value) is not known.get(key):
                raise Refused(400, f"{key} must not be {value!r}", mistake=True)
        if missing := required.keys() - values.keys():
            raise Refused(400, f"missing: {missing}", mistake=True)
        return values

    def me(self, _query, _body):
        role = self.server.role or {"arn": None, "region": None}
        own = self.server.tokens[THIS_TOKEN]
        return 200, {"name": "tom", "created": 1795445844, "token": own, "role": role["arn"], "region": role["region"]}

    def list_tokens(self, _query, _body):
        return 200, {"tokens": list(self.server.tokens.values())}

    def create_token(self, _query, body):
        wish = self.json(body, {"name": str}, {"expires_in_days": int})
        number = f"{len(self.server.tokens):016x}"
        days = wish.get("expires_in_days")
        made = token(number, wish["name"], expires=days and 1795445844 + 86400 * days)
        self.server.tokens[number] = made
        return 201, {**made, "token": NEW_TOKEN}

    def remove_token(self, _query, _body, number):
        if self.server.tokens.pop(number, None) is None:
            raise Refused(404, f"there is no token '{number}'", mistake=True)
        return 204, None

    def read_role(self, _query, _body):
        role, usable = self.server.role, self.server.usable
        report = {
            "missing": [] if usable else ["ec2:RegisterImage"],
            "routes": [
                {"route": "direct", "verdict": "allowed"},
                {"route": "import", "verdict": "denied", "missing": ["s3:PutObject", "ec2:ImportSnapshot"]},
                {"route": "copy", "verdict": "switched_off"},
            ],
        }
        return 200, {
            "service_account": "999999999999",
            "external_id": "5f0d6a1c9a3e4b7d8c2f1e0a9b8c7d6e",
            "quick_create_url": f"{LINK}?param_ExternalId=5f0d6a1c9a3e4b7d8c2f1e0a9b8c7d6e",
            "arn": role and role["arn"],
            "region": role and role["region"],
            "connected": role and 1795445844,
            "usable": bool(role) and usable,
            "report": role and report,
        }

    def connect_role(self, _query, body):
        self.server.role = self.json(body, {"arn": str, "region": str})
        return self.read_role(None, None)

    def forget_role(self, _query, _body):
        self.server.role = None
        return 204, None

    def list_jobs(self, query, _body):
        limit, before = (int(query.get(name, [default])[0]) for name, default in (("limit", 50), ("before", 1 << 31)))
        if not 1 <= limit <= 100:
            raise Refused(400, f"limit {limit} is out of range", mistake=True)
        jobs = [job for number, job in sorted(self.server.jobs.items(), reverse=True) if number < before][:limit]
        return 200, {"jobs": jobs, "next": jobs[-1]["id"] if len(jobs) == limit else None}

    def create_job(self, _query, body):
        upload = self.json(body, IMAGE, {"filename": str, **WISHES})
        if not self.server.role:
            raise Refused(409, "no role is connected yet")
        known = self.server.jobs
        fields = {key: value for key, value in upload.items() if key in (*IMAGE, "filename", "region", "ami_name")}
        number = self.server.add_job(**fields)
        known[number]["wishes"] = {key: value for key, value in upload.items() if key in WISHES}
        return 201, known[number]

    def projects(self, _query, _body):
        return 200, {"projects": list(OBS), "complete": False}

    def repositories(self, _query, _body, project):
        builds = {}
        for repository, arch, _ in builds_of(project):
            builds.setdefault(repository, set()).add(arch)
        return 200, {"repositories": [{"name": name, "archs": sorted(archs)} for name, archs in builds.items()]}

    def packages(self, query, _body, project):
        asked = (query["repository"][0], query["arch"][0])
        packages = {package for *build, package in builds_of(project) if tuple(build) == asked}
        return 200, {"packages": sorted(packages)}

    def images(self, _query, _body, project, package):
        images = [
            {
                "repository": repository,
                "arch": arch,
                "filename": f"{package}.{arch}-15.6.raw.xz",
                "size": 530250884,
                "modified": 1795445844,
            }
            for repository, arch, other in builds_of(project)
            if other == package
        ]
        return 200, {"images": images}

    def job(self, _query, _body, number):
        if number not in self.server.jobs:
            raise Refused(404, "no such job")
        return 200, self.server.jobs[number]

    def kill_job(self, _query, _body, number):
        self.server.move(number, "failed", details="killed")
        return self.job(None, None, number)

    def retry_job(self, _query, _body, number):
        if not self.server.role:
            raise Refused(409, "no role is connected yet")
        _, job = self.job(None, None, number)
        fields = ("project", "repository", "arch", "package", "filename", "size", "region", "ami_name")
        return 201, self.server.jobs[self.server.add_job(**{field: job[field] for field in fields})]

    def delete_image(self, _query, _body, number):
        _, job = self.job(None, None, number)
        if job["state"] != "succeeded":
            raise Refused(409, f"job {number} is {job['state']}: only a job that has succeeded has an image")
        job["image_deleted"] = job["image_deleted"] or int(time.time())
        return 200, job

    def log(self, query, _body, number):
        self.job(None, None, number)
        log, start = self.server.logs[number], int(query.get("start", ["0"])[0])
        if start > len(log):
            raise Refused(400, f"start out of range: {start}", mistake=True)
        return 200, log[start:]


def token(number, name, **fields):
    return {"id": number, "name": name, "created": 1795445844, "expires": None, "used": None, **fields}


def builds_of(project):
    if project not in OBS:
        raise Refused(404, f"the project '{project}' is none that users may upload from")
    return OBS[project]


PROJECT = r"/v1/projects/([^/]+)"
OPERATIONS = (
    (r"/v1/me", "GET", set(), Handler.me),
    (r"/v1/me/tokens", "GET", set(), Handler.list_tokens),
    (r"/v1/me/tokens", "POST", set(), Handler.create_token),
    (r"/v1/me/tokens/([0-9a-f]{16})", "DELETE", set(), Handler.remove_token),
    (r"/v1/me/role", "GET", set(), Handler.read_role),
    (r"/v1/me/role", "PUT", set(), Handler.connect_role),
    (r"/v1/me/role", "DELETE", set(), Handler.forget_role),
    (r"/v1/projects", "GET", set(), Handler.projects),
    (rf"{PROJECT}/repositories", "GET", set(), Handler.repositories),
    (rf"{PROJECT}/packages", "GET", {"repository", "arch"}, Handler.packages),
    (rf"{PROJECT}/packages/([^/]+)/images", "GET", set(), Handler.images),
    (r"/v1/jobs", "GET", {"limit", "before"}, Handler.list_jobs),
    (r"/v1/jobs", "POST", set(), Handler.create_job),
    (r"/v1/jobs/(\d+)", "GET", set(), Handler.job),
    (r"/v1/jobs/(\d+)/kill", "POST", set(), Handler.kill_job),
    (r"/v1/jobs/(\d+)/retry", "POST", set(), Handler.retry_job),
    (r"/v1/jobs/(\d+)/image", "DELETE", set(), Handler.delete_image),
    (r"/v1/jobs/(\d+)/log", "GET", {"start"}, Handler.log),
)
