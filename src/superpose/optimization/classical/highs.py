"""Branch and bound by HiGHS, which SciPy brings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from superpose.optimization.quadratic import QuadraticProblem

__all__ = ["branch_and_bound"]

Bits = npt.NDArray[np.uint8]

MAX_ROWS = 60_000


def branch_and_bound(problem: QuadraticProblem, limit_s: float) -> tuple[Bits | None, float | None]:
    """Return a best solution found, and a bound of the objective; None for what was not found in time.

    Each product of two variables becomes a variable of its own between 0 and 1 (Fortet's linearisation), held only on
    the side to which the objective does not push it. Problems with more than 60,000 rows are not tried.
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
        low = -np.inf if row.relation == "<=" else row.bound
        rows.add(row.indices, row.coefficients, low, np.inf if row.relation == ">=" else row.bound)
    size = n + len(pairs)
    integral = np.concatenate([np.ones(n), np.zeros(len(pairs))])
    found = milp(
        np.concatenate([problem.sign * problem.linear, values]),
        integrality=integral,
        bounds=Bounds(0, 1),
        constraints=rows.all(size),
        options={"time_limit": max(limit_s, 0.05), "mip_rel_gap": 0.0},
    )
    bits = None
    if found.x is not None:
        bits = np.rint(found.x[:n]).astype(np.uint8)
        bits = bits if bool(problem.is_feasible(bits)[0]) else None
    bound = float(getattr(found, "mip_dual_bound", None) or np.nan)
    if found.x is not None and found.status == 0:
        bound = float(found.fun)  # proven: HiGHS tells 0 as a bound where presolve solved it
    return bits, problem.sign * bound + problem.constant if np.isfinite(bound) else None


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

    def all(self, n_columns: int) -> list[LinearConstraint]:
        """The rows as SciPy takes them."""
        if not self._low:
            return []
        columns, values = np.concatenate(self._columns), np.concatenate(self._values)
        matrix = coo_array((values, (np.array(self._at), columns)), shape=(len(self._low), n_columns)).tocsr()
        return [LinearConstraint(matrix, np.array(self._low), np.array(self._high))]
