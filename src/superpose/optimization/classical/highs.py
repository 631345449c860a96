"""Branch and bound by HiGHS, which SciPy brings, or by its own package, which also stops when it is asked to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array

from superpose.optimization.budgets import OnStep
from superpose.optimization.classical.watching import watched
from superpose.optimization.quadratic import QuadraticProblem, is_whole

__all__ = ["branch_and_bound"]

Bits = npt.NDArray[np.uint8]

MAX_ROWS = 60_000
LEAST_COST: Final = 2.0**16
MOST_COST: Final = 2.0**40
"""Between these lies the largest cost that HiGHS is given."""
LONGEST_PRESOLVED: Final = 1000
"""Variables of a row up to which HiGHS simplifies first: it compares them pair by pair, and heeds no time meanwhile."""
_UNFIT = (1, 14)
"""From this version on highspy is left alone. 1.14 calls solutions optimal that are not (its presolve, mended in 1.15:
HiGHS issue 2957). Later ones bring a libhighs.so.1, as OR-Tools does, of another release: whichever is loaded second
fails. And 1.16 prints a line before it can be told not to."""


def branch_and_bound(
    problem: QuadraticProblem, limit_s: float, on_step: OnStep | None = None
) -> tuple[Bits | None, float | None]:
    """Return a best solution found, and a bound of the objective; None for what was not found in time.

    HiGHS has variables whole, and rows met, within a tolerance: what it calls feasible may miss a constraint a little
    once its variables are rounded, and is for the model to repair.

    Each product of two variables becomes a variable of its own between 0 and 1 (Fortet's linearisation), held only on
    the side to which the objective does not push it. Problems with more than 60,000 rows are not tried.

    What ``on_step`` raises, and Ctrl-C, end the search at once where the package ``highspy`` below 1.14 is there (the
    extra "optimization" brings it); SciPy's HiGHS hears nothing, and ends by its time limit first.
    """
    n, pairs = problem.n_variables, problem.quadratic
    values = problem.sign * pairs.values
    n_rows = int(np.where(values < 0, 2, 1).sum()) + len(problem.conflicts) + len(problem.constraints)
    if n_rows > MAX_ROWS:
        return None, None
    rows = _Rows()
    for k, (i, j, value) in enumerate(zip(pairs.rows, pairs.cols, values, strict=True)):
        if value < 0:  # pushed up: at most each factor
            rows.add([n + k, i], [1, -1], -np.inf, 0)
            rows.add([n + k, j], [1, -1], -np.inf, 0)
        else:  # pushed down: at least their sum less one
            rows.add([i, j, n + k], [1, 1, -1], -np.inf, 1)
    for a, b in problem.conflicts:
        rows.add([a, b], [1, 1], -np.inf, 1)
    for row in problem.constraints:
        weight = _unit(row.coefficients, 1.0 if is_whole(row.coefficients) else LEAST_COST)
        bound = row.bound / weight
        low, high = -np.inf if row.relation == "<=" else bound, np.inf if row.relation == ">=" else bound
        rows.add(row.indices, row.coefficients / weight, low, high)
    size = n + len(pairs)
    integral = np.concatenate([np.ones(n), np.zeros(len(pairs))])
    costs = np.concatenate([problem.sign * problem.linear, values])
    unit = _unit(costs, LEAST_COST)
    found, bound = _Program(costs / unit, integral, *rows.all(size)).solved(max(limit_s, 0.05), on_step)
    bits = None
    if found is not None:
        bits = np.rint(found[:n]).astype(np.uint8)
    if not np.isfinite(bound):
        return bits, None
    bound = problem.sign * unit * bound + problem.constant
    if bits is not None and bool(problem.is_feasible(bits)[0]):
        bound = _held(bound, float(problem.objective(bits)[0]), problem)
    return bits, bound


def _held(bound: float, value: float, problem: QuadraticProblem) -> float:
    """A bound beside a feasible value: HiGHS has variables whole within a tolerance only, and so is what it tells."""
    told = 1e-9 * float(np.abs(problem.amounts[:-1]).sum())
    if abs(value - bound) <= (min(told, 0.5) if is_whole(problem.amounts) else told):
        return value
    return bound if problem.sign * (value - bound) >= 0 else value - problem.sign * told


def _unit(numbers: npt.NDArray[np.float64], least: float) -> float:
    """A power of two that costs, or a row, are divided by: HiGHS calls 1e-6 nothing, and 1e15 or 1e20 too large.

    Args:
        numbers: Costs, or the coefficients of a row.
        least: From here up to `MOST_COST` the largest of them is left as it is.
    """
    largest = float(np.abs(numbers).max(initial=0.0))
    if largest == 0 or least <= largest <= MOST_COST:
        return 1.0
    return 2.0 ** round(math.log2(largest / LEAST_COST))


@dataclass(frozen=True, slots=True, eq=False)
class _Program:
    """A linear program of variables 0 to 1, some of them whole."""

    costs: npt.NDArray[np.float64]
    integral: npt.NDArray[np.float64]
    matrix: csr_array
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    def solved(self, limit_s: float, on_step: OnStep | None) -> tuple[npt.NDArray[np.float64] | None, float]:
        """A best solution found, and a bound of the costs; None and NaN for what was not found."""
        highspy = _highspy()
        if highspy is None:
            return watched(lambda: self._by_scipy(limit_s), None, on_step, limit_s)
        return self._by_highspy(highspy, limit_s, on_step)

    @property
    def _is_presolved(self) -> bool:
        return int(np.diff(self.matrix.indptr).max(initial=0)) <= LONGEST_PRESOLVED

    def _by_scipy(self, limit_s: float) -> tuple[npt.NDArray[np.float64] | None, float]:
        rows = [LinearConstraint(self.matrix, self.low, self.high)] if len(self.low) else []
        options = {"time_limit": limit_s, "mip_rel_gap": 0.0, "presolve": self._is_presolved}
        found = milp(self.costs, integrality=self.integral, bounds=Bounds(0, 1), constraints=rows, options=options)
        if found.x is not None and found.status == 0:
            return found.x, float(found.fun)  # proven: HiGHS tells 0 as a bound where presolve solved it
        return found.x, float(getattr(found, "mip_dual_bound", None) or np.nan)

    def _by_highspy(
        self, highspy: Any, limit_s: float, on_step: OnStep | None
    ) -> tuple[npt.NDArray[np.float64] | None, float]:
        solver, model = highspy.Highs(), highspy.HighsLp()
        size = len(self.costs)
        model.num_col_, model.num_row_ = size, len(self.low)
        model.col_cost_, model.col_lower_, model.col_upper_ = self.costs, np.zeros(size), np.ones(size)
        model.row_lower_, model.row_upper_ = self.low, self.high
        model.integrality_ = [highspy.HighsVarType(int(kind)) for kind in self.integral]
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.num_col_, model.a_matrix_.num_row_ = size, len(self.low)
        model.a_matrix_.start_, model.a_matrix_.index_ = self.matrix.indptr, self.matrix.indices
        model.a_matrix_.value_ = self.matrix.data
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("time_limit", limit_s)
        solver.setOptionValue("mip_rel_gap", 0.0)
        solver.setOptionValue("threads", 1)  # with more it may deadlock where a thread that called it ends (HiGHS 1886)
        if not self._is_presolved:
            solver.setOptionValue("presolve", "off")
        solver.HandleUserInterrupt = True
        solver.passModel(model)
        watched(solver.run, solver.cancelSolve, on_step, limit_s)
        info = solver.getInfo()
        has_found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        found = np.asarray(solver.getSolution().col_value, np.float64) if has_found else None
        if has_found and solver.getModelStatus() == highspy.HighsModelStatus.kOptimal:
            return found, float(info.objective_function_value)
        return found, float(info.mip_dual_bound or np.nan)


def _highspy() -> Any:
    """HiGHS's own package; None where it is absent, or one that must not be asked."""
    try:
        if tuple(map(int, version("highspy").split(".")[:2])) >= _UNFIT:
            return None
        import highspy
    except (ImportError, ValueError):
        return None
    return highspy


class _Rows:
    """Rows of a sparse matrix with their bounds."""

    def __init__(self) -> None:
        self._at: list[int] = []
        self._columns: list[npt.NDArray[np.int64]] = []
        self._values: list[npt.NDArray[np.float64]] = []
        self._low: list[float] = []
        self._high: list[float] = []

    def add(self, columns: npt.ArrayLike, values: npt.ArrayLike, low: float, high: float) -> None:
        """Add a row."""
        places = np.asarray(columns, np.int64)
        self._at += [len(self._low)] * len(places)
        self._columns.append(places)
        self._values.append(np.asarray(values, np.float64))
        self._low.append(low)
        self._high.append(high)

    def all(self, n_columns: int) -> tuple[csr_array, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The matrix of all rows, and the bounds of each."""
        columns = np.concatenate([np.empty(0, np.int64), *self._columns])
        values = np.concatenate([np.empty(0), *self._values])
        at = np.array(self._at, np.int64)
        matrix = csr_array(coo_array((values, (at, columns)), shape=(len(self._low), n_columns)))
        return matrix, np.array(self._low, np.float64), np.array(self._high, np.float64)
