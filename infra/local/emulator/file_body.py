"""Large objects as files: S3 bodies outside of RAM, and files with holes where a disk has only zeros."""

from __future__ import annotations

import contextlib
import mmap
import os
import uuid
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

CHUNK = 1 << 20
"""Bytes written at once; a chunk of zeros becomes a hole."""

_ZEROS = bytes(CHUNK)

Bytes = bytes | mmap.mmap


def chunks(body: Bytes) -> Iterator[bytes]:
    """A body, a chunk at a time."""
    for start in range(0, len(body), CHUNK):
        yield body[start : start + CHUNK]


def write_sparse(path: Path, pieces: Iterable[bytes]) -> int:
    """Writes the pieces one after another into a new file; its size in bytes. On failure no file is left."""
    with path.open("xb", buffering=0) as file:
        try:
            size = 0
            for piece in pieces:
                if piece != _ZEROS[: len(piece)]:
                    _write(file.fileno(), piece, size)
                size += len(piece)
            file.truncate(size)
            return size
        except BaseException:
            path.unlink()
            raise


def _write(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


class FileBody(mmap.mmap):
    """The bytes of a file, which goes when nothing uses them any more.

    ministack treats an object's body as `bytes`: it takes its length, slices and hashes it, all of which a mapping
    can do too, without holding the object in RAM.
    """

    path: Path

    @classmethod
    def write(cls, folder: Path, parts: Iterable[bytes]) -> Self:
        path = folder / uuid.uuid4().hex
        size = write_sparse(path, (chunk for part in parts for chunk in chunks(part)))
        with path.open("rb") as file:
            body = cls(file.fileno(), size, access=mmap.ACCESS_READ)
        body.path = path
        weakref.finalize(body, path.unlink, missing_ok=True)
        return body


def save(body: Bytes, path: Path) -> None:
    """Makes `path` a file with a body's bytes: a second name of the body's own file where that can be."""
    if isinstance(body, FileBody):
        with contextlib.suppress(OSError):  # another file system, or one without hard links
            os.link(body.path, path)
            return
    write_sparse(path, chunks(body))
