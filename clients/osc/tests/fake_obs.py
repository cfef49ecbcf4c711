"""A stand-in for the API of OBS, as far as `osc cloudupload` asks it: the build results of a package, and one of them."""

import base64
import re
from pathlib import Path
from xml.sax.saxutils import quoteattr

from tests.server import Refusal, Server, Torn

USER, PASSWORD = "tom", "opensesame"


class Obs(Server):
    """`root` has folders PROJECT/REPOSITORY/ARCH/PACKAGE with files.

    Like OBS's own servers, it knows no ranges, unless it has `version`: the headers that name a file's version, by the
    file's bytes. `breaks` has what becomes of each of the next answers with a file: the bytes after which it is torn, a
    function of the file's path that is called first, or None.
    """

    def __init__(self, root):
        super().__init__()
        self.root = Path(root)
        self.version = None
        self.breaks = []
        self.is_silent = False
        self.ranges = []

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
            return self.file(file, headers)
        _, build, project, result = path.split("/")
        if (method, build, result, query.pop("view")) != ("GET", "build", "_result", "binarylist"):
            raise Refusal(404, status(f"unknown request: {method} {path}"), "text/xml")
        if not (self.root / project).is_dir():
            raise Refusal(404, status(f"unknown project '{project}'"), "text/xml")
        return 200, self.results(project, **query).encode()

    def file(self, file, headers):
        """The answer with a file, or with its bytes from one on."""
        self.ranges.append(headers.get("Range"))
        torn = self.breaks.pop(0) if self.breaks else None
        if callable(torn):
            torn = torn(file)
        whole = file.read_bytes()
        status, body, version = 200, whole, self.version(whole) if self.version else {}
        if version and "Range" in headers and headers["If-Range"] in version.values():
            start = int(re.fullmatch(r"bytes=(\d+)-", headers["Range"])[1])
            status, body = 206, whole[start:]
            version["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        if torn is not None:
            body = Torn(body, torn, self.is_silent)
        return status, body, "application/octet-stream", version.items()

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
