"""Parameter shift: exact gradients from expectations at shifted angles, for any backend, with or without shots."""

from __future__ import annotations

from functools import cache
from math import pi

import numpy as np

from superpose.engine.arrays import Array
from superpose.engine.gradients.occurrences import frequencies, occurrences
from superpose.engine.gradients.problem import GradientOptions, GradientProblem, check_points

__all__ = ["parameter_shift", "shift_rule"]


@cache
def shift_rule(frequencies: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """Return pairs (shift, c) with ``f'(t) = sum(c * (f(t + shift) - f(t - shift)))``.

    Exact for every ``f`` that is a sum of a constant and of sines and cosines with these frequencies: two evaluations
    for a Pauli rotation (frequency 1), four for a controlled one (1/2 and 1), ``2 R`` for R frequencies.

    Source: Wierichs, Izaac, Wang and Lin 2022, arXiv 2107.12390 (equidistant frequencies have the shifts
    ``(2 m - 1) pi / (2 R w)``, w the least; the coefficients solve ``sum(2 c sin(w shift)) = w`` for each frequency w).

    >>> [[round(number, 6) for number in pair] for pair in shift_rule((1.0,))]
    [[1.570796, 0.5]]
    """
    n = len(frequencies)
    shifts = (2 * np.arange(1, n + 1) - 1) * pi / (2 * n * min(frequencies))
    waves = np.array(frequencies)
    coefficients = np.linalg.solve(2 * np.sin(np.outer(waves, shifts)), waves)
    return tuple(zip(shifts.tolist(), coefficients.tolist(), strict=True))


def parameter_shift(problem: GradientProblem, options: GradientOptions) -> Array:
    """Return the gradient ``(batch, n_observables, n_params)``, exact, or unbiased with shots.

    Each angle that holds parameters is shifted alone, by the rule that its gate's generator asks for; the chain rule
    through the angles' affine expressions does the rest. All shifted circuits are evaluated in one call.

    Cost: 2 evaluations per angle of a rotation, 4 per angle of a controlled rotation, each for the whole batch.
    """
    own = occurrences(problem.circuit)
    names = problem.circuit.parameters
    values = dict(zip(names, problem.values.T, strict=True))  # name: (batch,)
    batch = len(problem.values)
    if not own.angles:
        n_observables = problem.evaluate(own.circuit, np.empty((1, batch, 0))).shape[2]
        return np.zeros((batch, n_observables, len(names)))
    rules = [shift_rule(frequencies(*call)) for call in own.calls]
    shifts = [(place, shift, c) for place, rule in enumerate(rules) for shift, c in rule]
    check_points(2 * len(shifts), batch, len(rules))
    base = np.stack([np.broadcast_to(angle.evaluate(values), batch) for angle in own.angles], axis=1)
    points = np.tile(base, (2 * len(shifts), 1, 1))  # (n_points, batch, n_angles)
    for number, (place, shift, _) in enumerate(shifts):
        points[2 * number, :, place] += shift
        points[2 * number + 1, :, place] -= shift
    found = problem.evaluate(own.circuit, points)  # (n_points, batch, n_observables)
    by_angle = np.zeros((len(own.angles), *found.shape[1:]))
    for number, (place, _, c) in enumerate(shifts):
        by_angle[place] += c * (found[2 * number] - found[2 * number + 1])
    gradient: Array = np.einsum("abo,ap->bop", by_angle, own.jacobian(names))
    return gradient
