"""Threads of the engine: a caller leads, mates join it in compiled code, without the interpreter's lock.

What the threads do is in `superpose.engine.kernels.crew`: a call never waits for a mate that is busy with another
call or has not come to run. Mates start when first needed, are daemons, and start anew in a forked child. Between
calls one looks for work in compiled code for a moment, so that calls that follow closely find it awake, then sleeps.
Which thread runs a range does not change any result.
"""

from __future__ import annotations

import atexit
import os
import queue
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.engine.kernel_table import load_kernel
from superpose.engine.kernels import duties, modes

__all__ = ["Mate", "Work", "gather", "get_threads", "job_for", "run_together", "set_threads"]

_MAX_THREADS = duties.MOST_MATES + 1
_AWAKE_S = 100e-6
"""How long a mate looks for work before it sleeps. (Waking one takes some 50 us.)"""
_STAY = 50
"""So many times longer between two steps of a training: the leader may be busy with a tile, which takes up to 1 ms."""
_LONGEST_REST = 64
"""Short calls for which a mate may be left asleep that came too late again and again, as on a machine busy with
others."""


def _default_threads() -> int:
    given = os.environ.get("SUPERPOSE_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return min(int(given), _MAX_THREADS)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MAX_THREADS)
    return os.cpu_count() or 1


_write_head = struct.Struct(f"={duties.STATUSES}q").pack_into
_NOTHING = (0,) * (duties.STATUSES - duties.LONG - 1)


class Work(NamedTuple):
    """One call that several threads may share.

    Attributes:
        dtype: Precision of the interpreter.
        entry: Its address.
        n_tiles: Tiles that whoever takes part takes in ranges; 0 if everybody runs the interpreter once.
        before, mode, after: Modes (see `superpose.engine.kernels.modes`) of what the caller runs alone first, of what
            it runs together with the mates, and of what it runs alone last; 0 for nothing.
        arguments: The interpreter's, the caller's first, then one for each mate, with its mode in it.
        long: What the mates were gathered with.
    """

    dtype: str
    entry: int
    n_tiles: int
    before: int
    mode: int
    after: int
    arguments: Sequence[npt.NDArray[np.int64]]
    long: bool = False


class Mate:
    """A thread, its box, and what wakes it."""

    def __init__(self, number: int, spins: int, call: Callable[[float, int], int]) -> None:
        self.box = _box(spins)
        self.word = self.box.ctypes.data + 8 * duties.WORD
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._done, self._rest, self._calls_left = 0, 1, 0
        self._call = call
        self._thread = threading.Thread(target=self._serve, name=f"superpose-engine-{number}", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self.box[duties.STOP]:
            self._call(0.0, id(self.box))
            self._wake.get()

    def is_ready(self, *, long: bool) -> bool:
        """Return whether it looks for work; wake it if it sleeps and was of use lately, or if the call is long. The
        caller has the crew's lock."""
        box = self.box
        word = box[duties.WORD]
        if word != duties.ASLEEP:
            if long and word == duties.READY and not self._wake.qsize():
                self._wake.put(None)  # should it fall asleep just now
            return bool(word == duties.READY)
        if not long:
            if self._calls_left:
                self._calls_left -= 1
                return False
            done = int(box[duties.DONE])
            self._rest = min(2 * self._rest, _LONGEST_REST) if done == self._done else 1
            self._done, self._calls_left = done, self._rest - 1
        box[duties.WORD] = duties.READY
        self._wake.put(None)
        return True

    def stop(self) -> None:
        """End the thread."""
        self.box[duties.STOP] = 1
        self._wake.put(None)
        self._thread.join(1.0)


def _box(spins: int) -> npt.NDArray[np.int64]:
    box = np.zeros(duties.BOX_SIZE, np.int64)
    box[duties.KIND], box[duties.SPINS] = duties.BOX, spins
    return box


def _spins(call: Callable[[float, int], int]) -> int:
    """Return how many looks at a box take as long as a mate stays awake."""
    shortest, looks = 1.0, 200
    for _ in range(5):
        box = _box(looks)
        begin = time.perf_counter()
        call(0.0, id(box))
        shortest = min(shortest, time.perf_counter() - begin)
    return int((1 + duties.LATE) * looks * _AWAKE_S / shortest)


class _Crew:
    """The mates of one process."""

    def __init__(self) -> None:
        self.mates: list[Mate] = []
        self._lock = threading.Lock()
        self._spins = 0

    def gather(self, n: int, call: Callable[[float, int], int], *, long: bool) -> list[Mate]:
        """Return up to so many mates that look for work, or will when they are awake."""
        with self._lock:
            if len(self.mates) < n:
                self._spins = self._spins or _spins(call)
                for number in range(len(self.mates) + 1, n + 1):
                    self.mates.append(Mate(number, self._spins, call))
            return [mate for mate in self.mates[:n] if mate.is_ready(long=long)]

    def stop(self) -> None:
        """End all threads: compiled code must not run when the process takes it out of memory."""
        for mate in self.mates:
            mate.stop()


_threads = _default_threads()
_crew = _Crew()


def set_threads(n_threads: int) -> None:
    """Set how many threads one call may use, the caller's included. Results do not depend on it.

    Raises:
        ValueError: Not in 1 .. 256.
    """
    global _threads
    if not 1 <= n_threads <= _MAX_THREADS:
        raise ValueError(f"n_threads must be in 1 .. {_MAX_THREADS}, got {n_threads}.")
    _threads = int(n_threads)


def get_threads() -> int:
    """Return how many threads one call may use: SUPERPOSE_THREADS, else the processors this process may run on."""
    return _threads


def gather(dtype: str, n: int, *, long: bool = False) -> list[Mate]:
    """Return up to ``n`` mates for `run_together` that have nothing to do.

    Args:
        dtype: Precision of the call.
        n: Most mates that it can use.
        long: Whether it takes so long that waking a mate is nothing beside it.
    """
    return _crew.gather(n, load_kernel("crew", dtype).call, long=long)


def run_together(work: Work, mates: Sequence[Mate]) -> int:
    """Run a call on this thread and on those of the mates that come in time, and return its status.

    Cost: some 6 us more than on one thread.
    """
    call, n_mates = load_kernel("crew", work.dtype).call, len(mates)
    job: Any = np.empty(duties.JOB_SIZE, np.int64)
    step = max(1, work.n_tiles // (4 * n_mates + 4))
    _write_head(
        job, 0, duties.JOB, work.entry, work.dtype == "float64", work.n_tiles, step, work.before, work.mode, work.after,
        n_mates, work.long, *_NOTHING,
    )  # fmt: skip
    for k, mate in enumerate(mates):
        job[duties.STATUSES + k], job[duties.BOXES + k] = 0, mate.word
    for k, array in enumerate(work.arguments):
        job[duties.ARGUMENTS + k] = id(array)
    return call(0.0, id(job))


def job_for(
    arguments: Sequence[npt.NDArray[np.int64]], *, n_tiles: int, dtype: str, learn: bool
) -> npt.NDArray[np.int64]:
    """Return a job for steps in compiled code, which writes what changes from step to step and leads it.

    Args:
        arguments: Of `superpose.engine.kernels.scores.run_tiles`: the leader's, then one for each mate that may come.
        n_tiles: Of a step.
        dtype: Precision.
        learn: Whether gradients are summed over all tiles in the end.
    """
    job: npt.NDArray[np.int64] = np.zeros(duties.JOB_SIZE, np.int64)
    job[duties.KIND], job[duties.N_TILES], job[duties.STEP], job[duties.STAY] = duties.JOB, n_tiles, 1, _STAY
    job[duties.ENTRY], job[duties.DOUBLE] = load_kernel("scores", dtype).address, dtype == "float64"
    job[duties.BEFORE], job[duties.MODE], job[duties.AFTER] = modes.PREPARE, modes.FORWARD, modes.FINISH * learn
    for k, array in enumerate(arguments):
        job[duties.ARGUMENTS + k] = id(array)
    return job


def _after_fork() -> None:
    """A forked child has none of its parent's threads."""
    global _crew
    _crew = _Crew()


def _at_exit() -> None:
    _crew.stop()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
