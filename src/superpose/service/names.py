"""Ids and the names that users give."""

from __future__ import annotations

import base64
import re
import secrets

from superpose.errors import RequestError

__all__ = ["check_name", "new_id"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


def new_id(prefix: str) -> str:
    """``prefix``, an underscore and 12 random characters of base32 (60 bits)."""
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(8)).decode('ascii').lower()[:12]}"


def check_name(name: object, field: str = "name") -> str:
    """A name that is safe in paths, URLs and shells.

    Raises:
        RequestError: not 1 to 63 letters, digits, dots, underscores and dashes, beginning with a letter or digit.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        shown = name[:80] if isinstance(name, str) else type(name).__name__
        raise RequestError(
            f"{field} must be 1 to 63 letters, digits, '.', '_' or '-', a letter or digit first; got {shown!r}.",
            field=field,
        )
    return name
