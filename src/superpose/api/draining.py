"""Waiting that a shutdown cuts short."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["unless_draining"]

T = TypeVar("T")


async def unless_draining(draining: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What ``work`` gives, or None as soon as the server begins to shut down; ``work`` is then cancelled."""
    working, stop = asyncio.ensure_future(work), asyncio.ensure_future(draining.wait())
    try:
        await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        stop.cancel()
