"""Places in the int64 arrays that a crew works with, see `superpose.engine.kernels.crew`. Imports nothing."""

from __future__ import annotations

MOST_MATES = 255

KIND = 0  # of both: JOB or BOX
JOB, BOX = range(2)

ENTRY, DOUBLE = 1, 2  # address of the interpreter, and whether it takes a float64
N_TILES, STEP = 3, 4  # 0 tiles: everybody runs the interpreter once; STEP tiles are taken at a time
BEFORE, MODE, AFTER = 5, 6, 7  # modes of what the leader runs first, of what all run, of what it runs last; or 0
N_MATES = 8
LONG = 9  # 1 if sleeping mates have been woken for this job, so that they may be held too
STAY = 10  # so many times SPINS more looks has a mate that took part, for the next job comes when the leader is done
NEXT = 16  # the first tile that nobody has taken; a cache line of its own
LEFT = 24  # how many mates have done their part; likewise
STATUSES = 32  # of the mates
BOXES = STATUSES + MOST_MATES  # addresses of the words of the mates' boxes
ARGUMENTS = BOXES + MOST_MATES  # the interpreter's arguments, by their id: the leader's, then the mates'
JOB_SIZE = ARGUMENTS + MOST_MATES + 1

SPINS = 1  # of a box: how often the mate looks before it goes to sleep
STOP = 2  # 1 when the process ends
DONE = 3  # how many jobs it has done
WORD = 8  # READY, ASLEEP, RUNNING, HELD or the id of a job on offer; a cache line of its own
READY, ASLEEP, RUNNING, HELD = range(4)
LATE = 9  # so many times SPINS more looks has a mate that was woken, for who woke it may not have its job ready yet
BOX_SIZE = 16
