"""The bytes of EBS snapshots: `<data>/snapshots/<account>/<region>/<snapshot>.raw`, as long as the snapshot lives."""

from __future__ import annotations

from pathlib import Path

from ministack.core.responses import get_account_id, get_region

from file_body import Bytes, save


class SnapshotStore:
    """Works on the snapshots of the account and region of the request being served."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, snapshot: str) -> Path:
        return self.root / get_account_id() / get_region() / f"{snapshot}.raw"

    def put(self, snapshot: str, image: Bytes) -> None:
        path = self.path(snapshot)
        path.parent.mkdir(parents=True, exist_ok=True)
        save(image, path)

    def delete(self, snapshot: str) -> None:
        self.path(snapshot).unlink(missing_ok=True)
