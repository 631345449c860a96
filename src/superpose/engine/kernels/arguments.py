"""Places in the int64 array of arguments of the compiled interpreter: numbers, the address of the operations, arrays.

The order is that in which `superpose.engine.runner` writes them. An array is told by the address of its Python object,
which is its ``id``.
"""

from __future__ import annotations

(
    MODE, FIRST, LAST, BATCH, N_TILES, N_INITIAL, OPERATE, INTS, FLOATS, INPUTS, WEIGHTS, INITIAL, GRAD, ANGLES, TURNS,
    TABLES, FRAME, SAVED, OUT, GRAD_INPUTS, GRAD_WEIGHTS, SUMS, WORK, WIDE, BLOCK, ARGUMENTS, SIZE,
) = range(27)  # fmt: skip
