"""What all parts of a disk are measured and named in."""

import uuid

SECTOR = 512
MIB = 1 << 20

MADE = 1_700_000_000
"""The time stamp in the EFI system partition, so that the same seed gives the same bytes."""


def random_uuid(rng):
    return uuid.UUID(int=rng.getrandbits(128), version=4)
