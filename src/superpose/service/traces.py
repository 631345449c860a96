"""Where an exception came from, for logs."""

from __future__ import annotations

import traceback

__all__ = ["trace_of"]


def trace_of(error: BaseException) -> str:
    """The class of an exception and its places in the code, without its message, which may hold somebody's data."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__module__}.{type(error).__qualname__}\n{frames}"
