"""The bytes of EBS snapshots: `<data>/snapshots/<account>/<region>/<snapshot>.raw`, as long as the snapshot lives."""

from __future__ import annotations

from pathlib import Path

from ministack.core.responses import get_account_id, get_region

from file_body import Bytes, link_or_copy, save


class SnapshotStore:
    """Works on the snapshots of the account and region of the request being served."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, snapshot: str, region: str | None = None) -> Path:
        return self.root / get_account_id() / (region or get_region()) / f"{snapshot}.raw"

    def put(self, snapshot: str, image: Bytes, size: int) -> None:
        """Keeps the first `size` bytes of an image as the snapshot's."""
        path = self.path(snapshot)
        path.parent.mkdir(parents=True, exist_ok=True)
        save(image, size, path)

    def copy(self, source: str, source_region: str, snapshot: str) -> None:
        origin = self.path(source, source_region)
        if origin.exists():  # snapshots of ministack's own volumes have no bytes
            path = self.path(snapshot)
            path.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(origin, path)

    def delete(self, snapshot: str) -> None:
        self.path(snapshot).unlink(missing_ok=True)
