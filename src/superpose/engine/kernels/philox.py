"""Random numbers that depend on a key and a counter alone: Philox 4x32 with ten rounds.

Each trajectory has a counter of its own, so its numbers do not depend on which thread runs it, or what ran before.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 5.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from superpose.engine.kernels.views import array_kernel

__all__ = ["STATE_SIZE", "philox", "seeded", "uniform"]

STATE_SIZE = 7
"""Of the uint64 array of a stream: two words of key, four of counter, and whether half of the last draw is left."""

_A, _B = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_KEY_A, _KEY_B = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_WORD, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@array_kernel
def philox(counter: Any, key0: Any, key1: Any, out: Any) -> None:
    """Write four random 32-bit words for four words of counter and two of key, all uint64 arrays or numbers."""
    c0, c1, c2, c3 = counter[0], counter[1], counter[2], counter[3]
    for _ in range(10):
        a, b = _A * c0, _B * c2
        c0, c2 = (b >> _HALF) ^ c1 ^ key0, (a >> _HALF) ^ c3 ^ key1
        c1, c3 = b & _WORD, a & _WORD
        key0, key1 = (key0 + _KEY_A) & _WORD, (key1 + _KEY_B) & _WORD
    out[0], out[1], out[2], out[3] = c0, c1, c2, c3


@array_kernel
def seeded(stream: Any, key: Any, number: int) -> None:
    """Start the stream of trajectory ``number`` under a key of two words."""
    stream[0], stream[1] = key[0], key[1]
    stream[2], stream[3] = np.uint64(0), np.uint64(0)
    stream[4], stream[5] = np.uint64(number) & _WORD, np.uint64(number) >> _HALF
    stream[6] = np.uint64(0)


@array_kernel
def uniform(stream: Any, words: Any) -> float:
    """Return the stream's next number in [0, 1), of 53 random bits; ``words`` is its own uint64 scratch of 4."""
    if stream[6] == np.uint64(0):
        philox(stream[2:6], stream[0], stream[1], words)
        stream[2] += np.uint64(1)
        first, second = words[0], words[1]
    else:
        first, second = words[2], words[3]
    stream[6] ^= np.uint64(1)
    return float((first >> np.uint64(5)) * np.uint64(67108864) + (second >> np.uint64(6))) * (1.0 / 9007199254740992.0)
