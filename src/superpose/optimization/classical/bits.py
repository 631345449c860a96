"""Quadratic problems as they are: HiGHS, which proves, and tabu search of what it leaves open."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from superpose.errors import ExtraMissingError
from superpose.optimization.budgets import Budget, OnStep
from superpose.optimization.classical.annealing import tabu
from superpose.optimization.classical.highs import branch_and_bound
from superpose.optimization.classical.packages import package
from superpose.optimization.models.base import ClassicalResult
from superpose.optimization.penalties import penalised
from superpose.optimization.quadratic import QuadraticProblem

__all__ = ["best_bits"]

Bits = npt.NDArray[np.uint8]

PROOF_SHARE: Final = 0.8
"""Of the time, HiGHS has so much where tabu search may follow."""


def best_bits(
    problem: QuadraticProblem, limit_s: float, seed: int, on_step: OnStep | None = None, *, proving: bool = True
) -> ClassicalResult[Bits]:
    """Return the best bits found, and a bound where there is one.

    Where constraints or conflicts stand, HiGHS has all the time, and its bits may miss them a little; see
    `branch_and_bound`. Else tabu search has what HiGHS leaves, if it leaves the optimum open, and the better counts.

    Args:
        problem: Of any kind.
        limit_s: Seconds that may pass.
        seed: Of the search.
        on_step: See `watched`.
        proving: Whether HiGHS is asked at all.
    """
    free = not problem.constraints and not len(problem.conflicts)
    budget = Budget(limit_s, on_step=on_step)
    bits, bound = None, None
    if proving:
        bits, bound = branch_and_bound(problem, PROOF_SHARE * limit_s if free else limit_s, on_step)
    if not free or (bits is not None and bound == float(problem.objective(bits)[0])):
        return ClassicalResult(bits, bound, "HiGHS")
    qubo = penalised(problem).qubo
    try:
        found = tabu(qubo, budget, seed)
    except ExtraMissingError:
        told = "HiGHS" if proving else "bound only; tabu search needs superpose[optimization]"
        return ClassicalResult(bits, bound, told)
    both = found if bits is None else np.concatenate([bits[None], found])
    name = f"tabu search (dwave-samplers {package('dwave.samplers').__version__})"
    best: Bits = both[int(np.argmin(qubo.energy(both)))]
    return ClassicalResult(best, bound, f"HiGHS and {name}" if bits is not None else name)
