"""Places in the argument block of the vector operations. All offsets and masks are in bytes (128 per amplitude)."""

from __future__ import annotations

PSI = 0  # state
LAM = 1  # adjoint state
COUNT = 2  # turns of the loop
LOW = 3  # bits below the lower pivot
LOW2 = 4  # bits below the higher pivot
X = 5  # partner of an amplitude: offset ^ X
Z = 6  # sign of an amplitude: parity of offset & Z
X2 = 7
Z2 = 8
CROSS = 9  # 64 if the second rotation's partner changes the first one's sign
CROSS2 = 10  # 64 if the first rotation's partner changes the second one's sign
COEF = 11  # cosine, sine, minus sine; for a pair those of the second follow
SIGMA = 12  # the vectors +1 and -1
ACC = 13  # where sums go
SRC = 14
DST = 15
DST2 = 16
SIZE = 17
