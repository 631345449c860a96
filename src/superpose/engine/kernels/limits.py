"""How large states are cut for several threads; see `superpose.engine.kernels.sharing`. Imports nothing heavy."""

from __future__ import annotations

from superpose.engine.kernels import slots
from superpose.engine.kernels.layout import MAX_OPS

CHUNKS = 8
"""Parts of a loop; also the most threads that work on one state."""
SPLIT_FROM = 512
"""States with so many rows are cut into chunks."""
FEWEST_TURNS = 256
"""Shorter loops are not."""
STREAM_ROWS = 256
"""Rows that are read or written together with a transform of theirs in the fastest cache; a power of 4."""
KEEP_TILES = 3
"""From so many single samples on, tables are worth keeping for all of them."""
TABLE_ROWS = 64
"""Rows that are turned together by phases that are made for them and forgotten; a power of 2."""
LANES_AT_ONCE = 16
"""Rotations whose sines are taken together where each sample has its own angles."""
OVER = -1
"""The word that says that a call is over; see `superpose.engine.kernels.sharing`."""

SPARE = slots.SIZE * MAX_OPS
"""Place in the argument block: arguments of a loop beside those of a block's operations."""
WORD = SPARE + (slots.SIZE + 7) // 8 * 8  # on a cache line of its own
"""The word that says what may be taken; what is to be done, and the chunks' own arguments follow."""
DONE = WORD + 8  # chunks that helpers have done; a cache line of its own
D_KIND, D_NUMBER, D_AT, D_OPS, D_REVERSE, D_COSETS, D_INSIDE, D_SUMS = range(WORD + 16, WORD + 24)
"""What is to be done: which kind of loop; for rows, the operation and where its arguments stand; for cosets, how many
operations, whether backwards, how many cosets and which bits number the amplitudes of one. SUMS is the number of bytes
from one chunk's sums to the next one's, 0 without sums."""
D_TEAM, D_SPLIT, D_KEEP, D_FILLED = WORD + 24, WORD + 25, WORD + 26, WORD + 27
"""Whether there may be helpers, whether loops are cut into chunks, and whether tables are kept; of the tables that are
not, the step whose phases were made last for the tile, 0 for none."""

ROWS, COSETS, EXPECT_STREAM, WEIGH_STREAM, TABLE_STREAM, TABLE_BACK_STREAM = range(6)
"""Kinds; see `superpose.engine.kernels.chunks`."""

CHUNK_ARGUMENTS = WORD + 32
SIZE_BLOCK = CHUNK_ARGUMENTS + CHUNKS * slots.SIZE * MAX_OPS
"""Numbers in the argument block."""
