"""A continuous relaxation of a QUBO, where warm starts begin."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from superpose.optimization.qubo import Qubo

__all__ = ["relaxed_solution"]

Floats = npt.NDArray[np.float64]

EPSILON: Final = 0.25
"""Values stay this far from 0 and 1, so that no bit is fixed from the start (Egger et al. 2021, section 3)."""


def relaxed_solution(qubo: Qubo, epsilon: float = EPSILON) -> Floats:
    """Return the minimum of the QUBO over the box [0, 1]^n, made convex, moved to ``[epsilon, 1 - epsilon]``.

    Where the quadratic form is not convex, ``u (x**2 - x)`` is added, which is 0 on bits, with the least u that makes
    it so.

    Returns:
        Float64 ``(n_variables,)``.

    Cost: the eigenvalues of an n by n matrix.
    """
    matrix = qubo.matrix()
    linear = np.diag(matrix).copy()
    off = matrix - np.diag(linear)
    both = off + off.T
    shift = max(0.0, -float(np.linalg.eigvalsh(both)[0]) / 2)
    both += 2 * shift * np.eye(len(linear))
    linear -= shift

    def value(x: Floats) -> tuple[float, Floats]:
        slope = both @ x
        return float(linear @ x + x @ slope / 2), linear + slope

    found = minimize(value, np.full(len(linear), 0.5), jac=True, method="L-BFGS-B", bounds=[(0, 1)] * len(linear))
    clipped: Floats = np.clip(found.x, epsilon, 1 - epsilon)
    return clipped
