"""Python's cyclic garbage collector, kept from work that it cannot do anything for."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collector_paused"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Let no automatic collection start while a circuit is lowered.

    Lowering makes many small tuples at once and no cycles, which makes the collector go through the whole heap again
    and again: of 50,000 gates it took half the time, and with much else in memory a single pause takes tens of ms.
    The collector is never left off: whoever turned it off turns it on again, also where several threads are in here.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
