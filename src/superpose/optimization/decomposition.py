"""Large neighbourhoods: a few variables at a time, the others kept, by any sampler that can hold those few.

Like qbsolv and other hybrid schemes, but each step is feasible and accepted only where the domain's own objective does
not get worse. With the exhaustive sampler in the sampler's place the same steps are taken classically.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemError, ProblemInfeasibleError
from superpose.optimization.budgets import Budget
from superpose.optimization.models.base import Bits, Decoded, Model
from superpose.optimization.options import SolveOptions
from superpose.optimization.quadratic import QuadraticProblem
from superpose.optimization.samplers import Drawn, Sampler, Setting

__all__ = ["Descent", "descend"]

S = TypeVar("S")

SLACK_BITS: Final = 3
TRIED: Final = 4


@dataclass(frozen=True, slots=True)
class Descent(Generic[S]):
    """Where a decomposition arrived.

    Attributes:
        found: The last solution, which is the best.
        start_value: Objective at the beginning.
        n_rounds: Subproblems solved.
        n_better: Of those, how many made the objective better.
        largest: Most variables of a subproblem's QUBO, slack bits included.
        share_feasible: Mean over the rounds of the share of strings that met the subproblem's constraints as drawn.
        facts: What the sampler told in the last round.
    """

    found: Decoded[S]
    start_value: float
    n_rounds: int
    n_better: int
    largest: int
    share_feasible: float
    facts: dict[str, Any] = field(default_factory=dict)


def descend(
    model: Model[S], sampler: Sampler, gauge: Sampler, start: S, options: SolveOptions, budget: Budget
) -> Descent[S]:
    """Improve a solution round by round until time or rounds are over.

    Args:
        model: What is solved.
        sampler: Solves subproblems.
        gauge: The sampler whose QUBO decides how large subproblems may be: the quantum one, whatever ``sampler`` is,
            so that all samplers are given subproblems of the same make. Round k draws its neighbourhood from seed and
            k alone.
        start: A feasible solution.
        options: Of these ``max_qubits``, ``max_rounds`` and ``seed``.
        budget: When to stop.
    """
    now = Decoded(start, model.value(start), False)
    bits, start_value = model.encode(start), now.value
    n_better, largest, shares, n_rounds, facts = 0, 0, [0.0][:0], 0, {}
    while n_rounds < options.max_rounds and not budget.is_over:
        rng = np.random.default_rng([options.seed, n_rounds])
        known = float(model.problem.objective(bits)[0])
        setting = Setting(known, SLACK_BITS, budget, int(rng.integers(2**31)))
        n_rounds += 1
        piece = _piece(model, bits, gauge, setting, options, rng)
        if piece is None:
            continue
        small, kept = piece
        form = sampler.form(small, setting)
        largest = max(largest, form.qubo.n_variables)
        with budget.part(n_rounds - 1, options.max_rounds):
            drawn = sampler.draw(form, setting)
        facts = drawn.facts
        shares.append(drawn.share_feasible(small))
        better = _best(model, bits, kept, small, drawn, now)
        if better is not None:
            n_better += model.is_better(better.value, now.value)
            now, bits = better, model.encode(better.solution)
    mean = float(np.mean(shares)) if shares else 0.0
    return Descent(now, start_value, n_rounds, n_better, largest, mean, facts)


def _piece(
    model: Model[S], bits: Bits, gauge: Sampler, setting: Setting, options: SolveOptions, rng: np.random.Generator
) -> tuple[QuadraticProblem, npt.NDArray[np.int64]] | None:
    """A subproblem whose QUBO fits, and its variables; None where constraints leave nothing free."""
    size = options.max_qubits
    while size >= 2:
        free = model.neighbourhood(bits, size, rng)
        try:
            small, kept = model.problem.restricted(bits, free)
        except ProblemError:  # all of them are ruled out by others that are kept
            return None
        try:
            n = gauge.form(small, setting).qubo.n_variables
        except ProblemInfeasibleError:
            return None
        if n <= options.max_qubits and small.n_variables > 1:
            return small, kept
        size -= max(1, (n - options.max_qubits) // 2)
    return None


def _best(
    model: Model[S],
    bits: Bits,
    kept: npt.NDArray[np.int64],
    small: QuadraticProblem,
    drawn: Drawn,
    now: Decoded[S],
) -> Decoded[S] | None:
    """The best of the most promising strings, if it is no worse than what there is, and another one."""
    missed = small.violations(drawn.bits).sum(axis=1)
    cost = small.sign * small.objective(drawn.bits)
    best: Decoded[S] | None = None
    for k in np.lexsort((cost, missed))[:TRIED]:
        whole = bits.copy()
        whole[kept] = drawn.bits[k]
        if np.array_equal(whole, bits):
            continue
        found = model.decode(whole)
        if found is not None and not model.is_better((best or now).value, found.value):
            best = found
    return best
