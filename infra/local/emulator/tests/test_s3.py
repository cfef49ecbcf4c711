"""The object store."""

from __future__ import annotations

import base64
import functools
import hashlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from harness import MIB, STRANGER, USER, Case, emulator, user


def named(number: int, part: dict[str, Any]) -> dict[str, Any]:
    """A part as CompleteMultipartUpload takes it, from UploadPart's answer."""
    return {
        "PartNumber": number,
        **{name: text for name, text in part.items() if name.startswith(("ETag", "Checksum"))},
    }


def put(url: str, body: bytes) -> str:
    """Puts a part by its URL, and gives its ETag."""
    with urlopen(Request(url, body, {"Content-Type": ""}, method="PUT")) as answer:
        return answer.headers["ETag"]


def crc32(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


class ObjectStore(Case):
    BUCKET = "store-bucket"

    @classmethod
    def setUpClass(cls) -> None:
        emulator.client("s3").create_bucket(Bucket=cls.BUCKET)
        may_write = {"Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{cls.BUCKET}/*"}
        cls.writer = emulator.client("s3", **user(may_write))

    def upload(self, sizes: list[int], key: str = "object") -> tuple[str, list[dict[str, Any]]]:
        where = {"Bucket": self.BUCKET, "Key": key}
        upload = self.s3.create_multipart_upload(**where)["UploadId"]
        parts = []
        for number, size in enumerate(sizes, 1):
            part = self.s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=bytes(size))
            parts.append(named(number, part))
        return upload, parts

    def complete(self, upload: str, parts: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return self.s3.complete_multipart_upload(
            Bucket=self.BUCKET, Key="object", UploadId=upload, MultipartUpload={"Parts": parts}, **more
        )

    def test_complete(self) -> None:
        upload, parts = self.upload([5 * MIB - 1, 10])
        self.refused("EntityTooSmall", self.complete, upload=upload, parts=parts)
        upload, parts = self.upload([5 * MIB, 5 * MIB, 10])
        self.refused("InvalidPartOrder", self.complete, upload=upload, parts=parts[::-1])
        wrong = [*parts[:2], {**parts[0], "PartNumber": 3}]
        self.refused("InvalidPart", self.complete, upload=upload, parts=wrong)
        self.refused("InvalidPart", self.complete, upload=upload, parts=[*parts, {"PartNumber": 4, "ETag": '"x"'}])
        self.refused("MalformedXML", self.complete, upload=upload, parts=[])
        self.refused("NoSuchUpload", self.complete, upload="nonsense", parts=parts, status=404)
        self.refused("InvalidRequest", self.complete, upload=upload, parts=parts, MpuObjectSize=17)
        done = self.complete(upload, parts)
        digests = hashlib.md5(bytes(5 * MIB)).digest() * 2 + hashlib.md5(bytes(10)).digest()
        self.assertEqual(done["ETag"], f'"{hashlib.md5(digests).hexdigest()}-3"')
        self.assertEqual(self.complete(upload, parts)["ETag"], done["ETag"])
        head = self.s3.head_object(Bucket=self.BUCKET, Key="object")
        self.assertEqual((head["ContentLength"], head["ETag"]), (10 * MIB + 10, done["ETag"]))

    def test_checksums(self) -> None:
        where = {"Bucket": self.BUCKET, "Key": "object"}

        def begun(**options: Any) -> Any:
            upload = self.s3.create_multipart_upload(**where, **options)["UploadId"]
            return functools.partial(self.s3.upload_part, **where, UploadId=upload, Body=b"1"), upload

        put, upload = begun(ChecksumAlgorithm="CRC32")
        text = "Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: sha256"
        self.refused("InvalidRequest", put, text, PartNumber=1, ChecksumAlgorithm="SHA256")
        parts = [named(1, put(PartNumber=1))]
        self.assertEqual([sorted(part) for part in parts], [["ChecksumCRC32", "ETag", "PartNumber"]])
        (listed,) = self.s3.list_parts(**where, UploadId=upload)["Parts"]
        self.assertEqual(listed["ChecksumCRC32"], parts[0]["ChecksumCRC32"])
        without = [{"PartNumber": 1, "ETag": parts[0]["ETag"]}]
        text = "The upload was created using a crc32 checksum. The complete request must include the checksum for each"
        self.refused("InvalidRequest", self.complete, text, upload=upload, parts=without)
        wrong = [{**parts[0], "ChecksumCRC32": "AAAAAA=="}]
        self.refused("InvalidPart", self.complete, upload=upload, parts=wrong)
        self.assertTrue(self.complete(upload, parts)["ChecksumCRC32"].endswith("-1"))

        # Without an algorithm of the upload, each part may have its own. It has to be named all the same.
        put, upload = begun()
        parts = [named(1, put(PartNumber=1, ChecksumAlgorithm="SHA256"))]
        without = [{"PartNumber": 1, "ETag": parts[0]["ETag"]}]
        self.refused("InvalidPart", self.complete, upload=upload, parts=without)
        self.complete(upload, parts)

    def test_checksums_of_whole_objects(self) -> None:
        where = {"Bucket": self.BUCKET, "Key": "object"}
        for options in ({"ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"}, {"ChecksumType": "FULL_OBJECT"}):
            self.refused("InvalidRequest", self.s3.create_multipart_upload, **where, **options)
        options = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
        begun = self.s3.create_multipart_upload(**where, **options)
        self.assertEqual(begun["ChecksumType"], "FULL_OBJECT")
        upload = begun["UploadId"]
        body = bytes(range(256)) * (5 * MIB // 256)
        parts = [self.put_by_url(upload, number, body) for number in (1, 2)]
        (listed, _) = self.s3.list_parts(**where, UploadId=upload)["Parts"]
        self.assertEqual(listed["ChecksumCRC32"], crc32(body))
        text = "The upload was created using the FULL_OBJECT checksum mode."
        composite = {"ChecksumType": "COMPOSITE"}
        self.refused("InvalidRequest", self.complete, text, upload=upload, parts=parts, **composite)
        text = "The CRC32 you specified did not match the calculated checksum."
        self.refused("BadDigest", self.complete, text, upload=upload, parts=parts, ChecksumCRC32=crc32(body))
        done = self.complete(upload, parts, ChecksumCRC32=crc32(body + body), ChecksumType="FULL_OBJECT")
        self.assertEqual((done["ChecksumCRC32"], done["ChecksumType"]), (crc32(body + body), "FULL_OBJECT"))
        head = self.s3.head_object(**where, ChecksumMode="ENABLED")
        self.assertEqual((head["ChecksumCRC32"], head["ChecksumType"]), (crc32(body + body), "FULL_OBJECT"))

        upload = self.s3.create_multipart_upload(**where, ChecksumAlgorithm="CRC32")["UploadId"]
        with self.assertRaises(HTTPError) as refused:
            self.put_by_url(upload, 1, body)
        text = "Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: null"
        self.assertIn(text, refused.exception.read().decode())

    def test_a_url_is_good_for_one_part_and_length(self) -> None:
        where = {"Bucket": self.BUCKET, "Key": "object"}
        upload = self.s3.create_multipart_upload(**where)["UploadId"]
        url = self.url(upload, 1, 3)
        for changed, body in ((url, b"1234"), (url, b"12"), (url.replace("partNumber=1", "partNumber=2"), b"123")):
            with self.assertRaises(HTTPError) as refused:
                put(changed, body)
            self.assertEqual(refused.exception.code, 403)
        put(url, b"123")

    def put_by_url(self, upload: str, number: int, body: bytes) -> dict[str, Any]:
        etag = put(self.url(upload, number, len(body)), body)
        return {"PartNumber": number, "ETag": etag}

    def url(self, upload: str, number: int, length: int) -> str:
        part = {"Bucket": self.BUCKET, "Key": "object", "UploadId": upload, "PartNumber": number, "ContentLength": length}
        return self.writer.generate_presigned_url("upload_part", part, ExpiresIn=60)

    def test_part_numbers_with_checksums(self) -> None:
        """An upload with a checksum algorithm has its parts numbered from 1 on, one after the other."""
        where = {"Bucket": self.BUCKET, "Key": "object"}
        for numbers in ([2], [1, 3], [2, 3]):
            for options in ({"ChecksumAlgorithm": "CRC32"}, {}):
                upload = self.s3.create_multipart_upload(**where, **options)["UploadId"]
                put = functools.partial(self.s3.upload_part, **where, UploadId=upload, Body=bytes(5 * MIB))
                parts = [named(number, put(PartNumber=number)) for number in numbers]
                if options:
                    self.refused("InternalError", self.complete, upload=upload, parts=parts, status=500)
                else:
                    self.complete(upload, parts)

    def test_complete_races_with_itself(self) -> None:
        upload, parts = self.upload([40 * MIB, 40 * MIB])
        with ThreadPoolExecutor(3) as threads:
            answers = list(threads.map(lambda _: self.complete(upload, parts)["ETag"], range(3)))
        self.assertEqual(len(set(answers)), 1)

    def test_pages_of_parts_and_abort(self) -> None:
        upload, _ = self.upload([1] * 5)
        where = {"Bucket": self.BUCKET, "Key": "object", "UploadId": upload}
        first = self.s3.list_parts(**where, MaxParts=2)
        self.assertTrue(first["IsTruncated"])
        rest = self.s3.list_parts(**where, PartNumberMarker=first["NextPartNumberMarker"])
        self.assertEqual([part["PartNumber"] for part in first["Parts"] + rest["Parts"]], [1, 2, 3, 4, 5])
        self.s3.abort_multipart_upload(**where)
        self.refused("NoSuchUpload", self.s3.list_parts, **where)
        self.refused("NoSuchUpload", self.s3.abort_multipart_upload, **where)

    def test_the_owner_expected(self) -> None:
        self.s3.head_bucket(Bucket=self.BUCKET, ExpectedBucketOwner=USER)
        self.s3.put_object(Bucket=self.BUCKET, Key="k", Body=b"1", ExpectedBucketOwner=USER)
        wrong = {"Bucket": self.BUCKET, "ExpectedBucketOwner": STRANGER}
        self.refused("AccessDenied", self.s3.put_object, status=403, **wrong, Key="k", Body=b"2")
        self.refused("AccessDenied", self.s3.create_multipart_upload, status=403, **wrong, Key="k")
        self.refused("403", self.s3.head_bucket, **wrong)
        self.refused(
            "InvalidBucketOwnerAWSAccountID", self.s3.get_object, Bucket=self.BUCKET, Key="k", ExpectedBucketOwner="me"
        )

    def test_create_bucket(self) -> None:
        where = {"CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}
        far = emulator.client("s3", region="eu-central-1")
        self.refused("IllegalLocationConstraintException", far.create_bucket, Bucket="no-constraint")
        far.create_bucket(Bucket="constraint", **where)
        self.refused("BucketAlreadyOwnedByYou", far.create_bucket, Bucket="constraint", **where)
        stranger = emulator.client("s3", STRANGER, region="eu-central-1")
        self.refused("BucketAlreadyExists", stranger.create_bucket, Bucket="constraint", **where)
        self.assertEqual(far.get_bucket_location(Bucket="constraint")["LocationConstraint"], "eu-central-1")

    def test_bucket_settings(self) -> None:
        rules = [
            {
                "ID": "forgotten",
                "Status": "Enabled",
                "Filter": {"Prefix": ""},
                "Expiration": {"Days": 7},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            }
        ]
        self.s3.put_bucket_lifecycle_configuration(Bucket=self.BUCKET, LifecycleConfiguration={"Rules": rules})
        self.assertEqual(self.s3.get_bucket_lifecycle_configuration(Bucket=self.BUCKET)["Rules"], rules)
        put = self.s3.put_bucket_lifecycle_configuration
        self.refused("MalformedXML", put, Bucket=self.BUCKET, LifecycleConfiguration={"Rules": []})
        block = dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        )
        self.s3.put_public_access_block(Bucket=self.BUCKET, PublicAccessBlockConfiguration=block)
        self.assertEqual(self.s3.get_public_access_block(Bucket=self.BUCKET)["PublicAccessBlockConfiguration"], block)

    def test_ranges_of_one_version(self) -> None:
        etag = self.s3.put_object(Bucket=self.BUCKET, Key="ranged", Body=b"0123456789")["ETag"]
        where = {"Bucket": self.BUCKET, "Key": "ranged"}
        part = self.s3.get_object(**where, Range="bytes=2-4", IfMatch=etag)
        self.assertEqual((part["Body"].read(), part["ContentRange"]), (b"234", "bytes 2-4/10"))
        self.assertEqual(self.s3.get_object(**where, Range="bytes=-3")["Body"].read(), b"789")
        self.assertEqual(self.s3.get_object(**where, Range="bytes=8-99")["Body"].read(), b"89")
        self.refused("InvalidRange", self.s3.get_object, status=416, **where, Range="bytes=10-")
        self.refused("PreconditionFailed", self.s3.get_object, status=412, **where, Range="bytes=2-4", IfMatch='"old"')
