"""Job shops by CP-SAT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from superpose.optimization.budgets import OnStep
from superpose.optimization.classical.packages import package, solver_name
from superpose.optimization.classical.watching import cp_solved
from superpose.optimization.models.base import ClassicalResult

if TYPE_CHECKING:
    from superpose.optimization.models.jobshop import JobShop

__all__ = ["best_schedule"]

Indices = npt.NDArray[np.int64]


def best_schedule(model: JobShop, limit_s: float, seed: int, on_step: OnStep | None = None) -> ClassicalResult[Indices]:
    """Return a schedule and a bound.

    Raises:
        ExtraMissingError: OR-Tools is not installed.
    """
    cp = package("ortools.sat.python.cp_model")
    made = cp.CpModel()
    end = made.NewIntVar(0, model.horizon, "end")
    starts = [made.NewIntVar(0, model.horizon, f"s{k}") for k in range(model.n_operations)]
    on: dict[int, list[object]] = {}
    for k, at in enumerate(starts):
        duration = int(model.durations[k])
        interval = made.NewFixedSizeIntervalVar(at, duration, f"i{k}")
        on.setdefault(int(model.machine_of[k]), []).append(interval)
        if k + 1 < model.n_operations and model.job_of[k + 1] == model.job_of[k]:
            made.Add(starts[k + 1] >= at + duration)
        else:
            made.Add(end >= at + duration)
    for intervals in on.values():
        made.AddNoOverlap(intervals)
    made.Minimize(end)
    solver, has_found = cp_solved(cp, made, limit_s, seed, on_step)
    found = np.array([solver.Value(at) for at in starts]) if has_found else None
    return ClassicalResult(found, float(solver.BestObjectiveBound()), solver_name("CP-SAT"))
