"""A stand-in for the API of OBS, as far as `osc cloudupload` asks it: the build results of a package, and one of them."""

import base64
from pathlib import Path
from xml.sax.saxutils import quoteattr

from tests.server import Refusal, Server

USER, PASSWORD = "tom", "opensesame"


class Obs(Server):
    """`root` has folders PROJECT/REPOSITORY/ARCH/PACKAGE with files."""

    def __init__(self, root):
        super().__init__()
        self.root = Path(root)

    def answer(self, method, path, query, headers, _body):
        credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if headers.get("Authorization") != f"Basic {credentials}":
            raise Refusal(
                401, status("Authentication required"), "text/xml", [("WWW-Authenticate", 'Basic realm="OBS"')]
            )
        if path.count("/") == 6 and method == "GET" and path.startswith("/build/"):
            project, repository, arch, package, name = path.split("/")[2:]
            file = self.root / project / repository / arch / package / name
            if not file.is_file():
                raise Refusal(404, status(f"no such file '{name}'"), "text/xml")
            return 200, file.read_bytes()
        _, build, project, result = path.split("/")
        if (method, build, result, query.pop("view")) != ("GET", "build", "_result", "binarylist"):
            raise Refusal(404, status(f"unknown request: {method} {path}"), "text/xml")
        if not (self.root / project).is_dir():
            raise Refusal(404, status(f"unknown project '{project}'"), "text/xml")
        return 200, self.results(project, **query).encode()

    def results(self, project, package, multibuild=None, repository="*", arch="*"):
        packages = [package, f"{package}:*"] if multibuild == "1" else [package]
        xml = '<resultlist state="0123">'
        for place in sorted((self.root / project).glob(f"{repository}/{arch}")):
            repository, arch = place.parts[-2:]
            xml += f'<result project="{project}" repository="{repository}" arch="{arch}" code="published">'
            for folder in sorted(folder for name in packages for folder in place.glob(name)):
                xml += f"<binarylist package={quoteattr(folder.name)}>"
                for file in sorted(folder.iterdir()):
                    xml += f'<binary filename={quoteattr(file.name)} size="{file.stat().st_size}" mtime="1795445844"/>'
                xml += "</binarylist>"
            xml += "</result>"
        return xml + "</resultlist>"


def status(summary):
    return f'<status code="error"><summary>{summary}</summary></status>'.encode()
