"""Solvers that run for long, watched: they stop when they are asked to, by means of their own, and not only in time.

A solver runs in a thread, and the thread that called it looks on: so Ctrl-C reaches it, which Python handles in the
main thread between two steps of Python, and so does what a caller's ``on_step`` raises. One that never ends, as solvers
with threads of their own may, is given up: its thread ends with the process at the latest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import Any, Final, TypeVar

from superpose.errors import SolverStuckError
from superpose.optimization.budgets import OnStep

__all__ = ["GRACE_S", "LOOK_S", "cp_solved", "watched"]

T = TypeVar("T")

LOOK_S: Final = 0.1
"""Seconds between two looks at a solver."""
GRACE_S: Final = 60.0
"""Seconds that a solver may take beyond its limit, or to end when it is told to; on loaded machines 20 were seen."""

N_WORKERS: Final = 4


def watched(
    run: Callable[[], T], stop: Callable[[], None] | None, on_step: OnStep | None, limit_s: float = math.inf
) -> T:
    """Return what ``run`` returns, and have it stopped where the look at it raises.

    Args:
        run: Called in a thread of its own; must let go of the GIL at least now and then.
        stop: Asks the solver to end soon; may be called before it has begun, and again until it has ended. None where
            the solver hears nothing, and ends by its limit.
        on_step: Called ten times a second in this thread. What it raises, or Ctrl-C does, is raised when the solver
            has ended, or has been given up.
        limit_s: Seconds that the solver was given. Where it takes `GRACE_S` more it is told to end, and after as long
            again given up.

    Raises:
        SolverStuckError: It was given up.
    """
    running: Future[T] = Future()
    Thread(target=_carry, args=(run, running), name="superpose-solver", daemon=True).start()
    late_s = time.monotonic() + limit_s + GRACE_S
    try:
        while not _ended(running) and time.monotonic() < late_s:
            if on_step is not None:
                on_step()
    except BaseException:
        _end(running, stop, late_s)
        raise
    if not running.done():
        _end(running, stop, late_s)
    if not running.done():
        raise SolverStuckError(
            f"A classical solver that was given {limit_s:g} s has not ended by itself, nor when it was told to, and is "
            "given up; its thread may go on until this process ends. Try again, or another time_limit_s.",
            time_limit_s=limit_s,
        )
    return running.result()


def _carry(run: Callable[[], T], running: Future[T]) -> None:
    try:
        result = run()
    except BaseException as error:
        running.set_exception(error)
    else:
        running.set_result(result)


def _ended(running: Future[Any]) -> bool:
    return bool(wait([running], LOOK_S).done)


def _end(running: Future[Any], stop: Callable[[], None] | None, late_s: float) -> None:
    """Tell the solver to end until it has, or is given up: after a while, or when it should have ended by itself."""
    until_s = late_s if stop is None else time.monotonic() + GRACE_S
    while not running.done() and time.monotonic() < until_s:
        if stop is not None:
            stop()
        _ended(running)


def cp_solved(cp: Any, model: Any, limit_s: float, seed: int, on_step: OnStep | None) -> tuple[Any, bool]:
    """Return CP-SAT's solver after a search, and whether it holds a solution.

    Args:
        cp: OR-Tools' module ``cp_model``.
        model: Its ``CpModel``.
        limit_s: Seconds that the search may take.
        seed: Of the search.
        on_step: See `watched`.
    """
    solver = cp.CpSolver()
    solver.parameters.max_time_in_seconds = max(limit_s, 0.05)
    solver.parameters.num_workers = N_WORKERS
    solver.parameters.random_seed = seed % (2**31 - 1)
    solver.parameters.catch_sigint_signal = False  # Ctrl-C ends the call, not this search alone
    status = watched(lambda: solver.Solve(model), solver.StopSearch, on_step, limit_s)
    return solver, status in (cp.OPTIMAL, cp.FEASIBLE)
