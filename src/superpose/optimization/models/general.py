"""Any quadratic problem, without further knowledge of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemError, ProblemInfeasibleError
from superpose.optimization.budgets import OnStep
from superpose.optimization.models.base import Bits, ClassicalResult, Decoded, Model
from superpose.optimization.quadratic import QuadraticProblem

__all__ = ["GeneralModel"]

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MOST_IN_PAIRS = 60
"""Variables up to which repair also flips two bits at once."""

_PROGRESS = 1e-12
"""Of what is missed, a step of repair has to mend more than this."""


class GeneralModel(Model[Bits]):
    """A quadratic problem as a model: solutions are its bits, repair flips the bits that mend most.

    Args:
        problem: Of any kind.
        reference: Best objective known.

    Raises:
        ProblemError: Two variables have one name, by which a solution could not tell them apart.
    """

    kind: ClassVar[str] = "quadratic"

    def __init__(self, problem: QuadraticProblem, *, reference: float | None = None) -> None:
        if len(set(problem.names)) < problem.n_variables:
            doubled = next(name for name, count in Counter(problem.names).items() if count > 1)
            raise ProblemError(f"Names of variables must differ, got {str(doubled)[:40]!r} more than once.")
        self._given = problem
        self.sense, self.name, self.reference = problem.sense, problem.name, reference

    @property
    def n_variables(self) -> int:
        """Of the problem."""
        return self._given.n_variables

    @property
    def amounts(self) -> Floats:
        """All coefficients, and the constant."""
        return self._given.amounts

    @property
    def constant(self) -> float:
        """Of the problem."""
        return self._given.constant

    @property
    def terms_size(self) -> float:
        """Of all coefficients."""
        return float(np.abs(self._given.linear).sum() + np.abs(self._given.quadratic.values).sum())

    def _build(self) -> QuadraticProblem:
        return self._given

    def decode(self, bits: Bits) -> Decoded[Bits] | None:
        """The bits; where they are infeasible, one or two at a time are flipped as long as that mends something."""
        x = np.asarray(bits, np.uint8).copy()
        repaired = not bool(self._given.is_feasible(x)[0])
        while repaired:
            missed = float(self._given.violations(x).sum())
            if missed == 0:
                break
            x = self._mended(x)
            if float(self._given.violations(x).sum()) >= missed * (1 - _PROGRESS):
                return None
        return Decoded(x, self.value(x), repaired)

    def _mended(self, x: Bits) -> Bits:
        """The string after the flip, of one bit or in small problems of two, that misses least, and costs least."""
        n, sign = len(x), self._given.sign
        if n > _MOST_IN_PAIRS:
            left, value = self._given.after_flips(x)
            best = int(np.lexsort((sign * value, left))[0])
            made = x.copy()
            made[best] ^= 1
            return made
        flips = np.eye(n, dtype=np.uint8)
        first, second = np.triu_indices(n, 1)
        others = x[None] ^ np.concatenate([flips, flips[first] ^ flips[second]])
        cost = sign * self._given.objective(others)
        mended: Bits = others[int(np.lexsort((cost, self._given.violations(others).sum(axis=1)))[0])]
        return mended

    def encode(self, solution: Bits) -> Bits:
        """The bits themselves."""
        return np.asarray(solution, np.uint8)

    def value(self, solution: Bits) -> float:
        """The objective."""
        return float(self._given.objective(solution)[0])

    def start(self, rng: np.random.Generator) -> Bits:
        """Random bits, repaired."""
        for _ in range(100):
            bits = rng.integers(0, 2, self.n_variables, np.uint8)
            for group in self._given.one_hot_groups:
                bits[group] = 0
                bits[rng.choice(group)] = 1
            found = self.decode(bits)
            if found is not None:
                return found.solution
        raise ProblemInfeasibleError(f"No bit string that meets all constraints of {self.name} was found.")

    def neighbourhood(self, bits: Bits, size: int, rng: np.random.Generator) -> Indices:
        """Variables drawn at random; with each the one of its "exactly one" group that is 1, and what rules it out."""
        partner = {int(v): int(group[np.argmax(bits[group])]) for group in self._given.one_hot_groups for v in group}
        against: dict[int, set[int]] = {}
        for a, b in (self._given.conflicts.T, self._given.conflicts.T[::-1]):
            for one, other in zip(a[bits[b] == 1].tolist(), b[bits[b] == 1].tolist(), strict=True):
                against.setdefault(one, set()).add(other)
        found: set[int] = set()
        for variable in rng.permutation(self.n_variables):
            ruled_out_by = against.get(int(variable), set())
            more = {int(variable), partner.get(int(variable), int(variable)), *ruled_out_by} - found
            if len(found) + len(more) > size:
                if ruled_out_by:
                    continue
                break
            found |= more
        return np.array(sorted(found), np.int64)

    def classical(self, limit_s: float, seed: int, on_step: OnStep | None = None) -> ClassicalResult[Bits]:
        """HiGHS, products made linear; where nothing is constrained, tabu search of what it leaves open."""
        from superpose.optimization.classical.bits import best_bits

        told = best_bits(self._given, limit_s, seed, on_step)
        found = None if told.solution is None else self.decode(told.solution)
        return replace(told, solution=None if found is None else found.solution)

    def to_json(self, solution: Bits) -> dict[str, Any]:
        """The names of the variables that are 1."""
        return {"ones": [self._given.names[k] for k in np.flatnonzero(solution)]}
