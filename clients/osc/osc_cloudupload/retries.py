"""How long an interrupted push is tried again by itself."""

from .failure import Failure

PAUSES = (1, 2, 4, 8, 16, 32, 60, 60, 60, 60)
"""Seconds before each further attempt: about five minutes without a network."""

SILENCE = 60
"""Seconds without a byte after which a connection counts as broken."""


class Interrupted(Failure):
    """The push got no further, and another one can go on with it."""
