"""How a command fails."""


class Failure(Exception):
    """What went wrong and what to do about it, for the person who runs the command."""
