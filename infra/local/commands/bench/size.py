"""The size of the api as it is deployed."""

import zipfile

from bench.functions import RELEASE
from bench.table import Row, mib
from common.process import output
from common.units import MIB

API = RELEASE / "api"
ZIP_LIMIT = 6 * MIB


def measure_size(folder, limits):
    size, zipped = API.stat().st_size, zipped_size(folder / "api.zip")
    tree = output("cargo", "tree", "--locked", "-p", "api", "-e", "normal", "--prefix", "none", "--format", "{p}")
    crates = {line.split()[0] for line in tree.splitlines() if line.strip()}
    limits.keep("api, zipped, in bytes", zipped, ZIP_LIMIT)
    limits.keep("aws-sdk-ec2 in the api", "aws-sdk-ec2" in crates, False)
    ec2 = "aws-sdk-ec2 among them" if "aws-sdk-ec2" in crates else "without aws-sdk-ec2"
    return [
        Row("the binary", f"{size:,} bytes", mib(size)),
        Row(
            "zipped (deflate, level 9)",
            f"{zipped:,} bytes",
            f"{zipped / ZIP_LIMIT:.0%} of the limit of {mib(ZIP_LIMIT)}",
        ),
        Row("crates linked in", str(len(crates)), ec2),
    ]


def zipped_size(scratch):
    with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(API, "bootstrap")
    size = scratch.stat().st_size
    scratch.unlink()
    return size
