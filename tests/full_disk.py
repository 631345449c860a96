"""A disk that takes no more, as far as one process can have it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def room_for(n_bytes: int) -> Iterator[None]:
    """Refuse this process files of more than so many bytes, as a full disk would. Skips where no system can."""
    resource = pytest.importorskip("resource", reason="only there can a process be kept from writing much")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
