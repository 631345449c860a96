"""What the methods have in common: each draws bit strings for a quadratic problem."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from superpose.optimization.budgets import Budget
from superpose.optimization.classical.annealing import annealed
from superpose.optimization.options import SolveOptions
from superpose.optimization.penalties import PenalisedQubo, penalised
from superpose.optimization.quadratic import QuadraticProblem

__all__ = ["AnnealingSampler", "Drawn", "ExhaustiveSampler", "RandomSampler", "Sampler", "Setting"]

Bits = npt.NDArray[np.uint8]

MAX_EXHAUSTIVE: Final = 20
BEST_KEPT: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Bit strings that a method drew.

    Attributes:
        bits: The problem's variables, uint8 ``(n_drawn, n_variables)``, each different string once.
        counts: How often each, int64 ``(n_drawn,)``.
        facts: What the method tells of itself, JSON values.
    """

    bits: Bits
    counts: npt.NDArray[np.int64]
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, samples: npt.ArrayLike, facts: dict[str, Any] | None = None) -> Drawn:
        """Return samples, uint8 ``(n, n_variables)``, with equal ones together."""
        bits, counts = np.unique(np.atleast_2d(np.asarray(samples, np.uint8)), axis=0, return_counts=True)
        return cls(bits, counts.astype(np.int64), facts or {})

    def share_feasible(self, problem: QuadraticProblem) -> float:
        """Return the share of what was drawn that meets all constraints as it is."""
        return float(self.counts @ problem.is_feasible(self.bits)) / float(self.counts.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What a sampler is told beside the problem.

    Attributes:
        known: Objective of a feasible solution, for the penalties' bounds.
        max_slack_bits: For each inequality.
        budget: When to stop.
        seed: Of this drawing.
    """

    known: float | None
    max_slack_bits: int
    budget: Budget
    seed: int


class Sampler(Protocol):
    """A method that draws bit strings for a problem whose QUBO it can hold whole."""

    name: str

    def form(self, problem: QuadraticProblem, setting: Setting) -> PenalisedQubo:
        """Return the QUBO that the method minimises; its number of variables is the method's size."""
        ...

    def draw(self, form: PenalisedQubo, setting: Setting) -> Drawn:
        """Return bit strings of the form's problem."""
        ...


class _WithPenalties:
    def __init__(self, options: SolveOptions) -> None:
        self.options = options

    def form(self, problem: QuadraticProblem, setting: Setting) -> PenalisedQubo:
        """All constraints as penalties."""
        return penalised(
            problem,
            feasible_value=setting.known,
            scale=self.options.penalty_scale,
            max_slack_bits=setting.max_slack_bits,
        )


class AnnealingSampler(_WithPenalties):
    """Simulated annealing of the QUBO."""

    name = "annealing"

    def draw(self, form: PenalisedQubo, setting: Setting) -> Drawn:
        """Ends of annealing, as long as there is time."""
        found = annealed(form.qubo, self.options.n_reads, setting.budget, setting.seed)
        return Drawn.of(form.bits(found), {"n_reads": len(found)})


class ExhaustiveSampler(_WithPenalties):
    """Every bit string of a small problem is looked at: the exact classical subsolver."""

    name = "exhaustive"

    def form(self, problem: QuadraticProblem, setting: Setting) -> PenalisedQubo:
        """The objective alone: constraints are checked exactly, so that slack bits are not needed."""
        bare = QuadraticProblem(problem.linear, problem.quadratic, constant=problem.constant, sense=problem.sense)
        return replace(penalised(bare), problem=problem)

    def draw(self, form: PenalisedQubo, setting: Setting) -> Drawn:
        """The best 64 feasible strings; where there is none, the best 64."""
        n = form.problem.n_variables
        energies = form.qubo.all_energies()
        ok = _all_feasible(form.problem, setting.budget)
        if not ok.any():
            ok = np.ones_like(ok)
        order = np.argsort(np.where(ok, energies, np.inf), kind="stable")[: min(BEST_KEPT, int(ok.sum()))]
        bits = (order[:, None] >> np.arange(n - 1, -1, -1)[None, :] & 1).astype(np.uint8)
        return Drawn.of(bits, {"n_strings": 2**n})


class RandomSampler(_WithPenalties):
    """Coin flips, as many as the quantum method has shots: whatever they reach, repair and luck have reached."""

    name = "random"

    def draw(self, form: PenalisedQubo, setting: Setting) -> Drawn:
        """Uniform bits; of an "exactly one" group, one uniform member."""
        rng = np.random.default_rng(setting.seed)
        bits = rng.integers(0, 2, (self.options.shots, form.problem.n_variables), np.uint8)
        for group in form.problem.one_hot_groups:
            bits[:, group] = 0
            bits[np.arange(len(bits)), rng.choice(group, len(bits))] = 1
        return Drawn.of(bits)


def _all_feasible(problem: QuadraticProblem, budget: Budget) -> npt.NDArray[np.bool_]:
    """Whether each of the ``2**n`` strings meets the constraints, variable 0 most significant; looks up at each row."""
    n = problem.n_variables
    ok = np.ones(2**n, bool)
    for row in problem.constraints:
        budget.look()
        weights = np.zeros(n)
        weights[row.indices] = row.coefficients
        sums = np.zeros(1)
        for weight in weights[::-1]:
            sums = np.concatenate([sums, sums + weight])
        ok &= row.missed_by(sums) == 0
    index = np.arange(2**n) if len(problem.conflicts) else np.empty(0, np.int64)
    for a, b in problem.conflicts:
        budget.look()
        ok &= ~((index >> (n - 1 - a) & 1).astype(bool) & (index >> (n - 1 - b) & 1).astype(bool))
    return ok
