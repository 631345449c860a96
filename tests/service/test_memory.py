"""Memory that is free goes back to the system."""

from __future__ import annotations

import ctypes
import time

import numpy as np
import pytest

from superpose.service.work.memory import give_back, kept_tidy, resident_bytes

HAS_TRIM = hasattr(ctypes.CDLL(None), "malloc_trim")


def scattered() -> tuple[list[bytes], int]:
    """One small piece that stays for every three that go, so that no heap's end is free; and the memory before that."""
    pieces = [bytes(50_000) for _ in range(4_000)]
    most = resident_bytes()
    return pieces[::4], most


@pytest.mark.skipif(not HAS_TRIM, reason="the C library has no malloc_trim")
def test_what_is_free_between_what_is_used_goes_back() -> None:
    kept, most = scattered()
    give_back()  # a server that another test has left running in this process may have done it already
    assert most - resident_bytes() > 80_000_000
    assert all(not any(piece[:10]) for piece in kept)


@pytest.mark.skipif(not HAS_TRIM, reason="the C library has no malloc_trim")
def test_a_server_gives_memory_back_by_itself() -> None:
    with kept_tidy(0.05):
        kept, most = scattered()
        until_s = time.monotonic() + 60
        while resident_bytes() > most - 50_000_000 and time.monotonic() < until_s:
            time.sleep(0.02)
        assert resident_bytes() <= most - 50_000_000
    assert np.frombuffer(kept[0], np.uint8).sum() == 0
