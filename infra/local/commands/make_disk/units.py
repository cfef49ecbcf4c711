"""What all parts of a disk are measured, dated and named in."""

import uuid

SECTOR = 512

MADE = 1_700_000_000
"""The time stamp in the EFI system partition, so that the same seed gives the same bytes."""


def random_uuid(rng):
    return uuid.UUID(int=rng.getrandbits(128), version=4)
