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
from superpose.engine.kernels.chunks import run_chunk
from superpose.engine.kernels.limits import (
    CHUNKS,
    D_AT,
    D_KIND,
    D_NUMBER,
    D_SPLIT,
    D_SUMS,
    D_TEAM,
    DONE,
    FEWEST_TURNS,
    OVER,
    ROWS,
    SPARE,
    WORD,
)
from superpose.engine.kernels.simd import LINE, address, call, kernel

__all__ = ["add_up", "clear", "finish_team", "help_out", "share", "share_rows", "share_sums"]

_SPINS = 2000
"""Looks at the word before a thread lets others use the processor, each time."""


@kernel
def share(zero: Any, block: Any) -> None:
    """Do all chunks of what is to be done, with whoever helps."""
    if not block[D_TEAM]:
        for chunk in range(CHUNKS):
            run_chunk(zero, chunk, block)
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
            run_chunk(zero, found & 255, block)
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
                run_chunk(zero, end - 1, block)
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
