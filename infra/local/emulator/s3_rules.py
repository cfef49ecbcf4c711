"""What S3 refuses and ministack does not: s3_access.py and s3_multipart.py, and the rules here.

PutBucketLifecycleConfiguration (S3 API Reference).
"""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.ElementTree import fromstring
from ministack.core.responses import StreamingResponse, get_account_id
from ministack.services import s3

import s3_access
from file_body import FileBody, chunks
from s3_multipart import Multipart, local_name
from s3_refusal import Answer


class S3Rules:
    def __init__(self, objects: Path) -> None:
        self.objects = objects

    def install(self) -> None:
        s3_access.install()
        s3.handle_request = self.guard(s3.handle_request)
        Multipart(self.objects).install()
        s3._get_object = streamed(s3._get_object)
        s3._put_bucket_lifecycle = well_formed(s3._put_bucket_lifecycle)

    def guard(self, handle: Any) -> Any:
        @functools.wraps(handle)
        async def guarded(
            method: str, path: str, headers: dict, body: bytes, query: dict, *args: Any, **options: Any
        ) -> Answer:
            if refusal := s3_access.wrong_owner(path, headers):
                return s3._error(refusal.code, refusal.message, refusal.status)
            caller = get_account_id()
            call = functools.partial(handle, method, path, headers, body, query, *args, **options)
            if method == "POST" and "uploadId" in query:
                # Writing a large object takes seconds, which nothing else should wait for.
                return await asyncio.to_thread(lambda: asyncio.run(call()))
            return s3_access.hide_missing(await call(), method, path, query, caller)

        return guarded


def streamed(get_object: Any) -> Any:
    """GetObject of a whole object in a file, without reading it into RAM first."""

    @functools.wraps(get_object)
    def get(*args: Any, **options: Any) -> Answer:
        status, headers, body = get_object(*args, **options)
        return (
            status,
            headers,
            StreamingResponse(functools.partial(send_file, body)) if isinstance(body, FileBody) else body,
        )

    return get


async def send_file(body: FileBody, send: Any, _receive: Any) -> None:
    for chunk in chunks(body):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def well_formed(put_lifecycle: Any) -> Any:
    """PutBucketLifecycleConfiguration: ministack stores what it cannot parse; S3 refuses it."""

    @functools.wraps(put_lifecycle)
    def put(bucket: str, body: bytes) -> Answer:
        try:
            root = fromstring(body)
        except ParseError:
            root = None
        if root is None or local_name(root) != "LifecycleConfiguration" or len(root) == 0:
            return s3._error("MalformedXML", s3._MALFORMED_XML, 400, f"/{bucket}")
        return put_lifecycle(bucket, body)

    return put
