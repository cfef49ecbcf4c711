"""Multipart uploads: what UploadPart and CompleteMultipartUpload refuse, and large objects in files instead of RAM.

UploadPart, CompleteMultipartUpload (S3 API Reference); "Amazon S3 multipart upload limits", "Checking object integrity
in Amazon S3" (S3 User Guide).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement

from defusedxml.ElementTree import fromstring
from ministack.core.concurrency import resource_lock
from ministack.core.responses import now_iso
from ministack.services import s3

from file_body import FileBody
from s3_refusal import Answer, Refusal

COMPOSITE, FULL_OBJECT = "COMPOSITE", "FULL_OBJECT"

SMALLEST_PART = 5 << 20
"""Bytes; only a last part may be smaller. "Amazon S3 multipart upload limits"."""

IN_A_FILE = 64 << 20
"""Bytes; an object of parts as large as this, or larger, is kept in a file."""


@dataclass(frozen=True)
class NamedPart:
    """A part as a CompleteMultipartUpload request names it."""

    number: int
    etag: str
    checksums: dict[str, str]


class Multipart:
    def __init__(self, objects: Path) -> None:
        self.objects = objects

    def install(self) -> None:
        s3._create_multipart_upload = checksum_type(s3._create_multipart_upload)
        s3._upload_part = same_algorithm(s3._upload_part)
        s3._complete_multipart_upload = self.complete

    def complete(self, bucket: str, key: str, body: bytes, query: dict, headers: dict | None = None) -> Answer:
        """CompleteMultipartUpload. ministack's own hashes and copies all parts once more, in RAM."""
        upload_id = s3._qp(query, "uploadId")
        with resource_lock("complete-multipart-upload", upload_id):
            done = s3._completed_multipart_uploads.get(upload_id)
            if done is not None and done["key"] == key:
                return done["response"]
            try:
                answer = self.assemble(bucket, key, upload_id, body, headers or {})
            except Refusal as refusal:
                return s3._error(refusal.code, refusal.message, refusal.status, f"/{bucket}/{key}")
            if answer[0] == 200:
                s3._completed_multipart_uploads[upload_id] = {"key": key, "response": answer}
            return answer

    def assemble(self, bucket: str, key: str, upload_id: str, body: bytes, headers: dict) -> Answer:
        objects = (s3._buckets.get(bucket) or {}).get("objects")
        if objects is None:
            return s3._no_such_bucket(bucket)
        upload = open_upload(upload_id, bucket, key)
        refused = s3._check_sse_c_part(headers, upload) or s3._check_put_preconditions(headers, objects.get(key))
        if refused:
            return refused
        named = named_parts(body)
        check_consecutive(named, upload)
        parts = [stored_part(part, upload) for part in named]
        check_sizes(part["size"] for part in parts)
        size = sum(part["size"] for part in parts)
        check_declared_size(headers, size)
        checksum = object_checksum(upload, parts, headers)
        bodies = (part["body"] for part in parts)
        content = FileBody.write(self.objects, bodies) if size >= IN_A_FILE else b"".join(bodies)
        etag = etag_of(parts)
        stored = {
            "body": content,
            "size": size,
            "etag": etag,
            "last_modified": now_iso(),
            "parts": [{"PartNumber": part.number, "Size": has["size"]} for part, has in zip(named, parts, strict=True)],
            "checksums": {upload["checksum_algorithm"]: checksum} if checksum else {},
            "checksum_type": upload["checksum_type"] if checksum else None,
            **{name: upload.get(name) for name in ("content_type", "content_encoding", "metadata")},
            "preserved_headers": upload.get("preserved_headers", {}),
            "storage_class": upload.get("storage_class") or "STANDARD",
        }
        open_upload(upload_id, bucket, key)  # it may have been aborted meanwhile
        displaced = objects.get(key)
        objects[key] = stored
        del s3._multipart_uploads[upload_id]
        return publish(bucket, key, displaced, stored, headers)


# CompleteMultipartUpload, in order


def open_upload(upload_id: str, bucket: str, key: str) -> dict[str, Any]:
    upload = s3._multipart_uploads.get(upload_id)
    if upload is None or (upload["bucket"], upload["key"]) != (bucket, key):
        raise Refusal(
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted "
            "or completed.",
            404,
        )
    return upload


def named_parts(body: bytes) -> list[NamedPart]:
    malformed = Refusal(
        "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
    )
    try:
        root = fromstring(body)
        parts = [named_part(element) for element in root if local_name(element) == "Part"]
    except (ParseError, KeyError, ValueError):
        raise malformed from None
    if not parts:
        raise malformed
    if any(part.number >= following.number for part, following in pairwise(parts)):
        raise Refusal(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        )
    return parts


def named_part(element: Element) -> NamedPart:
    fields = {local_name(child): child.text or "" for child in element}
    checksums = {
        name.removeprefix("Checksum"): value for name, value in fields.items() if name.startswith("Checksum") and value
    }
    return NamedPart(int(fields["PartNumber"]), fields["ETag"].strip('"'), checksums)


def local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def stored_part(named: NamedPart, upload: dict[str, Any]) -> dict[str, Any]:
    """CompleteMultipartUpload names each part's checksum, if the upload was created with an algorithm (CompletedPart),
    or the part came with one (aws/aws-sdk-go-v2 issue 3005). Text of a missing one as in aws/aws-sdk-php issue 2648."""
    algorithm = upload.get("checksum_algorithm")
    if algorithm and algorithm not in named.checksums and upload["checksum_type"] == COMPOSITE:
        raise Refusal(
            "InvalidRequest",
            f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the "
            f"checksum for each part. It was missing for part {named.number} in the request.",
        )
    part = upload["parts"].get(named.number)
    kept = (part or {}).get("checksums") or {}
    if upload["checksum_type"] == FULL_OBJECT and not named.checksums:
        kept = {}
    if part is None or part["etag"].strip('"') != named.etag or kept != named.checksums:
        raise Refusal(
            "InvalidPart",
            "One or more of the specified parts could not be found. The part may not have been uploaded, or the "
            "specified entity tag may not match the part's entity tag.",
        )
    return part


def check_consecutive(named: list[NamedPart], upload: dict[str, Any]) -> None:
    """Parts with additional checksums are numbered from 1 on without gaps; else "Amazon S3 generates an HTTP 500
    Internal Server Error" ("Checking object integrity in Amazon S3"). CompletedPart has another answer: 400
    InvalidPartOrder."""
    if upload.get("checksum_algorithm") and [part.number for part in named] != list(range(1, len(named) + 1)):
        raise Refusal("InternalError", "We encountered an internal error. Please try again.", 500)


def check_sizes(sizes: Iterable[int]) -> None:
    *all_but_last, _ = sizes
    if any(size < SMALLEST_PART for size in all_but_last):
        raise Refusal("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")


def check_declared_size(headers: dict[str, str], size: int) -> None:
    declared = headers.get("x-amz-mp-object-size")
    if declared is not None and declared != str(size):
        raise Refusal(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {declared} does not match what was computed: {size}",
        )


def object_checksum(upload: dict[str, Any], parts: list[dict[str, Any]], headers: dict[str, str]) -> str | None:
    algorithm = upload.get("checksum_algorithm")
    if not algorithm:
        return None
    of_type = headers.get("x-amz-checksum-type")
    if of_type and of_type != upload["checksum_type"]:
        raise Refusal(
            "InvalidRequest",
            f"The upload was created using the {upload['checksum_type']} checksum mode. The complete request must use "
            "the same checksum mode.",
        )
    if upload["checksum_type"] == FULL_OBJECT:
        checksum = crc32_of(part["body"] for part in parts)
    else:
        checksum = s3._composite_checksum(algorithm, [(part.get("checksums") or {}).get(algorithm) for part in parts])
    requested = headers.get(f"x-amz-checksum-{algorithm.lower()}")
    if requested and requested != checksum:
        raise Refusal("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")
    return checksum


def crc32_of(bodies: Iterable[bytes]) -> str:
    """In Base64, the highest byte first."""
    checksum = functools.reduce(lambda sum_so_far, body: zlib.crc32(body, sum_so_far), bodies, 0)
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


def etag_of(parts: list[dict[str, Any]]) -> str:
    """The MD5 of the parts' MD5s; a part's ETag is its MD5."""
    digests = b"".join(bytes.fromhex(part["etag"].strip('"')) for part in parts)
    return f'"{hashlib.md5(digests).hexdigest()}-{len(parts)}"'


def publish(bucket: str, key: str, displaced: Any, stored: dict[str, Any], headers: dict[str, str]) -> Answer:
    """Versions, replicas, events, and the answer."""
    s3._maybe_replicate(bucket, key, stored, stored["body"])
    version = s3._record_object_version(bucket, key, displaced, stored, stored["body"])
    s3._fire_s3_event_async(
        bucket,
        key,
        "s3:ObjectCreated:CompleteMultipartUpload",
        size=stored["size"],
        etag=stored["etag"],
        version_id=version,
    )
    root = Element("CompleteMultipartUploadResult", xmlns=s3.S3_NS)
    fields = {"Location": f"http://{headers.get('host', 'localhost')}/{bucket}/{key}", "Bucket": bucket, "Key": key}
    for name, text in (fields | {"ETag": stored["etag"]}).items():
        SubElement(root, name).text = text
    for algorithm, checksum in stored["checksums"].items():
        SubElement(root, f"Checksum{algorithm}").text = checksum
        SubElement(root, "ChecksumType").text = stored["checksum_type"]
    answer_headers = {"Content-Type": "application/xml", **s3._stored_sse_headers(stored)}
    if version:
        answer_headers["x-amz-version-id"] = version
    return 200, answer_headers, s3._xml_body(root)


# CreateMultipartUpload


def checksum_type(create: Any) -> Any:
    """CreateMultipartUpload, ChecksumType: what the checksum of the object will be of. Only CRCs can be of the whole object
    ("Checking object integrity in Amazon S3"); CRC32 is composite unless the request says otherwise. Of those that can be of
    the whole object, the emulator has CRC32."""

    @functools.wraps(create)
    def begin(bucket: str, key: str, headers: dict[str, str]) -> Answer:
        of_type = headers.get("x-amz-checksum-type", COMPOSITE)
        algorithm = headers.get("x-amz-checksum-algorithm", "")
        if of_type not in (COMPOSITE, FULL_OBJECT):
            return s3._error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.", 400, f"/{bucket}/{key}")
        if "x-amz-checksum-type" in headers and not algorithm:
            return s3._error(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
                400,
                f"/{bucket}/{key}",
            )
        if of_type == FULL_OBJECT and algorithm.upper() != "CRC32":
            return s3._error(
                "InvalidRequest",
                f"The FULL_OBJECT checksum type cannot be used with the {algorithm.lower()} checksum algorithm.",
                400,
                f"/{bucket}/{key}",
            )
        status, answer_headers, answer = create(bucket, key, headers)
        if status == 200:
            upload_id = next(child.text for child in fromstring(answer) if local_name(child) == "UploadId")
            s3._multipart_uploads[upload_id]["checksum_type"] = of_type
            if algorithm:
                answer_headers["x-amz-checksum-type"] = of_type
        return status, answer_headers, answer

    return begin


# UploadPart


def same_algorithm(upload_part: Any) -> Any:
    """UploadPart, ChecksumAlgorithm: "This checksum algorithm must be the same for all parts and it match the checksum
    value supplied in the CreateMultipartUpload request." If that request supplied none, S3 takes any (aws/aws-sdk-go-v2
    issue 3005). Text as in apache/arrow-rs issue 6793. A part without a checksum is refused if that of the object is composed
    of those of the parts, and else gets one from S3 (versity/versitygw issue 1342).
    """

    @functools.wraps(upload_part)
    def upload(bucket: str, key: str, body: bytes, query: dict, headers: dict[str, str]) -> Answer:
        into = s3._multipart_uploads.get(s3._qp(query, "uploadId"), {})
        expected = into.get("checksum_algorithm")
        given = [actual for actual in s3._S3_CHECKSUM_HEADERS if headers.get(f"x-amz-checksum-{actual}")]
        if expected and not given and into["checksum_type"] == COMPOSITE:
            given = ["null"]
        for actual in given:
            if expected and actual != expected.lower():
                return s3._error(
                    "InvalidRequest",
                    f"Checksum Type mismatch occurred, expected checksum Type: {expected.lower()}, "
                    f"actual checksum Type: {actual}",
                    400,
                    f"/{bucket}/{key}",
                )
        return upload_part(bucket, key, body, query, headers)

    return upload
