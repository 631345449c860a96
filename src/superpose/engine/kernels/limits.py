"""How large states are cut for several threads; see `superpose.engine.kernels.sharing`. Imports nothing heavy."""

from __future__ import annotations

from superpose.engine.kernels import slots
from superpose.engine.kernels.layout import MAX_OPS

__all__ = [
    "CHUNKS",
    "CHUNK_ARGUMENTS",
    "FEWEST_TURNS",
    "OVER",
    "SIZE_BLOCK",
    "SPARE",
    "SPLIT_FROM",
    "STREAM_ROWS",
    "WORD",
]

CHUNKS = 8
"""Parts of a loop; also the most threads that work on one state."""
SPLIT_FROM = 512
"""States with so many rows are cut into chunks."""
FEWEST_TURNS = 256
"""Shorter loops are not."""
STREAM_ROWS = 256
"""Rows that are read or written together with a transform of theirs in the fastest cache; a power of 4."""
OVER = -1
"""The word that says that a call is over; see `superpose.engine.kernels.sharing`."""

SPARE = slots.SIZE * MAX_OPS
"""Place in the argument block: arguments of a loop beside those of a block's operations."""
WORD = SPARE + slots.SIZE
"""The word that says what may be taken; what is to be done, and the chunks' own arguments follow."""
CHUNK_ARGUMENTS = WORD + 32
SIZE_BLOCK = CHUNK_ARGUMENTS + CHUNKS * slots.SIZE * MAX_OPS
"""Numbers in the argument block."""
