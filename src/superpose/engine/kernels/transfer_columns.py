"""Columns of a block's row of integers, and the kinds of its factors.

A block is a real matrix on one or two qubits' digits, or a constant one on more. A factor is what a block's matrix is
a product of: a constant or a rotation by an angle; its row is (kind, constant's offset or angle, place or first pair,
number of pairs).
"""

from __future__ import annotations

LOOP = 0  # number of the vector loop; -1 for a block of three or more qubits
COUNT = 1
LOWS = 2  # four
STRIDES = 6  # four
OUTER = 10  # number of the loop that sums products
DIMENSION = 12
TABLE = 13  # row of the table that says which entry of the matrix a lane needs
N_OUT = 14  # bits outside the lanes
FORWARD = 15  # offset of the coefficients
BACKWARD = 16  # offset of those of the transposed matrix
FIRST = 17  # factors
LAST = 18
OWN = 19  # whether the matrix differs between samples
ENVIRONMENT = 20  # offset of the gradient by the matrix, or -1
HISTORY = 21  # number of the tile that is kept for the gradient
OFFSETS = 22  # three or more qubits: where their element offsets start
N_BITS = 23  # three or more qubits: digits' bits
WIDTH = 24

WHOLE, ONE, ROTATION = 0, 1, 2  # kinds: on all qubits of the block, on one of two, by an angle

# What a call does.
PREPARE_SHARED, PREPARE_OWN, FORWARD_TILES, BACKWARD_TILES, ANGLES = range(5)

# Places in the array of arguments: numbers, then three places for each array: its object's address and two lengths.
ARG_MODE, ARG_FIRST, ARG_LAST, ARG_OWN_SIZE, ARG_SAMPLE_SIZE, ARG_CHUNK, ARG_SIZE, ARG_OPERATE = range(8)
(
    BLOCKS, FACTORS, CONSTANTS, PAIRS, OFFSET_TABLE, COS, SIN, SHARED, OWN_TABLE, LANE_ROWS, LANE_COLUMNS, STATES,
    ADJOINTS, PLACES, STARTS, CHUNKS, TILES, SUMS, LOOP_ARGUMENTS, SCRATCH, ENVIRONMENTS, BY_ANGLE,
) = range(8, 8 + 3 * 22, 3)  # fmt: skip
N_ARGUMENTS = 8 + 3 * 22
