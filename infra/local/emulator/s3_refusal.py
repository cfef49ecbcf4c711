"""Refusing an S3 request as S3 does."""

from __future__ import annotations

from typing import Any

Answer = tuple[int, dict[str, Any], Any]


class Refusal(Exception):
    """An S3 error answer. Codes: "Error Responses", S3 API Reference."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status
