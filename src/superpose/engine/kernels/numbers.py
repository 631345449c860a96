"""Numbers of the vector operations; `superpose.engine.kernels.operations` says what each is."""

from __future__ import annotations

ROTATE = 0  # plus a kind of `superpose.engine.kernels.layout`
ADJOINT = 20  # likewise
START = 40  # plus REAL or IMAGINARY
GRADIENT = 42  # plus one of the first four kinds
ROTATE_TABLE = 48  # plus 1 in the wide layout
ADJOINT_TABLE = 50  # likewise
SWAP = 52  # plus the lane bit
FLIP = 56  # likewise
PROBABILITIES = 60
SCALE_ADJOINT = 61
EXPECT = 62  # plus REAL or IMAGINARY
WEIGH = 64  # likewise
EXPECT_DIAGONAL = 66
WEIGH_DIAGONAL = 67
SINES = 68
BUTTERFLIES = 69
BUTTERFLY_PAIRS = 70
WITHIN_VECTORS = 71
CLEAR = 76
ADD_VECTORS = 77
PROBABILITY_ROWS = 78
SCALE_ROWS = 79
ADD_STRINGS = 80
SPREAD_STRINGS = 81
SPREAD_ANGLES = 82
ADD_TERMS = 83
TURN_BACK = 77  # plus one of the kinds of scaled bundles
FLOAT64 = 4  # added to the four before CLEAR: the same in float64, whatever the tile's precision
