"""Whether two backends' results of one program are of the same distribution, as far as shots and noise can tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from superpose.circuits import Program, ProgramResult

__all__ = ["FALSE_ALARM", "Agreement", "compare"]

FALSE_ALARM = 1e-9
"""Probability that two honest backends within the tolerance are told to disagree, for one batch entry."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two results are apart.

    Attributes:
        agree: Whether that is within the tolerance and what chance allows.
        distance: The largest over batch entries: total variation distance of counts, or difference of expectations
            over the observable's norm (the sum of its coefficients' magnitudes), halved, so that both are in 0 .. 1.
        allowed: What was allowed there.
    """

    agree: bool
    distance: float
    allowed: float


def compare(program: Program, first: ProgramResult, second: ProgramResult, *, tolerance: float) -> Agreement:
    """Return whether two results of ``program`` agree.

    Counts: their total variation distance may be ``tolerance`` (what the backends' noise may differ by) and what
    sampling adds. Two samples of one distribution ``q`` are apart by at most ``sum(sqrt(q (1 - q) (1/n1 + 1/n2))) / 2``
    in the mean, for which the pooled shares stand, and stray from that by ``sqrt(ln(1 / p) (1/n1 + 1/n2) / 2)`` with
    probability ``p`` at most (McDiarmid). Expectations: likewise by Hoeffding; without shots, the tolerance alone.

    So few shots over many outcomes leave room for small lies: 1000 shots over 32 equal outcomes allow 0.27 beyond the
    tolerance, 10,000 shots over 8 allow 0.06.

    Source: McDiarmid, On the method of bounded differences (1989); Hoeffding (1963).

    Cost: linear in the numbers.

    >>> from superpose.circuits import Circuit
    >>> asked = Program(Circuit(1).h(0), shots=1000)
    >>> results = [ProgramResult(counts=({"0": n, "1": 1000 - n},)) for n in (500, 510, 1000)]
    >>> [compare(asked, results[0], other, tolerance=0.1).agree for other in results[1:]]
    [True, False]
    """
    if first.counts is not None and second.counts is not None:
        pairs = [_of_counts(a, b, tolerance) for a, b in zip(first.counts, second.counts, strict=True)]
    elif first.expectations is not None and second.expectations is not None:
        norms = np.array([max(1e-300, sum(abs(k) for _, k in item.terms)) for item in program.observables])
        apart = np.abs(first.expectations - second.expectations) / (2 * norms)  # (batch, n_observables)
        chance = 0.0 if program.shots is None else math.sqrt(math.log(2 / FALSE_ALARM) / program.shots)
        pairs = [(float(apart.max(initial=0.0)), tolerance + chance + 1e-9)]
    elif first.state_vectors is not None and second.state_vectors is not None:
        overlaps = np.abs(np.einsum("bi,bi->b", first.state_vectors.conj(), second.state_vectors)) ** 2  # (batch,)
        apart = np.sqrt(np.clip(1.0 - overlaps, 0.0, 1.0))  # trace distance of pure states
        pairs = [(float(apart.max(initial=0.0)), tolerance + 1e-6)]
    else:
        pairs = [(1.0, tolerance)]  # answers of different kinds
    distance, allowed = max(pairs, key=lambda pair: pair[0] - pair[1])
    return Agreement(distance <= allowed, distance, allowed)


def _of_counts(a: Mapping[str, int], b: Mapping[str, int], tolerance: float) -> tuple[float, float]:
    """Total variation distance of two empirical distributions, and what is allowed."""
    outcomes = sorted(set(a) | set(b))
    n_a, n_b = sum(a.values()), sum(b.values())
    if not n_a or not n_b:
        return 1.0, tolerance
    distance = sum(abs(a.get(one, 0) / n_a - b.get(one, 0) / n_b) for one in outcomes) / 2
    per_shot = 1 / n_a + 1 / n_b
    pooled = np.array([a.get(one, 0) + b.get(one, 0) for one in outcomes]) / (n_a + n_b)
    mean = float(np.sqrt(pooled * (1 - pooled) * per_shot).sum()) / 2
    strays = math.sqrt(math.log(1 / FALSE_ALARM) * per_shot / 2)
    return distance, tolerance + mean + strays
