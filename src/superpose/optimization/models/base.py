"""What a problem from practice knows beyond its quadratic form: its own solutions, and how to keep them feasible."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemError
from superpose.optimization.budgets import OnStep
from superpose.optimization.quadratic import MAX_PAIRS, QuadraticProblem, Sense, is_whole

__all__ = ["MAX_VARIABLES", "Bits", "ClassicalResult", "Decoded", "Model"]

MAX_VARIABLES: Final = 20_000_000
"""Binary variables of a quadratic form, at most: some gigabytes."""

EPSILON: Final = float(np.finfo(np.float64).eps)

S = TypeVar("S")
Bits = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Decoded(Generic[S]):
    """A bit string in the domain's words.

    Attributes:
        solution: Feasible.
        value: Its objective.
        repaired: Whether the bit string itself was infeasible, so that the domain's repair had to change it.
    """

    solution: S
    value: float
    repaired: bool


@dataclass(frozen=True, slots=True)
class ClassicalResult(Generic[S]):
    """What a classical solver found and proved.

    Attributes:
        solution: Feasible, or None where none was found in time.
        bound: No solution is better than this (a lower bound to minimise, an upper one to maximise); None: none known.
        solver: Its name and, where it matters, its version.
    """

    solution: S | None
    bound: float | None
    solver: str


class Model(ABC, Generic[S]):
    """A problem of a known kind. Subclasses are values; `problem` is built when it is first asked for.

    Attributes:
        kind: "maxcut", "knapsack", "tsp", "cvrp", "jobshop" or "quadratic".
        sense: Whether the objective is to be small or large.
        name: Of the instance.
        reference: Best objective known from elsewhere, or None.
    """

    kind: ClassVar[str]
    sense: Sense
    name: str
    reference: float | None

    @cached_property
    def problem(self) -> QuadraticProblem:
        """The quadratic problem over binary variables.

        Raises:
            ProblemError: It would have more than `MAX_VARIABLES`, or more than `MAX_PAIRS` products and conflicts.
        """
        if self.n_variables > MAX_VARIABLES:
            raise ProblemError(
                f"The quadratic form of {self.name} has {self.n_variables:,} variables, which is too large (at most "
                f"{MAX_VARIABLES:,}); method 'classical' may do without it."
            )
        if self.n_pairs > MAX_PAIRS:
            raise ProblemError(
                f"The quadratic form of {self.name} is too large: it has more than {MAX_PAIRS:,} products and "
                "conflicts of two variables; method 'classical' may do without it."
            )
        return self._build()

    @property
    @abstractmethod
    def n_variables(self) -> int:
        """Number of binary variables of `problem`, which need not be built for this."""

    @property
    def n_pairs(self) -> int:
        """Products and conflicts of two variables in `problem`, which need not be built for this.

        Where they are more than `MAX_PAIRS`, some number above that.
        """
        return 0

    @abstractmethod
    def _build(self) -> QuadraticProblem: ...

    @abstractmethod
    def decode(self, bits: Bits) -> Decoded[S] | None:
        """Return the feasible solution that ``bits`` say, repaired where they say none; None where repair fails."""

    @abstractmethod
    def encode(self, solution: S) -> Bits:
        """Return the bits of a solution."""

    @abstractmethod
    def value(self, solution: S) -> float:
        """Return the objective, computed from the domain's data rather than from the quadratic form."""

    @abstractmethod
    def start(self, rng: np.random.Generator) -> S:
        """Return a feasible solution to begin with: drawn at random, not searched for.

        Raises:
            ProblemInfeasibleError: None was found.
        """

    @abstractmethod
    def neighbourhood(self, bits: Bits, size: int, rng: np.random.Generator) -> Indices:
        """Return at most ``size`` variables that are worth changing together, the others kept as in ``bits``."""

    @abstractmethod
    def classical(self, limit_s: float, seed: int, on_step: OnStep | None = None) -> ClassicalResult[S]:
        """Return what the strongest classical method at hand finds and proves within some seconds.

        Args:
            limit_s: Seconds that it may take.
            seed: Of all that is random.
            on_step: Called now and then; what it raises ends the solver, and the call.
        """

    @abstractmethod
    def to_json(self, solution: S) -> dict[str, Any]:
        """Return a solution as JSON values in the domain's words."""

    @property
    def constant(self) -> float:
        """The part of the objective that no solution changes."""
        return 0.0

    def rounding(self, value: float, other: float) -> float:
        """By how much objectives may differ that are called equal: a thousand millionth of what solutions change.

        Whole numbers that float64 tells apart differ by 1, however large they are.
        """
        size = max(abs(value - self.constant), abs(other - self.constant))
        found = 1e-9 * size + 1e-12 * self.terms_size + 4 * EPSILON * abs(self.constant)
        return min(found, 0.5) if self.is_whole else found

    @property
    @abstractmethod
    def amounts(self) -> Floats:
        """The numbers that objectives are sums of, in any order."""

    @cached_property
    def is_whole(self) -> bool:
        """Whether objectives are whole numbers, all of which float64 tells apart."""
        return is_whole(self.amounts)

    @property
    def terms_size(self) -> float:
        """Sizes of the objective's terms added up, where some are below 0 and may cancel; 0 where none is."""
        return 0.0

    def is_better(self, value: float, other: float) -> bool:
        """Whether an objective is better than another, beyond rounding."""
        sign = 1.0 if self.sense == "min" else -1.0
        return sign * (other - value) > self.rounding(value, other)
