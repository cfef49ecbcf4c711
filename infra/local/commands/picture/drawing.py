"""The picture, its source, and the words that bind one to the other."""

import hashlib
import re
import xml.etree.ElementTree as ElementTree

from common.failure import Failure
from common.paths import TOP

SOURCE = TOP / "docs" / "overview.dot"
PICTURES = {
    # The colours of text on GitHub's light and dark pages.
    TOP / "docs" / "overview.svg": "#1f2328",
    TOP / "docs" / "overview-dark.svg": "#f0f6fc",
}

FONT = "Helvetica,Arial,sans-serif"
STAMP = "Drawn by `make picture` from overview.dot, SHA-256 {}"


def command(color):
    """Graphviz, with the colours and the font that the source leaves open."""
    graph = ("-Gbgcolor=transparent", f"-Gcolor={color}", f"-Gfontcolor={color}", f"-Gfontname={FONT}")
    nodes = (f"-Ncolor={color}", f"-Nfontcolor={color}", f"-Nfontname={FONT}")
    edges = (f"-Ecolor={color}", f"-Efontcolor={color}", f"-Efontname={FONT}")
    return ["dot", "-Tsvg", *graph, *nodes, *edges, SOURCE]


def stamp(source):
    return STAMP.format(hashlib.sha256(source.encode()).hexdigest())


def stamped(svg, source):
    """The picture with the name of its source in place of Graphviz's comments, which name its version."""
    plain = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    if plain.count("<svg ") != 1:
        raise Failure("Graphviz has not drawn one picture")
    return plain.replace("<svg ", f"<!-- {stamp(source)} -->\n<svg ", 1)


def texts(svg):
    """What stands in the picture, a text each."""
    found = ElementTree.fromstring(svg).iterfind(".//{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()).replace("\N{NO-BREAK SPACE}", " ") for text in found]
