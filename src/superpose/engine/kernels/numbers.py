"""Numbers of the vector operations; `superpose.engine.kernels.operations` says what each is."""

from __future__ import annotations

ROTATE = 0  # plus a kind of `superpose.engine.kernels.layout`
ADJOINT = 12  # likewise
START = 24  # plus REAL or IMAGINARY
GRADIENT = 26  # plus one of the first four kinds
SPREAD_COEFFICIENTS = 30
TAKE_COEFFICIENTS = 31
ROTATE_TABLE = 32  # plus 1 in the wide layout
ADJOINT_TABLE = 34  # likewise
SWAP = 36  # plus the lane bit
FLIP = 40  # likewise
PROBABILITIES = 44
SCALE_ADJOINT = 45
EXPECT = 46  # plus REAL or IMAGINARY
WEIGH = 48  # likewise
EXPECT_DIAGONAL = 50
WEIGH_DIAGONAL = 51
SINES = 52
BUTTERFLIES = 53
BUTTERFLY_PAIRS = 54
WITHIN_VECTORS = 55
CLEAR = 60
ADD_VECTORS = 61
PROBABILITY_ROWS = 62
SCALE_ROWS = 63
ADD_STRINGS = 64
SPREAD_STRINGS = 65
SPREAD_ANGLES = 66
ADD_TERMS = 67
FLOAT64 = 4  # added to the four before CLEAR: the same in float64, whatever the tile's precision
