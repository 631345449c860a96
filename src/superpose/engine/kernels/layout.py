"""What stands where in the tape: two flat arrays, of integers and of numbers.

Integers: a header (the names below are places in it), then sections whose starts the header holds. Masks are in bytes,
128 per amplitude. A rotation ``r`` has the angle ``const[r] + sum(weight terms) + sum(input terms)``; one whose angle
depends on inputs is "of lanes": each sample has its own.
"""

from __future__ import annotations

# fmt: off
(
    ROWS, ROWS_PADDED, LANES, N_OPS, N_OPS_EXPECT, N_START, FIRST_GRADIENT, N_ROTATIONS, PADDED, N_OF_LANES, N_WEIGHTS,
    N_INPUTS, N_OBSERVABLES, N_STRINGS, N_DIAGONAL, N_TABLES, N_KEPT, TRANSFORM,
    OPS, WEIGHT_START, WEIGHT_INDEX, INPUT_START, INPUT_INDEX, LANE_OF, OF_LANES, MASK, STRINGS, STRING_START,
    STRING_OBSERVABLE,
    CONST, WEIGHT_FACTOR, INPUT_FACTOR, STRING_FACTOR,
    AT_PSI, AT_LAM, AT_COEF, AT_SIGMA, AT_ACC, AT_LANE, AT_VALUES, AT_STRINGS, AT_SUMS, AT_TABLE, SIZE, SIZE_WIDE,
    HEADER,
) = range(46)
"""Places in the header: counts; starts of sections of the integers, then of the numbers; places in the workspace."""

OP_KIND, OP_X, OP_Z, OP_R, OP_LOW, OP_X2, OP_Z2, OP_R2, OP_LOW2, OP_GRADIENT, OP_WIDTH = range(11)
REAL, IMAGINARY, PAIR_REAL, PAIR_IMAGINARY, DIAGONAL, TABLE = range(6)
"""Kinds of operations. A table has its number in OP_X and its rotations in OP_R <= r < OP_R2."""
# fmt: on
