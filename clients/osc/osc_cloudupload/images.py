"""The images that OBS has built of a package."""

import urllib.parse
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

from osc import core, oscerr

from . import terminal
from .failure import Failure
from .text import table

ENDINGS = (".raw.xz", ".vhdfixed.xz", ".raw", ".raw.gz", ".raw.zst")
"""How the names of cloud images end (`CLOUD_IMAGES` in functions/cloudupload/src/obs.rs)."""

ARCHITECTURES = ("x86_64", "aarch64")
"""Those that EC2 has."""


class Image(NamedTuple):
    project: str
    package: str
    repository: str
    arch: str
    filename: str

    def __str__(self):
        return " ".join(self)


def built(apiurl, project, package, repository=None, arch=None):
    """The cloud images of a package and its flavors, from OBS."""
    query = {"view": "binarylist", "package": package, "multibuild": "1"}
    query.update({name: value for name, value in (("repository", repository), ("arch", arch)) if value})
    url = core.makeurl(apiurl, ["build", project, "_result"]) + "?" + urllib.parse.urlencode(query)
    results = ElementTree.parse(core.http_GET(url)).getroot()
    images = [
        Image(project, binaries.get("package"), result.get("repository"), result.get("arch"), binary.get("filename"))
        for result in results.iter("result")
        if result.get("arch") in ARCHITECTURES
        for binaries in result.iter("binarylist")
        for binary in binaries.iter("binary")
        if binary.get("filename").endswith(ENDINGS)
    ]
    return sorted(images)


def only(images, of):
    """The image that is meant: the only one, or the one that the user picks."""
    if not images:
        raise Failure(f"OBS has built no cloud image of {of}: one has a name that ends with {', '.join(ENDINGS)}")
    if len(images) == 1:
        return images[0]
    if terminal.is_there():
        return pick(images)
    commands = "\n".join(f"    osc cloudupload create {image}" for image in images)
    raise oscerr.WrongArgs(f"There are several images. Say which:\n{commands}")


def pick(images):
    rows = [
        (f"{number:3}", image.package, f"{image.repository}/{image.arch}", image.filename)
        for number, image in enumerate(images, 1)
    ]
    terminal.tell(table(rows))
    while True:
        answer = terminal.ask(f"Which image? 1 to {len(images)}")
        if answer.isdecimal() and 1 <= int(answer) <= len(images):
            return images[int(answer) - 1]
