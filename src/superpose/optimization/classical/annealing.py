"""Simulated annealing and tabu search of a QUBO, by D-Wave's samplers (Apache-2.0; they run on this machine)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.optimization.budgets import Budget
from superpose.optimization.classical.packages import package
from superpose.optimization.qubo import Qubo

__all__ = ["annealed", "tabu"]

Bits = npt.NDArray[np.uint8]

MAX_SEED = 2**31 - 1


def annealed(qubo: Qubo, n_reads: int, budget: Budget, seed: int) -> Bits:
    """Return the ends of simulated annealing, uint8 ``(n_reads or fewer, n_variables)``.

    Rounds of reads with twice as many sweeps each, from 100 up to 12,800, as long as there is time; at least one read
    is made, and the last round's are kept beside the best of those before. Temperatures are the sampler's own choice.

    Raises:
        ExtraMissingError: D-Wave's samplers are not installed.
    """
    sampler = package("dwave.samplers").SimulatedAnnealingSampler()
    model, kept, n_sweeps = _model(qubo), [], 100
    while True:
        part = max(1, min(n_reads, 2**24 // (n_sweeps * qubo.n_variables)))
        found = sampler.sample(
            model,
            num_reads=part,
            num_sweeps=n_sweeps,
            seed=(seed + n_sweeps) % MAX_SEED,
            interrupt_function=lambda: budget.is_over,
        )
        kept.append(_bits(found, qubo.n_variables))
        last = budget.spent_s
        if budget.is_over or n_sweeps >= 12_800 or last * 2 > budget.limit_s:
            break
        n_sweeps *= 2
    return np.concatenate(kept)


def tabu(qubo: Qubo, budget: Budget, seed: int) -> Bits:
    """Return the ends of tabu searches, uint8 ``(n_reads, n_variables)``, of which four share the time.

    Raises:
        ExtraMissingError: D-Wave's samplers are not installed.
    """
    sampler = package("dwave.samplers").TabuSampler()
    found = sampler.sample(
        _model(qubo), num_reads=4, timeout=max(20, int(budget.left_s * 1000 / 4)), seed=seed % MAX_SEED
    )
    return _bits(found, qubo.n_variables)


def _model(qubo: Qubo) -> Any:
    pairs = qubo.quadratic
    return package("dimod").BinaryQuadraticModel.from_numpy_vectors(
        qubo.linear, (pairs.rows, pairs.cols, pairs.values), qubo.constant, "BINARY"
    )


def _bits(found: Any, n: int) -> Bits:
    order = np.argsort(np.asarray(list(found.variables)))
    return np.asarray(found.record.sample, np.uint8)[:, order].reshape(-1, n)
