"""Waiting that a shutdown cuts short."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["unless_draining"]

T = TypeVar("T")


async def unless_draining(draining: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What ``work`` gives, or None as soon as the server begins to shut down; ``work`` is then cancelled."""
    task, stop = asyncio.ensure_future(work), asyncio.ensure_future(draining.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        stop.cancel()
