"""The 0-1 knapsack: which items are worth most together without being too heavy."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemError
from superpose.optimization.budgets import OnStep
from superpose.optimization.models.base import Bits, ClassicalResult, Decoded, Model
from superpose.optimization.models.numbers import as_numbers
from superpose.optimization.quadratic import LinearConstraint, QuadraticProblem, allowance

__all__ = ["Knapsack"]

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Knapsack(Model[Bits]):
    """Maximise the value of the items taken, of which the weights may not exceed a capacity.

    Args:
        values, weights: One number of each for each item, 0 or more.
        capacity: What can be carried.
        name: Of the instance.
        reference: Best value known.

    A solution is a bit for each item.

    >>> Knapsack([6, 10, 12], [1, 2, 3], 5).value(np.array([0, 1, 1], np.uint8))
    22.0
    """

    kind: ClassVar[str] = "knapsack"

    def __init__(
        self,
        values: npt.ArrayLike,
        weights: npt.ArrayLike,
        capacity: float,
        *,
        name: str = "knapsack",
        reference: float | None = None,
    ) -> None:
        self.values, self.weights = as_numbers("Values", values), as_numbers("Weights", weights)
        if self.values.ndim != 1 or self.values.shape != self.weights.shape or not len(self.values):
            raise ProblemError("A knapsack needs a value and a weight for each item.")
        limit = as_numbers("Capacities", capacity)
        if np.any(self.weights < 0) or limit.ndim or limit < 0:
            raise ProblemError("Weights must be 0 or more, the capacity one number of 0 or more.")
        self.capacity, self.sense, self.name, self.reference = float(limit), "max", name, reference
        self._room = self.capacity + allowance(self.weights, self.capacity)
        self._by_worth = np.argsort(-self.values / np.maximum(self.weights, 1e-12), kind="stable")

    @property
    def n_variables(self) -> int:
        """One for each item."""
        return len(self.values)

    @property
    def amounts(self) -> Floats:
        """All values."""
        return self.values

    @property
    def terms_size(self) -> float:
        """Of all values."""
        return float(np.abs(self.values).sum())

    def _build(self) -> QuadraticProblem:
        row = LinearConstraint("capacity", np.arange(self.n_variables), self.weights, "<=", self.capacity)
        names = [f"item{k + 1}" for k in range(self.n_variables)]
        return QuadraticProblem(self.values, sense="max", constraints=[row], names=names, name=self.name)

    def fits(self, bits: Bits) -> bool:
        """Whether the items are not too heavy."""
        return float(self.weights @ bits) <= self._room

    def decode(self, bits: Bits) -> Decoded[Bits]:
        """The items; where they are too heavy, those of least value for their weight are left until they fit."""
        taken = np.asarray(bits, np.uint8).copy()
        repaired = not self.fits(taken)
        for item in self._by_worth[::-1]:
            if self.fits(taken):
                break
            taken[item] = 0
        return Decoded(taken, self.value(taken), repaired)

    def encode(self, solution: Bits) -> Bits:
        """The items themselves."""
        return np.asarray(solution, np.uint8)

    def value(self, solution: Bits) -> float:
        """Value of the items taken."""
        return float(self.values @ solution)

    def start(self, rng: np.random.Generator) -> Bits:
        """Items in random order, each taken where it still fits."""
        taken = np.zeros(self.n_variables, np.uint8)
        for item in rng.permutation(self.n_variables):
            taken[item] = 1
            if not self.fits(taken):
                taken[item] = 0
        return taken

    def neighbourhood(self, bits: Bits, size: int, rng: np.random.Generator) -> Indices:
        """Items taken and items left, half each where there are as many, drawn at random."""
        inside, outside = (rng.permutation(np.flatnonzero(bits == side)) for side in (1, 0))
        n_inside = min(len(inside), max(size // 2, size - len(outside)))
        chosen = np.concatenate([inside[:n_inside], outside[: size - n_inside]])
        return np.sort(chosen).astype(np.int64)

    def classical(self, limit_s: float, seed: int, on_step: OnStep | None = None) -> ClassicalResult[Bits]:
        """HiGHS, by branch and bound."""
        from superpose.optimization.classical.highs import branch_and_bound

        bits, bound = branch_and_bound(self.problem, limit_s, on_step)
        found = None if bits is None else self.decode(bits).solution
        return ClassicalResult(found, bound, "HiGHS")

    def to_json(self, solution: Bits) -> dict[str, Any]:
        """Items counted from 1, and their weight."""
        return {"items": (np.flatnonzero(solution) + 1).tolist(), "weight": float(self.weights @ solution)}
