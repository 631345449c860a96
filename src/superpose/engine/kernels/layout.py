"""What stands where in the tape: two flat arrays, of integers and of numbers.

Integers: a header (the names below are places in it), then sections whose starts the header holds. A *step* is a
block of rotations or a table of phases. A *block* is a run of operations, each a rotation or a pair of rotations,
that all map the same cosets of ``2**bits`` amplitudes to themselves, so that it is run on one coset after the other,
in the fastest cache.

A rotation ``r`` has the angle ``const[r] + sum(weight terms) + sum(input terms)``; one whose angle depends on inputs is
"of lanes": each sample has its own. In the wide layout it may stand in a table that each sample has for itself
instead. A tile has SAMPLES samples: one per lane, or a single one whose amplitudes fill the lanes (the wide layout,
LANE_BITS > 0). Masks of operations and steps are in bytes, 128 per row.
"""

from __future__ import annotations

# fmt: off
(
    ROWS, ROWS_PADDED, LANES, LANE_BITS, SAMPLES, TABLE_SIZE, N_STEPS, N_STEPS_EXPECT, N_STEPS_MEASURED,
    N_START, FIRST_GRADIENT, N_ROTATIONS, N_ROTATIONS_EXPECT, PADDED, N_OF_LANES, N_WEIGHTS, N_INPUTS, N_OBSERVABLES,
    N_STRINGS, N_DIAGONAL, N_TABLES, N_SHARED, N_KEPT, TABLES_STREAM, TRANSFORM, STEPS, OPS, WEIGHT_START, WEIGHT_INDEX,
    INPUT_START, INPUT_INDEX, LANE_OF, OF_LANES,
    X_OF, Z_OF, PLACED_Z, BOOK, STRINGS, STRING_START, STRING_OBSERVABLE, ELEMENTS, CONST, WEIGHT_FACTOR,
    INPUT_FACTOR, STRING_FACTOR, AT_PSI, AT_LAM, AT_COEF, AT_SIGMA, AT_SIGNS, AT_ACC, AT_LANE, AT_VALUES, AT_STRINGS,
    AT_SUMS, AT_TABLE, AT_STREAM, AT_STREAM_SUMS, AT_OWN, AT_COLUMNS, AT_GRADS, SIZE, SIZE_WIDE, SIZE_ANGLES, HEADER,
) = range(65)
"""Places in the header: counts; starts of sections of the integers, then of the numbers; places in the workspace."""

STEP_KIND, STEP_FIRST, STEP_LAST, STEP_BITS, STEP_ELEMENTS, STEP_INSIDE, STEP_WIDTH = range(7)
"""A block has operations FIRST .. LAST - 1; its list of 2**BITS offsets starts at ELEMENTS of the section of that name;
INSIDE has the bits that number the amplitudes of a coset. A table has rotations FIRST .. LAST - 1, its number in
BITS, and in ELEMENTS its number among those that all samples share, or OWN where each sample has one. An exchange
between strings that are measured (see `superpose.engine.layouts`) has its lane bit in FIRST, whether it flips in LAST,
the rows whose parity counts in ELEMENTS, the partner in INSIDE, and in BITS the mask that leaves the partner's bit
out."""
BLOCK, TABLE, EXCHANGE = range(3)
OWN = -1

MOST = 3
"""Rotations of one operation, at most."""
OP_KIND, OP_COUNT, OP_BASIS, OP_LOW, OP_LOW2, OP_FIXED, OP_FIRST = range(7)
OP_X, OP_Z, OP_SIGN, OP_R, OP_EACH = range(5)
OP_WIDTH = OP_FIRST + MOST * OP_EACH
"""An operation is COUNT rotations, or an exchange; each has OP_EACH entries from OP_FIRST on: X and Z are those of the
rows, SIGN is that of Z among the lanes, R is its number. BASIS is where a bundle's offsets start among ELEMENTS;
others have -1, and in LOW masks for `simd.Simd.opener`, in bytes of the block's list of offsets. FIXED says that it is
a scaled bundle without parameters, whose gradients nobody asks for."""
STRING_X, STRING_Z, STRING_SIGN, STRING_LOW, STRING_KIND, STRING_OWN_X, STRING_OWN_Z = range(7)
STRING_STEP, STRING_WIDTH = 7, 8
"""Of a Pauli string: as for operations; OWN are its masks among indices, not places. It is measured when STEP steps are
done: N_STEPS_EXPECT, or after some of the exchanges up to N_STEPS_MEASURED."""

(
    REAL, IMAGINARY, REAL_2, REAL_3, SCALED_IMAGINARY, PAIR_IMAGINARY, DIAGONAL,
    SCALED_REAL, SCALED_REAL_2, SCALED_REAL_3, DIAGONAL_2, DIAGONAL_3,
) = range(12)
SWAP_LANE, FLIP_LANE, KINDS = 12, 16, 20
"""Kinds of operations; see `superpose.engine.kernels.rotations` and, for all but the imaginary ones and DIAGONAL,
`superpose.engine.kernels.bundles`. PAIR_IMAGINARY is scaled. SWAP_LANE and FLIP_LANE, plus a lane bit, are exchanges of
amplitudes, with COUNT 0 and their rows in X and Z (see `superpose.engine.layouts`)."""

PLAIN, SCALED, JOINED, RESET, FIRST_TABLE = range(5)
"""What `superpose.engine.kernels.angles` notes of a rotation: not scaled; scaled; scaled, and its gradient is taken
together with that of the next one, before either is turned back; not scaled, and the growth of the
states so far is undone; from FIRST_TABLE on, the first of a table, which undoes it too: FIRST_TABLE plus the table's
number."""

MAX_OPS = 24
"""Operations in one block, at most."""

FRAME_SIZE = 6
"""Two Pauli strings (x, z, quarter turns) behind the rotations: at the end of the tape, and where expectations end."""
# fmt: on
