"""Places in the argument block of a vector loop. Offsets and masks are in bytes (128 per amplitude)."""

from __future__ import annotations

PSI = 0  # state
LAM = 1  # adjoint state
COUNT = 2  # turns of the loop
ELEMENTS = 3  # offsets of a coset's amplitudes, int64; a basis of them for bundles
BASE = 4  # offset of the coset
LOW = 5  # bits below the lower pivot
LOW2 = 6  # bits below the higher pivot
X = 7  # partner of an amplitude: offset ^ X
Z = 8  # sign of an amplitude: parity of offset & Z
X2 = 9  # those of a second rotation
Z2 = 10
X3 = 11  # and of a third
Z3 = 12
CROSS = 13  # 64 if the second rotation's partner changes the first one's sign
CROSS2 = 14  # 64 if the first rotation's partner changes the second one's sign
COEF = 15  # sine (or tangent), minus that, cosine; those of the second and third rotation follow
SIGMA = 16  # the vectors +1 and -1
ACC = 17  # where sums go, one vector per rotation
SRC = 18
DST = 19
DST2 = 20
OPERATE = 21  # address of the operations, in the first block only
BATCH = 22  # number of samples, in the first block only
FIRST = 23  # the first turn of the loop, 0 unless it is cut into chunks
NUMBER = 24  # which operation this is, in blocks
SIZE = 25
