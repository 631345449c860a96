"""Places in the argument block of a vector loop. Offsets and masks are in bytes (128 per amplitude)."""

from __future__ import annotations

PSI = 0  # state
LAM = 1  # adjoint state
COUNT = 2  # turns of the loop
ELEMENTS = 3  # offsets of a coset's amplitudes, int64
BASE = 4  # offset of the coset
LOW = 5  # bits below the lower pivot
LOW2 = 6  # bits below the higher pivot
X = 7  # partner of an amplitude: offset ^ X
Z = 8  # sign of an amplitude: parity of offset & Z
X2 = 9
Z2 = 10
CROSS = 11  # 64 if the second rotation's partner changes the first one's sign
CROSS2 = 12  # 64 if the first rotation's partner changes the second one's sign
COEF = 13  # sine (or tangent), minus that, cosine; for a pair those of the second follow
SIGMA = 14  # the vectors +1 and -1
ACC = 15  # where sums go
SRC = 16
DST = 17
DST2 = 18
SIGNS = 19  # vector of signs of the lanes
OPERATE = 20  # address of the operations, in the first block only
BATCH = 21  # number of samples, in the first block only
FIRST = 22  # the first turn of the loop, 0 unless it is cut into chunks
NUMBER = 23  # which operation this is, in blocks
SIZE = 24
