"""nginx with docs/nginx.conf, and in front of the stack with TLS, as API Gateway has it."""

import base64
import os
import urllib.parse

from common.failure import Failure
from common.paths import TOP
from common.process import run_logged
from stack.services import Service, end
from test_obs.ports import url

SOURCE = TOP / "docs" / "nginx.conf"

WRAPPER = """
{user}
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/client-body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/cloudupload.conf;
    server {{
        listen 127.0.0.1:{tls} ssl;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        client_max_body_size 0;
        location / {{
            if ($http_authorization != "Basic {authorization}") {{
                return 401;
            }}
            proxy_pass {api};
        }}
    }}
}}
"""

NAME = "127.0.0.1"
"""The name in the certificate. No name server is asked for it."""


class Nginx:
    def __init__(self, folder, env, ports):
        self.folder, self.home, self.ports = folder, folder / "nginx", ports
        given = urllib.parse.urlsplit(env["CLOUDUPLOAD_URL"])
        credentials = f"{given.username}:{given.password}"
        self.authorization = base64.b64encode(urllib.parse.unquote_to_bytes(credentials)).decode()
        self.frontend, self.uploader = url(ports.frontend), url(ports.uploader)
        self.direct = url(ports.api, f"{credentials}@")

    def up(self):
        self.home.mkdir(exist_ok=True)
        self.make_certificate()
        (self.home / "cloudupload.conf").write_text(self.configured(SOURCE.read_text()))
        # Workers of another user could not write here.
        user = "user root;" if os.geteuid() == 0 else ""
        values = {"tls": self.ports.tls, "authorization": self.authorization, "api": url(self.ports.api)}
        config = self.home / "nginx.conf"
        config.write_text(WRAPPER.format(user=user, folder=self.home, **values))
        command = ["nginx", "-p", self.home, "-e", "stderr", "-c", config, "-g", "daemon off;"]
        listened = {"--port": self.ports.uploader, "--frontend": self.ports.frontend}
        sources = [config, self.home / "cloudupload.conf"]
        Service(self.folder, "nginx", command, sources, listened).up()

    def down(self):
        end(self.folder / "nginx.pid")

    def configured(self, text):
        """The file as an operator adapts it."""
        for theirs, ours in (
            ("abcdef1234.execute-api.eu-central-1.amazonaws.com", f"{NAME}:{self.ports.tls}"),
            ("b2JzOnNlY3JldA==", self.authorization),
            ("192.0.2.53", NAME),
            ("/etc/ssl/ca-bundle.pem", str(self.home / "certificate.pem")),
            ("127.0.0.1:5352", f"127.0.0.1:{self.ports.source_server}"),
            ("127.0.0.1:5353", f"127.0.0.1:{self.ports.frontend}"),
            ("127.0.0.1:5452", f"127.0.0.1:{self.ports.uploader}"),
        ):
            if theirs not in text:
                raise Failure(f"{SOURCE.name} has no {theirs} to put {ours} in its place")
            text = text.replace(theirs, ours)
        return text

    def make_certificate(self):
        """One that signs itself, so that it is the certificate to trust, too."""
        certificate, key = self.home / "certificate.pem", self.home / "key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
        command += ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-days", "2"]
        run_logged([*command, "-keyout", key, "-out", certificate], self.home / "certificate.log")
