"""Several threads in one call, without Python: one leads, others that wait in compiled code join it.

A mate is a thread that looks at the word in its box for a while (`serve`) and goes back to Python, to sleep, if nothing
comes. The word says READY, ASLEEP, RUNNING, HELD, or is the id of a job that the mate may take. A leader holds mates
that are READY, so that they do not fall asleep while it prepares its job, offers it to them, works itself, and takes
back what no mate has taken: so it never waits for a thread that has not come to run, and a mate never looks at a job
that is over.

In a job with tiles, whoever takes part runs ranges of them that nobody has taken; in one without, everybody runs the
interpreter once, which knows how to share a state (`superpose.engine.kernels.sharing`).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from superpose.engine.kernels import arguments as a
from superpose.engine.kernels import duties as d
from superpose.engine.kernels.atomics import add_to, pause, publish, replace, seen, step_aside
from superpose.engine.kernels.simd import address, data, kernel

__all__ = ["crew"]

_I64 = ir.IntType(64)
_SPINS = 2000
"""Looks at a word before a waiting leader lets others use the processor, each time."""


def _enter(typingctx: Any, entry: Any, array: Any, double: Any) -> Any:
    """Call the interpreter at the address ``entry``, whose first argument is a float64 or a float32."""
    signature = types.int64(types.int64, types.int64, types.int64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        i64, result = _I64, cgutils.alloca_once(builder, _I64)
        is_double = builder.icmp_signed("!=", args[2], ir.Constant(i64, 0))
        with builder.if_else(is_double) as branches:
            for branch, real in zip(branches, (ir.DoubleType(), ir.FloatType()), strict=True):
                with branch:
                    function = builder.inttoptr(args[0], ir.FunctionType(i64, [real, i64]).as_pointer())
                    builder.store(builder.call(function, [ir.Constant(real, 0.0), args[1]]), result)
        return builder.load(result)

    return signature, codegen


enter = intrinsic(_enter)


@kernel
def _run(job: Any, part: int) -> int:
    """Work on a job as participant ``part``, the leader being 0, until nothing is left to take; return a status."""
    own, n, status = job[d.ARGUMENTS + part], job[d.N_TILES], 0
    if n == 0:
        return enter(job[d.ENTRY], own, job[d.DOUBLE])  # type: ignore[no-any-return]  # an intrinsic
    numbers, word = data(0, own), address(job) + 8 * d.NEXT
    while True:
        first = seen(word)
        if first >= n:
            return status
        last = min(first + job[d.STEP], n)
        if replace(word, first, last):
            numbers[a.FIRST], numbers[a.LAST] = first, last
            status |= enter(job[d.ENTRY], own, job[d.DOUBLE])


@kernel
def _alone(job: Any, mode: int) -> int:
    """Run a part of the call that is not for all tiles."""
    own = job[d.ARGUMENTS]
    numbers = data(0, own)
    numbers[a.MODE], numbers[a.FIRST], numbers[a.LAST] = mode, 0, 0
    return enter(job[d.ENTRY], own, job[d.DOUBLE])  # type: ignore[no-any-return]  # an intrinsic


@kernel
def _hold(job: Any) -> None:
    """Hold the mates that can be had for a job, and forget the others."""
    for k in range(job[d.N_MATES]):
        box = job[d.BOXES + k]
        if not replace(box, d.READY, d.HELD) and not (job[d.LONG] and replace(box, d.ASLEEP, d.HELD)):
            job[d.BOXES + k] = 0


@kernel
def _tell(job: Any, word: int) -> None:
    """Write a word for the mates that are held."""
    for k in range(job[d.N_MATES]):
        if job[d.BOXES + k]:
            publish(job[d.BOXES + k], word)


@kernel
def _lead(job: Any, me: int) -> int:
    """Run the job with the id ``me`` with whoever helps."""
    n, left, taken, spins, status = job[d.N_MATES], address(job) + 8 * d.LEFT, 0, 0, 0
    _hold(job)
    if job[d.BEFORE]:
        status = _alone(job, job[d.BEFORE])
    _tell(job, d.READY if status else me)
    if status:
        return status
    data(0, job[d.ARGUMENTS])[a.MODE] = job[d.MODE]
    status = _run(job, 0)
    for k in range(n):
        if job[d.BOXES + k] and not replace(job[d.BOXES + k], me, d.READY):
            taken += 1
    while seen(left) < taken:
        spins += 1
        if spins < _SPINS:
            pause()
        else:
            step_aside()
    for k in range(n):
        status |= job[d.STATUSES + k]
    if job[d.AFTER] and not status:
        status = _alone(job, job[d.AFTER])
    return status


@kernel
def _serve(box: Any) -> None:
    """Look for jobs until none has come for SPINS looks, some more after being woken, or STOP is set."""
    word, stop, spins = address(box) + 8 * d.WORD, address(box) + 8 * d.STOP, -d.LATE * box[d.SPINS]
    while True:
        found = seen(word)
        if found > d.HELD and replace(word, found, d.RUNNING):
            job = data(0, found)
            left, own, stay = address(job) + 8 * d.LEFT, 0, job[d.STAY]
            while job[d.BOXES + own] != word:
                own += 1
            job[d.STATUSES + own] = _run(job, own + 1)
            add_to(left, 1)  # from here on the job may be gone
            box[d.DONE] += 1
            publish(word, d.READY)
            spins = -stay * box[d.SPINS]
            continue
        spins += 1
        is_tired = spins > box[d.SPINS] or seen(stop)
        if is_tired and (replace(word, d.READY, d.ASLEEP) or seen(word) == d.ASLEEP):
            return
        if spins & 15:
            pause()
        else:
            step_aside()  # the leader may be waiting for this very processor


def crew(zero: Any, array: int) -> int:
    """Lead a job, or serve until no job has come for a while.

    Args:
        zero: 0 of a precision.
        array: int64 array, by the address of its object: a job, or a box, at the places of
            `superpose.engine.kernels.duties`.

    Returns:
        The status of the job.
    """
    numbers = data(0, array)
    if numbers[d.KIND] == d.JOB:
        return _lead(numbers, array)
    _serve(numbers)
    return 0
