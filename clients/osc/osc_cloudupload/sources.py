"""Where the image of a push comes from: each source is read once and in its order."""

import os
import shlex
import socket
import time
import urllib.error
import zlib
from pathlib import Path

import urllib3
from osc import core

from .api import PASSING
from .failure import Failure
from .retries import PAUSES, SILENCE, Interrupted

PARTIAL_CONTENT = 206

SKIPPED = 2**20
"""Bytes to read at once of those that are there already."""


class LocalFile:
    """An image on this machine."""

    def __init__(self, path):
        self._file = open(path, "rb")  # closed by __exit__
        self.name, self.size = Path(path).name, os.fstat(self._file.fileno()).st_size
        self.option = f" --file {shlex.quote(str(path))}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def read(self, size):
        return self._file.read(size)


class BuildResult:
    """An image that OBS has, as osc's user may read it. Where OBS breaks off, the reading goes on.

    OBS's own servers know no ranges, and give files neither an ETag nor a time (`reply_file` in BSServer.pm): then the file
    is read again from its beginning, and what comes before the break has to be what came at first. A web server that
    names the file's version is asked for the rest alone.
    """

    option = ""

    def __init__(self, apiurl, image):
        socket.setdefaulttimeout(SILENCE)  # osc sets none for its connections, and would wait for ever
        path = ["build", image.project, image.repository, image.arch, image.package, image.filename]
        self._url = core.makeurl(apiurl, path)
        self._answer = core.http_GET(self._url)
        self.name, self.size = image.filename, length(self._answer)
        if self.size is None:
            raise Failure(f"OBS does not tell how large {self.name} is")
        self._version = version(self._answer)
        self._at, self._crc32 = 0, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._break_off()

    def read(self, size):
        """The next bytes, `size` at most; none at the end."""
        pauses = iter(PAUSES)
        while self._at < self.size:
            try:
                self._answer = self._answer or self._rest()
                return self._next(self._answer, size)
            except (OSError, urllib3.exceptions.HTTPError) as error:
                self._break_off()
                is_final = isinstance(error, urllib.error.HTTPError) and error.code not in PASSING
                pause = next(pauses, None)
                if is_final or pause is None:
                    raise Interrupted(f"OBS cannot be read any more ({error})") from None
                time.sleep(pause)
        return b""

    def _next(self, answer, size):
        piece = read_some(answer, size)
        self._at += len(piece)
        self._crc32 = zlib.crc32(piece, self._crc32)
        return piece

    def _rest(self):
        """OBS's answer, from the next byte on."""
        # The whole file comes if it is of another version by now (RFC 9110, 13.1.5).
        headers = {"Range": f"bytes={self._at}-", "If-Range": self._version} if self._version else {}
        answer = get(self._url, headers)
        try:
            if answer.status == PARTIAL_CONTENT:
                is_same = answer.headers.get("Content-Range") == f"bytes {self._at}-{self.size - 1}/{self.size}"
            else:
                is_same = length(answer) == self.size and self._skip(answer) == self._crc32
            if not is_same:
                raise Failure(f"{self.name} was replaced in OBS while it was sent: push it again, with a new job")
        except BaseException:
            answer.close()
            raise
        return answer

    def _skip(self, answer):
        """The CRC32 of the bytes that are there already."""
        crc32, left = 0, self._at
        while left:
            piece = read_some(answer, min(left, SKIPPED))
            crc32 = zlib.crc32(piece, crc32)
            left -= len(piece)
        return crc32

    def _break_off(self):
        if self._answer:
            self._answer.close()
        self._answer = None


def get(url, headers):
    try:
        return core.http_GET(url, headers=headers)
    except urllib.error.HTTPError as answer:
        if answer.status != PARTIAL_CONTENT:  # which osc takes for an error
            raise
        return answer


def read_some(answer, size):
    piece = answer.read(size)
    if not piece:  # which urllib3 took for the end before its version 2
        raise ConnectionError("the connection was closed")
    return piece


def length(answer):
    text = answer.headers.get("Content-Length") or ""
    return int(text) if text.isdecimal() else None


def version(answer):
    """What may be in an If-Range: a strong ETag, or a time."""
    etag = answer.headers.get("ETag") or ""
    return etag if etag.startswith('"') else answer.headers.get("Last-Modified")
