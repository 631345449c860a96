"""SPSA: an unbiased guess at the gradient from two evaluations, however many parameters there are."""

from __future__ import annotations

import numpy as np

from superpose.engine.arrays import Array
from superpose.engine.gradients.problem import GradientOptions, GradientProblem, check_points

__all__ = ["spsa"]


def spsa(problem: GradientProblem, options: GradientOptions) -> Array:
    """Return an estimate of the gradient ``(batch, n_observables, n_params)``, by random directions.

    For directions ``d`` with independent entries +1 and -1, the mean over ``n_directions`` of them of
    ``(f(t + step d) - f(t - step d)) / (2 step) d``. Its expected value is the gradient up to ``step**2`` times third
    derivatives. Entry i has the variance ``(S + sigma**2 / (2 step**2)) / n_directions``, where S is the sum of the
    squares of the gradient's other entries and sigma the uncertainty of one expectation (0 without shots). Each batch
    entry has directions of its own; equal seeds give equal directions.

    Cost: ``2 n_directions`` evaluations of the batch, in one call.
    Source: Spall 1992, IEEE Trans. Autom. Control 37(3):332.
    """
    step, n = options.step_for(problem.noise), options.n_directions
    check_points(2 * n, *problem.values.shape)
    generator = np.random.Generator(np.random.PCG64(options.seed))
    directions = 1.0 - 2.0 * generator.integers(0, 2, (n, *problem.values.shape))  # (n, batch, n_params)
    points = np.concatenate([problem.values + step * directions, problem.values - step * directions])
    values = problem.evaluate(problem.circuit, points)  # (2 n, batch, n_observables)
    slopes = (values[:n] - values[n:]) / (2 * step)
    found: Array = np.einsum("nbo,nbp->bop", slopes, directions) / n
    return found
