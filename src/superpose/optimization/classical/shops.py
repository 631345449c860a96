"""Job shops by CP-SAT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from superpose.optimization.classical.packages import package, solver_name
from superpose.optimization.models.base import ClassicalResult

if TYPE_CHECKING:
    from superpose.optimization.models.jobshop import JobShop

__all__ = ["best_schedule"]

Indices = npt.NDArray[np.int64]


def best_schedule(model: JobShop, limit_s: float, seed: int) -> ClassicalResult[Indices]:
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
    solver = cp.CpSolver()
    solver.parameters.max_time_in_seconds = max(limit_s, 0.05)
    solver.parameters.num_workers = 4
    solver.parameters.random_seed = seed % (2**31 - 1)
    status = solver.Solve(made)
    found = np.array([solver.Value(at) for at in starts]) if status in (cp.OPTIMAL, cp.FEASIBLE) else None
    return ClassicalResult(found, float(solver.BestObjectiveBound()), solver_name("CP-SAT"))
