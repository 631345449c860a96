"""Quadratic problems over binary variables: what is to be best, and what has to hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemError

__all__ = ["TOLERANCE", "LinearConstraint", "Pairs", "QuadraticProblem", "Relation", "Sense", "allowance", "is_whole"]

Sense = Literal["min", "max"]
Relation = Literal["<=", "==", ">="]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint8]

TOLERANCE: Final = 1e-9
"""By how much a constraint may be missed; where its largest coefficient is below 1, so much of that."""

MOST: Final = 1e100
"""That all coefficients of a problem may add up to: penalties multiply them, and variances square them."""


MAX_PAIRS: Final = 50_000_000
"""Pairs of variables that a quadratic form has, at most: their sorting takes some gigabytes."""

MOST_CONSTRAINED: Final = 1e90
"""That the coefficients of a constraint, and its bound, may add up to: penalties square them."""


def allowance(coefficients: Floats, bound: float) -> float:
    """By how much ``coefficients . x`` may miss a bound: `TOLERANCE`, and what floating point loses of decimals.

    In small units the tolerance is small too: it is no more than a thousand millionth of the largest coefficient.
    """
    sizes = np.abs(coefficients)
    lost = 4 * float(np.finfo(np.float64).eps) * (float(sizes.sum()) + abs(bound))
    return TOLERANCE * min(1.0, float(sizes.max(initial=0.0))) + lost


def is_whole(numbers: Floats) -> bool:
    """Whether numbers are whole, and so are their sums, of which float64 tells all apart."""
    return bool(np.all(numbers == np.rint(numbers))) and float(np.abs(numbers).sum()) < 2.0**53


@dataclass(frozen=True, eq=False)
class Pairs:
    """Terms ``sum(values * x[rows] * x[cols])``: each pair once, rows below cols, sorted, without zeros.

    Args:
        rows, cols: Indices, int64 ``(n_pairs,)``; in any order, pairs that stand twice are added up.
        values: Float64 ``(n_pairs,)``.
        n_variables: Indices lie below.

    Raises:
        ProblemError: Lengths differ, an index is outside or a pair is of one variable, or a value is not finite.
    """

    rows: Indices
    cols: Indices
    values: Floats

    def __init__(self, rows: npt.ArrayLike, cols: npt.ArrayLike, values: npt.ArrayLike, n_variables: int) -> None:
        a, b = np.asarray(rows, np.int64).reshape(-1), np.asarray(cols, np.int64).reshape(-1)
        v = np.asarray(values, np.float64).reshape(-1)
        if not len(a) == len(b) == len(v):
            raise ProblemError(
                f"Quadratic terms need equal lengths, got {len(a)} rows, {len(b)} columns, {len(v)} values."
            )
        low, high = np.minimum(a, b), np.maximum(a, b)
        if len(a) and (low.min() < 0 or high.max() >= n_variables):
            raise ProblemError(f"Quadratic terms name variables outside 0 .. {n_variables - 1}.")
        if np.any(low == high):
            raise ProblemError("A quadratic term joins two variables; x * x is x, so put it among the linear ones.")
        if not np.all(np.isfinite(v)):
            raise ProblemError("Coefficients must be finite.")
        keys, place = np.unique(low * n_variables + high, return_inverse=True)
        sums = np.bincount(place.reshape(-1), v, len(keys)).astype(np.float64)
        kept = sums != 0
        for name, array in (
            ("rows", keys[kept] // max(n_variables, 1)),
            ("cols", keys[kept] % max(n_variables, 1)),
            ("values", sums[kept]),
        ):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.values)

    def energy(self, x: Floats) -> Floats:
        """Return the sum of terms, float64 ``(batch,)``, for x ``(batch, n_variables)``."""
        out = np.zeros(len(x))
        chunk = max(1, 2**22 // max(len(x), 1))
        for start in range(0, len(self), chunk):
            part = slice(start, start + chunk)
            out += (x[:, self.rows[part]] * x[:, self.cols[part]]) @ self.values[part]
        return out


@dataclass(frozen=True, eq=False)
class LinearConstraint:
    """``sum(coefficients * x[indices]) relation bound``.

    Args:
        name: What the constraint says, in the domain's words.
        indices: Distinct variables.
        coefficients: As many numbers.
        relation: "<=", "==" or ">=".
        bound: The right-hand side.

    Raises:
        ProblemError: Lengths differ, variables repeat, a number is not finite, or another relation.
    """

    name: str
    indices: Indices
    coefficients: Floats
    relation: Relation
    bound: float

    def __init__(
        self, name: str, indices: npt.ArrayLike, coefficients: npt.ArrayLike, relation: Relation, bound: float
    ) -> None:
        places = np.asarray(indices, np.int64).reshape(-1)
        factors = np.broadcast_to(np.asarray(coefficients, np.float64), places.shape).copy()
        if len(np.unique(places)) != len(places):
            raise ProblemError(f"Constraint {name!r} names a variable twice; add its coefficients.")
        if relation not in ("<=", "==", ">="):
            raise ProblemError(f"Constraint {name!r} has the relation {relation!r}; allowed are <=, == and >=.")
        if not (np.all(np.isfinite(factors)) and np.isfinite(bound)):
            raise ProblemError(f"Constraint {name!r} has numbers that are not finite.")
        with np.errstate(over="ignore"):
            size = float(np.abs(factors).sum() + abs(float(bound)))
        if size > MOST_CONSTRAINED:
            raise ProblemError(
                f"The numbers of constraint {name!r} add up to {size:g} in size, {MOST_CONSTRAINED:g} at most can be "
                "weighed; choose larger units, and leave out a constraint that always holds."
            )
        largest = float(np.abs(factors).max(initial=0.0))
        if 0 < largest < 1 / MOST_CONSTRAINED:
            raise ProblemError(
                f"The coefficients of constraint {name!r} are {largest:g} at most, which cannot be weighed; choose "
                "smaller units."
            )
        for member, value in (
            ("name", str(name)),
            ("indices", places),
            ("coefficients", factors),
            ("relation", relation),
            ("bound", float(bound)),
        ):
            object.__setattr__(self, member, value)

    @property
    def is_one_hot(self) -> bool:
        """Whether it says that exactly one of its variables is 1."""
        return (
            self.relation == "==" and self.bound == 1 and len(self.indices) > 0 and bool(np.all(self.coefficients == 1))
        )

    def violation(self, x: Floats) -> Floats:
        """Return by how much it is missed, float64 ``(batch,)``, 0 where it holds but for `allowance`."""
        return self.missed_by(x[:, self.indices] @ self.coefficients)

    def missed_by(self, sums: Floats) -> Floats:
        """Return by how much sums ``coefficients . x`` miss the bound; see `violation`."""
        excess = sums - self.bound
        missed = np.abs(excess) if self.relation == "==" else excess if self.relation == "<=" else -excess
        found: Floats = np.where(missed <= allowance(self.coefficients, self.bound), 0.0, missed)
        return found


@dataclass(frozen=True, eq=False)
class QuadraticProblem:
    """Minimise or maximise ``constant + linear . x + sum(q_ij x_i x_j)`` over x in {0, 1}^n, under constraints.

    Args:
        linear: Float64 ``(n_variables,)``.
        quadratic: `Pairs`, or a mapping from ``(i, j)`` to a coefficient.
        constant: Added to the objective.
        sense: "min" or "max".
        constraints: Linear equalities and inequalities.
        conflicts: Pairs ``(n_conflicts, 2)`` of variables of which at most one may be 1; the same could be said by
            inequalities, but conflicts need neither slack variables nor memory for each.
        names: A name for each variable; by default x0, x1, ...
        name: Of the problem.

    Raises:
        ProblemError: Shapes do not fit, an index is outside, or a number is not finite.

    >>> one = LinearConstraint("one of them", [0, 1], 1, "==", 1)
    >>> problem = QuadraticProblem([1.0, 2.0], {(0, 1): -4.0}, constraints=[one])
    >>> problem.objective([[1, 0], [1, 1]]).tolist(), problem.is_feasible([[1, 0], [1, 1]]).tolist()
    ([1.0, -1.0], [True, False])
    """

    linear: Floats
    quadratic: Pairs
    constant: float = 0.0
    sense: Sense = "min"
    constraints: tuple[LinearConstraint, ...] = ()
    conflicts: Indices = field(default_factory=lambda: np.empty((0, 2), np.int64))
    names: tuple[str, ...] = ()
    name: str = "problem"

    def __init__(  # noqa: PLR0913  # the parts of a problem, all but the first are optional
        self,
        linear: npt.ArrayLike,
        quadratic: Pairs | Mapping[tuple[int, int], float] | None = None,
        *,
        constant: float = 0.0,
        sense: Sense = "min",
        constraints: Iterable[LinearConstraint] = (),
        conflicts: npt.ArrayLike | None = None,
        names: Sequence[str] = (),
        name: str = "problem",
    ) -> None:
        weights = np.array(linear, np.float64).reshape(-1)
        n = len(weights)
        if not isinstance(quadratic, Pairs):
            given = dict(quadratic or {})
            ends = np.array(list(given), np.int64).reshape(-1, 2)
            quadratic = Pairs(ends[:, 0], ends[:, 1], list(given.values()), n)
        pairs = np.empty((0, 2), np.int64) if conflicts is None else np.asarray(conflicts, np.int64).reshape(-1, 2)
        rows = tuple(constraints)
        if n < 1 or not np.all(np.isfinite(weights)) or not np.isfinite(constant):
            raise ProblemError("A problem needs at least one variable, and finite coefficients.")
        with np.errstate(over="ignore"):
            size = float(np.abs(weights).sum() + np.abs(quadratic.values).sum() + abs(constant))
        if size > MOST:
            raise ProblemError(
                f"Coefficients add up to {size:g} in size, {MOST:g} at most can be weighed; choose larger units."
            )
        if sense not in ("min", "max"):
            raise ProblemError(f"sense must be 'min' or 'max', got {sense!r}.")
        if np.any(pairs[:, 0] == pairs[:, 1]):
            raise ProblemError("A conflict is of two variables; one that must be 0 is better left out.")
        used = np.concatenate([pairs.reshape(-1), quadratic.cols, *(row.indices for row in rows)])
        if len(used) and (used.min() < 0 or used.max() >= n):
            raise ProblemError(f"A constraint or term names a variable outside 0 .. {n - 1}.")
        labels = tuple(names) or tuple(f"x{k}" for k in range(n))
        if len(labels) != n:
            raise ProblemError(f"{n} variables need as many names, got {len(labels)}.")
        parts: dict[str, Any] = {"linear": weights, "quadratic": quadratic, "constant": float(constant), "sense": sense}
        parts |= {"constraints": rows, "conflicts": pairs, "names": labels, "name": name}
        for member, value in parts.items():
            object.__setattr__(self, member, value)

    @property
    def n_variables(self) -> int:
        """Number of binary variables."""
        return len(self.linear)

    @property
    def amounts(self) -> Floats:
        """The numbers that the objective is a sum of: coefficients and constant."""
        return np.concatenate([self.linear, self.quadratic.values, [self.constant]])

    @property
    def sign(self) -> float:
        """1 to minimise, -1 to maximise: ``sign * objective`` is what gets smaller."""
        return 1.0 if self.sense == "min" else -1.0

    @cached_property
    def one_hot_groups(self) -> tuple[Indices, ...]:
        """Disjoint sets of variables of which exactly one is 1, in the order of the constraints that say so."""
        taken: set[int] = set()
        groups = []
        for row in self.constraints:
            if row.is_one_hot and not taken & set(row.indices.tolist()):
                groups.append(row.indices)
                taken |= set(row.indices.tolist())
        return tuple(groups)

    def objective(self, x: npt.ArrayLike) -> Floats:
        """Return the objective, float64 ``(batch,)``, of x ``(batch, n_variables)``."""
        bits = self._bits(x)
        return self.constant + bits @ self.linear + self.quadratic.energy(bits)

    def violations(self, x: npt.ArrayLike) -> Floats:
        """Return how far each constraint is missed, ``(batch, n_constraints + 1)``; the last counts conflicts."""
        bits = self._bits(x)
        clashes = (bits[:, self.conflicts[:, 0]] * bits[:, self.conflicts[:, 1]]).sum(axis=1)
        return np.stack([*(row.violation(bits) for row in self.constraints), clashes], axis=1)

    def is_feasible(self, x: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return whether all constraints hold, ``(batch,)``."""
        found: npt.NDArray[np.bool_] = np.all(self.violations(x) == 0, axis=1)
        return found

    def after_flips(self, x: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return what each single flip of bits x ``(n_variables,)`` makes of them, without a string for each.

        Returns:
            The sum of `violations` and the objective after the flip of each variable, float64 ``(n_variables,)``.

        Cost: memory and time linear in the variables and in the terms of objective, constraints and conflicts.
        """
        bits = self._bits(x)[0]
        turn = 1.0 - 2.0 * bits
        change = self.linear.copy()
        left = np.full(self.n_variables, float(self.violations(bits).sum()))
        for rows, cols, values, into in (
            (self.quadratic.rows, self.quadratic.cols, self.quadratic.values, change),
            (self.conflicts[:, 0], self.conflicts[:, 1], np.ones(len(self.conflicts)), clashes := np.zeros_like(left)),
        ):
            np.add.at(into, rows, values * bits[cols])
            np.add.at(into, cols, values * bits[rows])
        left += turn * clashes
        for row in self.constraints:
            present = bits[row.indices] @ row.coefficients
            flipped = row.missed_by(present + turn[row.indices] * row.coefficients)
            left[row.indices] += flipped - row.missed_by(np.array(present))
        return left, float(self.objective(bits)[0]) + turn * change

    def restricted(self, x: npt.ArrayLike, free: npt.ArrayLike) -> tuple[QuadraticProblem, Indices]:
        """Return the problem that is left where all variables but ``free`` keep the values they have in x.

        Free variables in conflict with a kept 1 are kept at 0, so that the rest may be smaller.

        Args:
            x: Bits ``(n_variables,)``.
            free: Indices of the variables that may change.

        Returns:
            The smaller problem, whose objective is that of the whole, and the indices of its variables in this one.

        Raises:
            ProblemError: Nothing is left free.
        """
        bits = self._bits(x)[0].copy()
        mask = np.zeros(self.n_variables, bool)
        mask[np.asarray(free, np.int64)] = True
        for a, b in (self.conflicts.T, self.conflicts.T[::-1]):
            ruled_out = b[mask[b] & ~mask[a] & (bits[a] == 1)]
            mask[ruled_out] = False
            bits[ruled_out] = 0
        kept = np.flatnonzero(mask)
        if not len(kept):
            raise ProblemError("No variable is left free.")
        place = np.full(self.n_variables, -1)
        place[kept] = np.arange(len(kept))
        fixed = np.where(mask, 0.0, bits)
        rows, cols, values = self.quadratic.rows, self.quadratic.cols, self.quadratic.values
        linear = self.linear.copy()
        np.add.at(linear, rows, values * fixed[cols])
        np.add.at(linear, cols, values * fixed[rows])
        inside = mask[rows] & mask[cols]
        constant = self.constant + float(fixed @ self.linear + self.quadratic.energy(fixed[None])[0])
        left = []
        for row in self.constraints:
            here = mask[row.indices]
            if here.any():
                rest = _less(row.bound, row.coefficients[~here][fixed[row.indices[~here]] == 1])
                left.append(
                    LinearConstraint(row.name, place[row.indices[here]], row.coefficients[here], row.relation, rest)
                )
        both = mask[self.conflicts].all(axis=1)
        smaller = QuadraticProblem(
            linear[kept],
            Pairs(place[rows[inside]], place[cols[inside]], values[inside], len(kept)),
            constant=constant,
            sense=self.sense,
            constraints=left,
            conflicts=place[self.conflicts[both]],
            names=[self.names[k] for k in kept],
            name=self.name,
        )
        return smaller, kept

    def _bits(self, x: npt.ArrayLike) -> Floats:
        bits = np.atleast_2d(np.asarray(x, np.float64))
        if bits.shape[-1] != self.n_variables:
            raise ProblemError(f"{self.name} has {self.n_variables} variables, got x.shape={np.shape(x)}.")
        return bits


def _less(bound: float, taken: Floats) -> float:
    """The bound less what is taken of it, in decimals where numbers have any: what is left keeps no more than they."""
    if bound == np.rint(bound) and np.all(taken == np.rint(taken)):
        return bound - float(taken.sum())
    return float(Decimal(repr(bound)) - sum(Decimal(repr(one)) for one in taken.tolist()))
