"""Several threads in one state: the loops of a large state are cut into chunks that any thread of the call may take.

One thread, the leader, runs the tape. Before a long loop it publishes what is to be done, then takes chunks itself
until none is left, and waits for those that helpers took. Helpers only look for chunks (`help_out`) until the leader
says that the call is over. So nothing waits for a helper that has not come to run, and a call without helpers does the
same chunks one after the other: sums are kept per chunk and added in their order, whatever the number of threads.

The word says what may be taken: -1 when all is over, else ``phase << 16 | end << 8 | begin`` for the chunks from
``begin`` to ``end - 1``. The leader takes the first one, helpers the last one, so that each finds most of its rows in
its own cache the next time, by replacing the word; what is to be done is read behind that, and cannot change before the
chunk is reported as done.
"""

from __future__ import annotations

from typing import Any

from superpose.engine.kernels import numbers
from superpose.engine.kernels import slots as s
from superpose.engine.kernels.atomics import add_to, pause, publish, replace, seen, step_aside
from superpose.engine.kernels.layout import MAX_OPS, MOST
from superpose.engine.kernels.limits import CHUNK_ARGUMENTS, CHUNKS, FEWEST_TURNS, OVER, SPARE, STREAM_ROWS, WORD
from superpose.engine.kernels.simd import LINE, address, call, kernel

__all__ = [
    "COSETS",
    "D_COSETS",
    "D_INSIDE",
    "D_KIND",
    "D_OPS",
    "D_REVERSE",
    "D_SPLIT",
    "D_SUMS",
    "D_TEAM",
    "EXPECT_STREAM",
    "WEIGH_STREAM",
    "add_up",
    "clear",
    "finish_team",
    "help_out",
    "share",
    "share_rows",
    "share_sums",
]

DONE = WORD + 8  # chunks that helpers have done; a cache line of its own
D_KIND, D_NUMBER, D_AT, D_OPS, D_REVERSE, D_COSETS, D_INSIDE, D_SUMS = range(WORD + 16, WORD + 24)
"""What is to be done: which kind of loop; for rows, the operation and where its arguments stand; for cosets, how many
operations, whether backwards, how many cosets and which bits number the amplitudes of one. SUMS is the number of bytes
from one chunk's sums to the next one's, 0 without sums."""
D_TEAM, D_SPLIT = WORD + 24, WORD + 25
"""Whether there may be helpers, and whether loops are cut into chunks."""

ROWS, COSETS, EXPECT_STREAM, WEIGH_STREAM = range(4)

_SPINS = 2000
"""Looks at the word before a thread lets others use the processor, each time."""


@kernel
def _outside(number: int, inside: int) -> int:
    """Return the offset of coset ``number``: its bits, spread over those of an offset that are not ``inside``."""
    out, bit = 0, 128
    while number:
        if not inside & bit:
            out |= bit * (number & 1)
            number >>= 1
        bit <<= 1
    return out


@kernel
def _run_cosets(zero: Any, chunk: int, own: int, block: Any) -> None:
    """Run a block's operations on the chunk's cosets."""
    n_ops, n, inside, sums = block[D_OPS], block[D_COSETS], block[D_INSIDE], block[D_SUMS]
    first, last = n * chunk // CHUNKS, n * (chunk + 1) // CHUNKS
    operate = block[s.OPERATE]
    if sums:
        block[own + s.FIRST], block[own + s.COUNT] = 0, MOST * n_ops
        block[own + s.DST] = block[s.ACC] + chunk * sums
        call(zero, operate, numbers.CLEAR, address(block) + 8 * own)
    if first == last:
        return
    for k in range(n_ops * s.SIZE):
        block[own + k] = block[k]
    for k in range(n_ops):
        block[own + k * s.SIZE + s.ACC] += chunk * sums
    base = _outside(first, inside)
    reverse = n_ops - 1 if block[D_REVERSE] else 0
    for _ in range(first, last):
        for turn in range(n_ops):
            at = own + (reverse - turn if reverse else turn) * s.SIZE
            block[at + s.BASE] = base
            call(zero, operate, block[at + s.NUMBER], address(block) + 8 * at)
        base = ((base | inside) + 128) & ~inside


@kernel
def _transform_rows(zero: Any, at: int, operate: int, block: Any) -> None:
    """Walsh-Hadamard transform of the STREAM_ROWS vectors at SRC of the arguments at ``at``."""
    block[at + s.CROSS], block[at + s.COUNT] = 6, STREAM_ROWS // 4
    bit = 1
    while bit < STREAM_ROWS:
        block[at + s.X], block[at + s.LOW] = bit << 6, (bit << 6) - 1
        call(zero, operate, numbers.BUTTERFLY_PAIRS, address(block) + 8 * at)
        bit *= 4


@kernel
def _stream(zero: Any, chunk: int, own: int, block: Any) -> None:
    """Diagonal Pauli strings, the chunk's rows in passes of STREAM_ROWS.

    Arguments: PSI, COUNT rows; strings' masks at ELEMENTS, X of them; SRC a chunk's rows of numbers, one chunk's behind
    the other's. To expect: sums at DST, SUMS from one chunk's to the next one's. To weigh: weights at DST, result LAM.
    """
    n, operate, weighs = block[s.COUNT] // STREAM_ROWS, block[s.OPERATE], block[D_KIND] == WEIGH_STREAM
    n_strings, sums = block[s.X], block[s.DST]
    rows, string, butterfly = own, own + s.SIZE, own + 2 * s.SIZE
    for k in range(s.SIZE):
        block[rows + k] = block[string + k] = block[butterfly + k] = block[k]
    scratch = block[s.SRC] + chunk * STREAM_ROWS * LINE
    block[rows + s.SRC] = block[string + s.SRC] = block[butterfly + s.SRC] = scratch
    block[string + s.X] = STREAM_ROWS * 128 - 1
    block[rows + s.DST] = scratch
    if not weighs:
        sums += chunk * block[D_SUMS]
        block[butterfly + s.DST], block[butterfly + s.COUNT] = sums, n_strings
        call(zero, operate, numbers.CLEAR, address(block) + 8 * butterfly)
    block[string + s.DST], block[string + s.COUNT] = sums, n_strings
    for part in range(n * chunk // CHUNKS, n * (chunk + 1) // CHUNKS):
        offset = part * STREAM_ROWS * 128
        block[string + s.BASE] = offset
        block[rows + s.COUNT] = STREAM_ROWS
        block[rows + s.PSI] = block[s.PSI] + offset
        if weighs:
            call(zero, operate, numbers.CLEAR, address(block) + 8 * rows)
            call(zero, operate, numbers.SPREAD_STRINGS, address(block) + 8 * string)
        else:
            call(zero, operate, numbers.PROBABILITY_ROWS, address(block) + 8 * rows)
        _transform_rows(zero, butterfly, operate, block)
        if weighs:
            block[rows + s.LAM] = block[s.LAM] + offset
            call(zero, operate, numbers.SCALE_ROWS, address(block) + 8 * rows)
        else:
            call(zero, operate, numbers.ADD_STRINGS, address(block) + 8 * string)


@kernel
def _run_chunk(zero: Any, chunk: int, block: Any) -> None:
    """Do one chunk of what is to be done."""
    own, kind = CHUNK_ARGUMENTS + chunk * s.SIZE * MAX_OPS, block[D_KIND]
    if kind == COSETS:
        _run_cosets(zero, chunk, own, block)
    elif kind == ROWS:
        at = block[D_AT]
        count = block[at + s.COUNT]
        for k in range(s.SIZE):
            block[own + k] = block[at + k]
        block[own + s.FIRST], block[own + s.COUNT] = count * chunk // CHUNKS, count * (chunk + 1) // CHUNKS
        block[own + s.ACC] += chunk * block[D_SUMS]
        call(zero, block[s.OPERATE], block[D_NUMBER], address(block) + 8 * own)
    else:
        _stream(zero, chunk, own, block)


@kernel
def share(zero: Any, block: Any) -> None:
    """Do all chunks of what is to be done, with whoever helps."""
    if not block[D_TEAM]:
        for chunk in range(CHUNKS):
            _run_chunk(zero, chunk, block)
        return
    word, done = address(block) + 8 * WORD, address(block) + 8 * DONE
    publish(done, 0)
    publish(word, ((seen(word) >> 16) + 1) << 16 | CHUNKS << 8)
    mine, spins = 0, 0
    while True:
        found = seen(word)
        if found & 255 == found >> 8 & 255:
            break
        if replace(word, found, found + 1):
            _run_chunk(zero, found & 255, block)
            mine += 1
    while seen(done) + mine < CHUNKS:
        spins += 1
        if spins < _SPINS:
            pause()
        else:
            step_aside()


@kernel
def help_out(zero: Any, block: Any) -> None:
    """Take chunks of the leader whose block this is, until the call is over."""
    word, done, spins = address(block) + 8 * WORD, address(block) + 8 * DONE, 0
    while True:
        found = seen(word)
        if found == OVER:
            return
        end = found >> 8 & 255
        if found & 255 < end:
            if replace(word, found, found - 256):
                _run_chunk(zero, end - 1, block)
                add_to(done, 1)
                spins = 0
            continue
        spins += 1
        if spins < _SPINS:
            pause()
        else:
            step_aside()


@kernel
def finish_team(block: Any) -> None:
    """Tell the helpers that all is over."""
    publish(address(block) + 8 * WORD, OVER)


@kernel
def share_rows(zero: Any, number: int, at: int, block: Any) -> None:
    """Run an operation with the arguments at ``at``, whose COUNT turns are cut into chunks if they are many."""
    if not block[D_SPLIT] or block[at + s.COUNT] < FEWEST_TURNS:
        call(zero, block[s.OPERATE], number, address(block) + 8 * at)
        return
    block[D_KIND], block[D_NUMBER], block[D_AT], block[D_SUMS] = ROWS, number, at, 0
    share(zero, block)


@kernel
def add_up(zero: Any, acc: int, sums: int, n: int, block: Any) -> None:
    """Add the ``n`` vectors at ``acc + chunk * sums`` of all other chunks to those of the first, in their order."""
    block[SPARE + s.DST], block[SPARE + s.COUNT] = acc, n
    for chunk in range(1, CHUNKS):
        block[SPARE + s.SRC] = acc + chunk * sums
        call(zero, block[s.OPERATE], numbers.ADD_VECTORS, address(block) + 8 * SPARE)


@kernel
def share_sums(zero: Any, number: int, block: Any) -> None:
    """The same with the arguments at the block's beginning for an operation that writes one vector of sums to ACC."""
    if not block[D_SPLIT] or block[s.COUNT] < FEWEST_TURNS:
        call(zero, block[s.OPERATE], number, address(block))
        return
    block[D_KIND], block[D_NUMBER], block[D_AT], block[D_SUMS] = ROWS, number, 0, LINE
    share(zero, block)
    add_up(zero, block[s.ACC], LINE, 1, block)


@kernel
def clear(zero: Any, to: int, n: int, block: Any) -> None:
    """Set ``n`` vectors at the address ``to`` to zero."""
    block[SPARE + s.DST], block[SPARE + s.COUNT] = to, n
    share_rows(zero, numbers.CLEAR, SPARE, block)
