"""The root of every exception of superpose."""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "SuperposeError",
]


class SuperposeError(Exception):
    """Base of all errors that superpose raises on purpose."""

    code: ClassVar[str] = "superpose.error"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
