"""The files of a release, put where CloudFormation reads them."""

import hashlib

from common.failure import Failure

TEMPLATE = "template.yaml"


def check(folder):
    """Compares a release with its checksums, as its put-into-s3 does."""
    sums = folder / "SHA256SUMS"
    if not sums.exists():
        raise Failure(f"{folder} is not the folder of a release: make one, with `make release`")
    for line in sums.read_text().splitlines():
        digest, name = line.split(maxsplit=1)
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise Failure(f"{folder / name} is damaged")


def put(s3, bucket, folder):
    """Puts code and template into the bucket. Returns the template's URL."""
    for file in sorted((folder / "code").iterdir()):
        s3.upload_file(str(file), bucket, f"code/{file.name}")
    s3.upload_file(str(folder / TEMPLATE), bucket, TEMPLATE)
    return f"https://s3.{s3.meta.region_name}.amazonaws.com/{bucket}/{TEMPLATE}"
