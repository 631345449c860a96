"""Where the work under way comes from: the request and the address, for the audit log.

The API's gate states it once per request; it travels with the request into the threads that do the work, so no call on
the way has to hand it on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Origin", "coming_from", "current_origin"]


@dataclass(frozen=True)
class Origin:
    """A request's id and the address that sent it; both None for work that no request asked for."""

    request_id: str | None = None
    source: str | None = None


_NOWHERE = Origin()
_current: ContextVar[Origin] = ContextVar("superpose_origin", default=_NOWHERE)


def current_origin() -> Origin:
    """The origin of the work under way."""
    return _current.get()


@contextmanager
def coming_from(origin: Origin) -> Iterator[None]:
    """State the origin of what the block does."""
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)
