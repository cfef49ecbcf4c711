"""What a test makes AWS do to an account, over HTTP, while the emulator runs. Nothing of it is AWS's.

    PUT /_emulator/accounts/111122223333 {"new_images_unlisted_seconds": 30}

replaces all settings of the account, so that `{}` ends them; GET shows them. Both answer with all of them.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from ministack import app as ministack

Answer = tuple[int, dict[str, str], bytes]

_PATH = re.compile(r"/_emulator/accounts/(\d{12})")


@dataclass(frozen=True)
class Settings:
    new_images_unlisted_seconds: float = 0
    """How long DescribeImages does not know a new AMI, whose name is taken from the first moment."""

    new_roles_unknown_seconds: float = 0
    """How long VM Import does not know a new role."""

    sts_inactive_regions: tuple[str, ...] = ()
    """Regions in which STS is deactivated for the account's roles."""

    disabled_regions: tuple[str, ...] = ()
    """Opt-in regions that the account has not enabled: its credentials are not valid there."""

    new_snapshots_unlisted_seconds: float = 0
    """How long DescribeSnapshots does not know a new snapshot."""

    snapshot_pending_seconds: float = 0.3
    """How long a snapshot is `pending` after CompleteSnapshot."""

    snapshot_copy_seconds: float = 1
    """How long CopySnapshot takes."""

    snapshot_copies: float = 20
    """How many copies the account may have in progress in a region."""

    snapshot_timeout_minute_seconds: float = 60
    """How long each minute of StartSnapshot's Timeout takes."""

    pending_snapshots: float = 100
    """How many snapshots the account may be writing in a region."""

    start_snapshot_per_second: float = 10
    complete_snapshot_per_second: float = 10
    put_snapshot_block_per_second: float = 1000
    get_snapshot_block_per_second: float = 1000
    list_snapshot_blocks_per_second: float = 50
    """The account's requests of EBS direct in a region."""

    @classmethod
    def read(cls, body: bytes) -> Settings:
        """ValueError says what is wrong with a request's body."""
        given = json.loads(body or b"{}")
        if not isinstance(given, dict):
            raise ValueError("not a JSON object")
        known = {field.name: field.default for field in fields(cls)}
        if unknown := sorted(given.keys() - known):
            raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return cls(**{name: checked(name, value, known[name]) for name, value in given.items()})


def checked(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(region, str) for region in value):
            return tuple(value)
        raise ValueError(f"{name} is a list of regions")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{name} is a number of seconds" if name.endswith("_seconds") else f"{name} is a number")


_settings: dict[str, Settings] = {}


def of_account(account: str) -> Settings:
    return _settings.get(account, Settings())


def serve(method: str, account: str, body: bytes) -> Answer:
    if method == "PUT":
        try:
            _settings[account] = Settings.read(body)
        except ValueError as problem:
            return answer(400, {"message": str(problem)})
    elif method != "GET":
        return answer(405, {"message": "GET or PUT"})
    return answer(200, asdict(of_account(account)))


def answer(status: int, body: dict[str, Any]) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(body).encode()


def install() -> None:
    """Beside ministack's own endpoints for tests, such as /_ministack/config."""
    own: Callable[..., Any] = ministack._handle_post_body_shortcuts

    @functools.wraps(own)
    async def handled(method: str, path: str, headers: dict[str, str], body: bytes, *rest: Any) -> Any:
        if match := _PATH.fullmatch(path):
            return serve(method, match[1], body)
        return await own(method, path, headers, body, *rest)

    ministack._handle_post_body_shortcuts = handled
