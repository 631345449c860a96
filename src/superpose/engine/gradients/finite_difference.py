"""Central finite differences: the plainest method, inexact, one pair of evaluations per parameter."""

from __future__ import annotations

import numpy as np

from superpose.engine.arrays import Array
from superpose.engine.gradients.problem import GradientOptions, GradientProblem, check_points

__all__ = ["finite_difference"]


def finite_difference(problem: GradientProblem, options: GradientOptions) -> Array:
    """Return the gradient ``(batch, n_observables, n_params)`` up to ``step**2 / 6`` of the third derivative.

    With an uncertainty ``sigma`` of each expectation, each entry has one of ``sigma / (sqrt(2) step)`` besides.

    Cost: ``2 n_params`` evaluations of the batch, in one call.
    """
    n_params, step = problem.values.shape[1], options.step_for(problem.noise)
    check_points(2 * n_params, len(problem.values), n_params)
    moves = step * np.eye(n_params)[:, np.newaxis]  # (n_params, 1, n_params)
    points = np.concatenate([problem.values + moves, problem.values - moves])  # (2 n_params, batch, n_params)
    if not n_params:
        points = problem.values[np.newaxis]
    found = problem.evaluate(problem.circuit, points)  # (n_points, batch, n_observables)
    ahead, behind = found[:n_params], found[n_params : 2 * n_params]
    return np.ascontiguousarray(((ahead - behind) / (2 * step)).transpose(1, 2, 0))
