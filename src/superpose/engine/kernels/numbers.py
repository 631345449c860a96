"""Numbers of the vector operations; `superpose.engine.kernels.operations` says what each is."""

from __future__ import annotations

ROTATE = 0  # plus a kind of `superpose.engine.kernels.layout`
ADJOINT = 7  # likewise
START = 14  # plus REAL or IMAGINARY
GRADIENT = 16  # likewise
SPREAD_COEFFICIENTS = 18
TAKE_COEFFICIENTS = 19
ROTATE_TABLE = 20  # plus 1 in the wide layout
ADJOINT_TABLE = 22  # likewise
SWAP = 24  # plus the lane bit
FLIP = 28  # likewise
PROBABILITIES = 32
SCALE_ADJOINT = 33
EXPECT = 34  # plus REAL or IMAGINARY
WEIGH = 36  # likewise
EXPECT_DIAGONAL = 38
WEIGH_DIAGONAL = 39
SINES = 40
BUTTERFLIES = 41
BUTTERFLY_PAIRS = 42
WITHIN_VECTORS = 43
CLEAR = 48
ADD_VECTORS = 49
PROBABILITY_ROWS = 50
SCALE_ROWS = 51
ADD_STRINGS = 52
SPREAD_STRINGS = 53
FLOAT64 = 4  # added to the four before CLEAR: the same in float64, whatever the tile's precision
