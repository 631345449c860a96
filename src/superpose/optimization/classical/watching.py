"""Solvers that run for long, watched: they stop when they are asked to, by means of their own, and not only in time.

A solver runs in a thread, and the thread that called it looks on: so Ctrl-C reaches it, which Python handles in the
main thread between two steps of Python, and so does what a caller's ``on_step`` raises.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, TypeVar

from superpose.optimization.budgets import OnStep

__all__ = ["LOOK_S", "cp_solved", "watched"]

T = TypeVar("T")

LOOK_S: Final = 0.1
"""Seconds between two looks at a solver."""

N_WORKERS: Final = 4


def watched(run: Callable[[], T], stop: Callable[[], None], on_step: OnStep | None) -> T:
    """Return what ``run`` returns, and have it stopped where the look at it raises.

    Args:
        run: Called in a thread of its own; must let go of the GIL at least now and then.
        stop: Asks the solver to end soon; may be called before it has begun, and again until it has ended.
        on_step: Called ten times a second in this thread. What it raises, or Ctrl-C does, is raised when the solver
            has ended.
    """
    with ThreadPoolExecutor(1, "superpose-solver") as pool:
        running = pool.submit(run)
        try:
            while not _ended(running):
                if on_step is not None:
                    on_step()
            return running.result()
        except BaseException:
            while not running.done():
                stop()
                _ended(running)
            raise


def _ended(running: Future[Any]) -> bool:
    return bool(wait([running], LOOK_S).done)


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
    status = watched(lambda: solver.Solve(model), solver.StopSearch, on_step)
    return solver, status in (cp.OPTIMAL, cp.FEASIBLE)
