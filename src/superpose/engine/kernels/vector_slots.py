"""Places in the argument block of a vector loop, and the numbers of the loops."""

from __future__ import annotations

BASE = 0  # address of the state
COEFS = 1  # address of the coefficients
COUNT = 2  # turns of the loop
LOWS = 3  # four masks of the vectors below each bit that lies outside the lanes, ascending
STRIDES = 7  # four distances in bytes of these bits
OTHER = 11  # address of the adjoint state
SUMS = 12  # where sums go
OPERATE = 13  # address of the compiled loops, for the kernels that call them
SIZE = 14

# Which lanes the lowest bits of an operator's index lie in: the last qubits of a state stand within a vector.
REAL_LANES_1 = ((), (2,), (0, 1))
REAL_LANES_2 = ((), (2,), (0, 1), (0, 1, 2))
COMPLEX_LANES_1 = ((), (0,), (1,), (2,))
COMPLEX_LANES_2 = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))

# Numbers of the loops: each starts a run, one per row of the tables above.
APPLY_REAL = {2: 0, 4: 3}  # bits of the operator's index -> first number
OUTER_REAL = {2: 7, 4: 10}
APPLY_COMPLEX_1, APPLY_COMPLEX_2 = 14, 18
POPULATIONS = 25
N_LOOPS = 29

N_LANES = 8
LANE_BITS = 3
