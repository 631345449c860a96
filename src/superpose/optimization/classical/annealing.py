"""Simulated annealing and tabu search of a QUBO, by D-Wave's samplers (Apache-2.0; they run on this machine).

Both are compiled code that nobody can interrupt: annealing asks between two reads whether to go on, and swallows what
is raised when it asks; tabu search asks never. So both run in a thread, watched, and in parts so short that a call is
over soon after it is asked to end.
"""

from __future__ import annotations

import math
from threading import Event
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from superpose.optimization.budgets import Budget
from superpose.optimization.classical.packages import package
from superpose.optimization.classical.watching import watched
from superpose.optimization.qubo import Qubo

__all__ = ["annealed", "tabu"]

Bits = npt.NDArray[np.uint8]

MAX_SEED: Final = 2**31 - 1
MAX_SWEEPS: Final = 12_800

N_SEARCHES: Final = 4
"""Tabu searches that share the time."""

PART_S: Final = 0.25
"""Seconds of a part of a tabu search, at least."""

BEGIN_S: Final = 5e-8
"""Seconds that a part takes to begin, for each variable squared: the sampler makes a dense matrix of the problem."""

PART_OVER_BEGIN: Final = 6.0
"""A part is so many times as long as it takes to begin, at least."""

PART_STEPS: Final = 1e9
"""Proposals and couplings of a part of a read of annealing, at least: 0.2 s where all are coupled, else up to 1.8 s."""

PART_SWEEPS: Final = 1600
"""Sweeps of a part, at least: where all are coupled they take five times as long as the part takes to begin."""


def annealed(qubo: Qubo, n_reads: int, budget: Budget, seed: int) -> Bits:
    """Return the ends of simulated annealing, uint8 ``(n_reads or fewer, n_variables)``.

    Rounds of reads with twice as many sweeps each, from 100 up to 12,800, as long as there is time; at least one read
    is made, and the last round's are kept beside the best of those before. Temperatures are the sampler's own choice.
    A read that takes long is made in parts, each from where the one before ended.

    What the budget's ``on_step`` raises, and Ctrl-C, end it after the part under way.

    Raises:
        ExtraMissingError: D-Wave's samplers are not installed.
    """
    if not (np.any(qubo.linear) or len(qubo.quadratic)):  # the sampler warns of it, and finds no temperature
        return np.zeros((1, qubo.n_variables), np.uint8)
    annealing = _Annealing(qubo, n_reads, budget, seed)
    return watched(annealing.ends, annealing.stopped.set, budget.look)


def tabu(qubo: Qubo, budget: Budget, seed: int) -> Bits:
    """Return the ends of tabu searches, uint8 ``(n_reads, n_variables)``, of which four share the time.

    A search runs in parts of 0.25 s or more, each from the best that the search has found. What the budget's
    ``on_step`` raises, and Ctrl-C, end it after the part under way.

    Raises:
        ExtraMissingError: D-Wave's samplers are not installed.

    Cost: ``5e-8 n_variables**2`` seconds of each part, which is six times as long or longer; memory for a few dense
    matrices.
    """
    search = _Tabu(qubo, budget, seed)
    return watched(search.ends, search.stopped.set, budget.look)


class _Annealing:
    """One call of `annealed`."""

    def __init__(self, qubo: Qubo, n_reads: int, budget: Budget, seed: int) -> None:
        self._sampler = package("dwave.samplers").SimulatedAnnealingSampler()
        self._model, self._n, self._n_reads, self._budget, self._seed = (
            _model(qubo), qubo.n_variables, n_reads, budget, seed,
        )  # fmt: skip
        self._steps_of_sweep = qubo.n_variables + 2 * len(qubo.quadratic)
        self.stopped = Event()

    def ends(self) -> Bits:
        kept: list[Bits] = []
        n_sweeps, betas = 100, None
        while True:
            if betas is None or self._n_parts(n_sweeps) == 1:
                found = self._reads(n_sweeps)
                betas = [float(beta) for beta in found.info["beta_range"]]
                kept.append(_bits(found, self._n))
            else:
                kept += self._long_reads(np.geomspace(betas[0], betas[1], n_sweeps).astype(np.float64))
            spent_s = self._budget.spent_s
            if self._must_end() or n_sweeps >= MAX_SWEEPS or spent_s * 2 > self._budget.limit_s:
                return np.concatenate(kept)
            n_sweeps *= 2

    def _must_end(self) -> bool:
        return self.stopped.is_set() or self._budget.left_s <= 0

    def _n_in_round(self, n_sweeps: int) -> int:
        return max(1, min(self._n_reads, 2**24 // (n_sweeps * self._n)))

    def _n_parts(self, n_sweeps: int) -> int:
        """Parts of a read."""
        return max(1, min(n_sweeps // PART_SWEEPS, int(n_sweeps * self._steps_of_sweep / PART_STEPS)))

    def _reads(self, n_sweeps: int) -> Any:
        return self._sampler.sample(
            self._model,
            num_reads=self._n_in_round(n_sweeps),
            num_sweeps=n_sweeps,
            seed=(self._seed + n_sweeps) % MAX_SEED,
            interrupt_function=self._must_end,
        )

    def _long_reads(self, schedule: npt.NDArray[np.float64]) -> list[Bits]:
        """A round of reads, one after the other and each in parts, with these inverse temperatures."""
        spins = self._model.change_vartype("SPIN", inplace=False)
        rng = np.random.default_rng([self._seed, len(schedule)])
        parts = np.array_split(schedule, self._n_parts(len(schedule)))
        found: list[Bits] = []
        for _ in range(self._n_in_round(len(schedule))):
            at = None
            for part in parts:
                at = self._sampler.sample(
                    spins,
                    num_reads=1,
                    initial_states=at,
                    beta_schedule=part,
                    beta_schedule_type="custom",
                    seed=int(rng.integers(MAX_SEED)),
                )
                if self.stopped.is_set():
                    return found
            found.append(_bits(at, self._n))
            if self._must_end():
                break
        return found


class _Tabu:
    """One call of `tabu`."""

    def __init__(self, qubo: Qubo, budget: Budget, seed: int) -> None:
        self._sampler = package("dwave.samplers").TabuSampler()
        self._model, self._n, self._budget = _model(qubo), qubo.n_variables, budget
        self._rng = np.random.default_rng(seed)
        self._part_s = max(PART_S, PART_OVER_BEGIN * BEGIN_S * self._n**2)
        n, few = self._n, qubo.n_variables <= 500
        # The sampler's own numbers, but for the first search of a part, which would be the last part's once more.
        self._onward = {
            "coefficient_z_first": 1,
            "lower_bound_z": 0,
            "coefficient_z_restart": max(2500 if few else 6250, math.ceil(500_000 / n)),
        }
        self.stopped = Event()

    def ends(self) -> Bits:
        begun_s, share_s = self._budget.spent_s, self._budget.left_s / N_SEARCHES
        found: list[Bits] = []
        for k in range(N_SEARCHES):
            found.append(self._end(begun_s + (k + 1) * share_s))
            if self.stopped.is_set():
                break
        return np.concatenate(found)

    def _end(self, until_s: float) -> Bits:
        """The best of one search, until so much of the budget is spent."""
        best = self._part(None, until_s - self._budget.spent_s)
        while not self.stopped.is_set() and (left_s := until_s - self._budget.spent_s) > PART_S / 5:
            best = self._part(best, left_s)
        return _bits(best, self._n)

    def _part(self, best: Any, left_s: float) -> Any:
        part_s = left_s if left_s < 1.25 * self._part_s else self._part_s
        return self._sampler.sample(
            self._model,
            num_reads=1,
            initial_states=best,
            timeout=max(20, int(1000 * part_s)),
            seed=int(self._rng.integers(MAX_SEED)),
            **({} if best is None else self._onward),
        )


def _model(qubo: Qubo) -> Any:
    pairs = qubo.quadratic
    return package("dimod").BinaryQuadraticModel.from_numpy_vectors(
        qubo.linear, (pairs.rows, pairs.cols, pairs.values), qubo.constant, "BINARY"
    )


def _bits(found: Any, n: int) -> Bits:
    """The samples, be they bits or spins; of spins the sampler's 1 is the bit 1."""
    order = np.argsort(np.asarray(list(found.variables)))
    bits: Bits = (np.asarray(found.record.sample)[:, order].reshape(-1, n) > 0).astype(np.uint8)
    return bits
