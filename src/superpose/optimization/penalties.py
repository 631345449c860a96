"""Constraints as penalties: the QUBO whose best solutions are the problem's, with a stated bound for each weight.

For a problem to be minimised let L be a lower bound of the objective over *all* bit strings, and U the objective of a
feasible one, or an upper bound over all. A violated constraint of smallest possible violation d costs at least
``weight * d**2``. With ``weight * d**2 > U - L`` every infeasible string lies above U, hence above the optimum: the
minima of the QUBO are exactly the optima of the problem. Weights here are 1.05 times that bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from superpose.circuits.wording import shown
from superpose.errors import ProblemError, ProblemInfeasibleError
from superpose.optimization.quadratic import MAX_PAIRS, LinearConstraint, Pairs, QuadraticProblem, allowance
from superpose.optimization.qubo import Qubo

__all__ = ["PenalisedQubo", "PenaltyTerm", "objective_range", "penalised"]

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.uint8]

MARGIN: Final = 1.05
MAX_SCALE: Final = 1e6
"""The largest multiple of the stated weights: beside larger ones float64 loses the objective."""

MAX_DECIMALS: Final = 9
ROUNDING: Final = 4 * float(np.finfo(np.float64).eps)
MAX_SLACK_BITS: Final = 16


@dataclass(frozen=True, slots=True)
class PenaltyTerm:
    """How a kind of constraint became part of a QUBO.

    Attributes:
        constraint: Its name; constraints of equal treatment share a term.
        n_constraints: How many of them.
        weight: What the square of the violation is multiplied by.
        smallest_violation: The least by which the constraint can be missed.
        n_slack: Slack bits, all constraints of the term together.
        rounded_to: Grid to which coefficients were rounded up, where their exact slack would need too many bits; else
            None. Solutions of the rounded constraint meet the exact one, and the best solution may be lost.
        bound: Why this weight suffices, with the figures.
    """

    constraint: str
    n_constraints: int
    weight: float
    smallest_violation: float
    n_slack: int
    rounded_to: float | None
    bound: str


@dataclass(frozen=True, eq=False)
class PenalisedQubo:
    """A problem as a QUBO: the problem's variables first, slack bits behind them.

    Attributes:
        qubo: To be minimised.
        problem: What it was made of.
        terms: How constraints became penalties.
        lower, upper: The bounds L and U of the objective as minimised.
        reasons: Why the minima may not be exactly the optima: weights below their bound, coefficients that were
            rounded, or penalties so large that float64 loses differences of the objective beside them. Empty where none
            holds.
    """

    qubo: Qubo
    problem: QuadraticProblem
    terms: tuple[PenaltyTerm, ...]
    lower: float
    upper: float
    reasons: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether the minima are exactly the optima: there is no reason against it."""
        return not self.reasons

    @property
    def n_slack(self) -> int:
        """Number of slack bits."""
        return self.qubo.n_variables - self.problem.n_variables

    def bits(self, samples: npt.ArrayLike) -> Bits:
        """Return the problem's own variables, uint8 ``(batch, n_variables)``, of samples with slack bits."""
        return np.atleast_2d(np.asarray(samples))[:, : self.problem.n_variables].astype(np.uint8)

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        facts = {"n_variables": self.problem.n_variables, "n_slack": self.n_slack, "n_pairs": len(self.qubo.quadratic)}
        return {
            **facts,
            "objective_lower": self.lower,
            "objective_upper": self.upper,
            "exact": self.exact,
            "reasons": list(self.reasons),
            "terms": [asdict(term) for term in self.terms],
        }


def objective_range(problem: QuadraticProblem) -> tuple[float, float]:
    """Return bounds of ``sign * objective`` over all bit strings: each term at its lower, and at its upper end.

    >>> objective_range(QuadraticProblem([1.0, -2.0], {(0, 1): 3.0}))
    (-2.0, 4.0)
    """
    terms = np.concatenate([problem.linear, problem.quadratic.values]) * problem.sign
    base = problem.sign * problem.constant
    return base + float(np.minimum(terms, 0).sum()), base + float(np.maximum(terms, 0).sum())


def penalised(
    problem: QuadraticProblem,
    *,
    feasible_value: float | None = None,
    scale: float = 1.0,
    max_slack_bits: int = MAX_SLACK_BITS,
) -> PenalisedQubo:
    """Return the problem as a QUBO.

    Equalities become ``weight * (a . x - b)**2``; inequalities too, with slack bits that fill exactly what a . x may
    leave of b; "at most one" and conflicts become ``weight * x_i * x_j``, without slack.

    Args:
        problem: Of either sense; the QUBO is to be minimised.
        feasible_value: Objective of some feasible solution, which makes the bound U tighter.
        scale: Weights are this multiple of the stated ones. Below 1 the guarantee is lost, and told so.
        max_slack_bits: For each inequality; where more would be needed, coefficients are rounded up to a coarser grid.

    Raises:
        ProblemInfeasibleError: A constraint cannot be met by any bit string.
        ProblemError: A coefficient of an equality has more than nine decimals that count (an inequality's are rounded
            up, and told), ``scale`` is not positive or above 1e6, or the QUBO would have more than `MAX_PAIRS`
            products.

    Cost: a term for each pair of variables of a constraint.
    """
    if not 0 < scale <= MAX_SCALE:
        raise ProblemError(
            f"The scale of penalties must be a positive number of at most {MAX_SCALE:g}, got {shown(scale)}."
        )
    lower, upper = objective_range(problem)
    known = feasible_value is not None
    if feasible_value is not None:
        upper = min(upper, problem.sign * feasible_value)
    gap = max(upper - lower, 0.0) or 1.0
    build = _Build(problem, gap * MARGIN * scale)
    forms = [_Form(row, max_slack_bits) for row in problem.constraints]
    n_pairs = len(problem.quadratic) + len(problem.conflicts) + sum(form.n_pairs for form in forms)
    if n_pairs > MAX_PAIRS:
        raise ProblemError(
            f"The QUBO of {problem.name} has {n_pairs:,} products of two variables, which are too many (at most "
            f"{MAX_PAIRS:,}): a constraint's penalty has one for each pair of its variables."
        )
    for form in forms:
        build.add(form)
    if len(problem.conflicts):
        build.exclude("conflicts", problem.conflicts)
    source = "objective of a feasible solution that is known" if known else "upper bound of the objective"
    why = (
        f"d^2 * weight = {scale * MARGIN:g} * (U - L), U = {upper:g} ({source}), L = {lower:g} (each term at its least)"
    )
    if scale * MARGIN <= 1:
        why += "; below U - L, so that the best bit string may be infeasible"
    terms = build.terms(why)
    reasons = []
    if scale * MARGIN <= 1:
        reasons.append(f"weights are {scale * MARGIN:g} of U - L, which must be above 1: leave scale at 1")
    if rounded := [term.constraint for term in terms if term.rounded_to is not None]:
        reasons.append(f"coefficients of {', '.join(rounded)} were rounded up: allow more slack bits")
    if lost := _lost(problem, build.size, (MARGIN * scale - 1) * gap):
        reasons.append(lost)
    return PenalisedQubo(build.qubo(), problem, terms, lower, upper, tuple(reasons))


def _lost(problem: QuadraticProblem, penalties: float, margin: float) -> str:
    """Why float64 does not resolve the objective beside the penalties; "" where it does.

    Terms of a penalty cancel out at feasible strings, but for rounding: seen 0.7 eps times their size at most (15,000
    random equalities of up to 7 variables), 4 eps are reckoned. Half of the objective's smallest difference has to be
    more than that, and so has the margin by which infeasible strings lie above all others.

    Args:
        problem: The problem.
        penalties: How large the terms that cancel out are together.
        margin: By how much infeasible strings lie above all others; not above 0 where they need not.
    """
    size = float(np.abs(problem.linear).sum() + np.abs(problem.quadratic.values).sum()) + abs(problem.constant)
    missed, step = ROUNDING * (size + penalties), _smallest_difference(problem)
    told = [
        *([f"objectives differ by {step:.2g} at least"] if step and missed >= step / 2 else []),
        *([f"infeasible strings lie {margin:.2g} above"] if 0 < margin <= missed else []),
    ]
    if not (penalties and told):
        return ""
    return (
        f"float64 is off by some {missed:.2g} where penalties of {penalties:.2g} cancel out, and {' and '.join(told)}: "
        f"choose larger units in the constraints, or round their coefficients"
    )


def _smallest_difference(problem: QuadraticProblem) -> float:
    """What all coefficients of the objective are multiples of, where they have few decimals; else the smallest one.

    Two strings whose objectives differ do so by the former at least; of coefficients of many decimals nothing is known
    so easily, and the smallest tells of the single bits alone. 0 where the objective is constant.
    """
    sizes = np.abs(np.concatenate([problem.linear, problem.quadratic.values]))
    sizes = sizes[sizes > 0]
    if not len(sizes):
        return 0.0
    smallest = float(sizes.min())
    if sizes.max() > smallest / float(np.finfo(np.float64).eps):
        return smallest
    power = 10.0 ** math.floor(math.log10(smallest))
    for decimals in range(MAX_DECIMALS + 1):
        scaled = sizes / power * 10.0**decimals
        whole = np.rint(scaled)
        if np.all(np.abs(scaled - whole) <= ROUNDING * scaled):
            return math.gcd(*(int(k) for k in whole)) * power / 10.0**decimals
    return smallest


class _Form:
    """A constraint as ``a . x (+ slack) = b`` in whole multiples of a unit."""

    def __init__(self, row: LinearConstraint, max_slack_bits: int) -> None:
        self.row = row
        sign = -1.0 if row.relation == ">=" else 1.0
        scale, numbers, bound, is_rounded = _whole(row, sign)
        self.rounded_to: float | None = 1 / scale if is_rounded else None
        step = math.gcd(*(abs(k) for k in numbers)) or 1
        self.slack: list[int] = []
        least, most = sum(k for k in numbers if k < 0), sum(k for k in numbers if k > 0)
        if row.relation == "==":
            if bound % step or not least <= bound <= most:
                raise ProblemInfeasibleError(f"No bit string meets {row.name!r}.", constraint=row.name)
            self.redundant = False
        else:
            if least > bound:
                _check_meetable(row, sign)
            self.redundant = most <= bound
        self.a, self.b, self.unit = [k // step for k in numbers], bound // step, step / scale
        self.at_most_one = row.relation != "==" and self.b == 1 and all(k == 1 for k in self.a)
        if row.relation != "==" and not self.redundant and not self.at_most_one:
            self._fill(max_slack_bits)

    @property
    def n_pairs(self) -> int:
        """Products of two variables in the penalty."""
        n = 0 if self.redundant else len(self.a) + len(self.slack)
        return n * (n - 1) // 2

    def _fill(self, max_bits: int) -> None:
        """Give it slack bits that sum up to every value from 0 to what a . x may leave of b."""
        reach = max(0, self.b - sum(k for k in self.a if k < 0))
        coarse = max(1, -(-(reach + 1) // 2**max_bits))
        if coarse > 1:
            self.a, self.b = [-(-k // coarse) for k in self.a], self.b // coarse
            self.unit *= coarse
            self.rounded_to = self.unit
            reach = max(0, self.b - sum(k for k in self.a if k < 0))
        size = 1
        while reach > 0:
            self.slack.append(min(size, reach))
            reach -= self.slack[-1]
            size *= 2


class _Build:
    """Collects the terms of a QUBO."""

    def __init__(self, problem: QuadraticProblem, cost: float) -> None:
        self.problem, self.cost, self.n = problem, cost, problem.n_variables
        self.constant = problem.sign * problem.constant
        self.size = 0.0
        self._linear: list[tuple[npt.NDArray[np.int64], Floats]] = []
        pairs = problem.quadratic
        self._pairs: list[tuple[Any, Any, Any]] = [(pairs.rows, pairs.cols, problem.sign * pairs.values)]
        self._told: dict[tuple[str, float, float | None], list[int]] = {}

    def add(self, form: _Form) -> None:
        """Add a constraint's penalty."""
        if form.redundant:
            return
        if form.at_most_one:
            places = form.row.indices
            first, second = np.triu_indices(len(places), 1)
            self.exclude(_kind(form.row.name), np.stack([places[first], places[second]], axis=1))
            return
        new = self.n + np.arange(len(form.slack))
        self.n += len(form.slack)
        places, a = np.concatenate([form.row.indices, new]), np.array([*form.a, *form.slack], np.float64)
        weight = self.cost  # of whole multiples of the unit, whose least violation is 1
        self.constant += weight * form.b**2
        # at a feasible string a . x = b, so that its terms are no larger than b and what is negative among them
        self.size += weight * 4.0 * float(abs(form.b) - sum(k for k in form.a if k < 0)) ** 2
        self._linear.append((places, weight * (a * a - 2 * form.b * a)))
        first, second = np.triu_indices(len(places), 1)
        self._pairs.append((places[first], places[second], 2 * weight * a[first] * a[second]))
        counts = self._told.setdefault((_kind(form.row.name), form.unit, form.rounded_to), [0, 0])
        counts[0] += 1
        counts[1] += len(form.slack)

    def exclude(self, name: str, pairs: npt.NDArray[np.int64]) -> None:
        """Add a penalty for each pair of ones."""
        self._pairs.append((pairs[:, 0], pairs[:, 1], np.full(len(pairs), self.cost)))
        self._told.setdefault((name, 1.0, None), [0, 0])[0] += len(pairs)

    def qubo(self) -> Qubo:
        """The sum of all."""
        linear = np.zeros(self.n)
        linear[: self.problem.n_variables] = self.problem.sign * self.problem.linear
        for places, values in self._linear:
            np.add.at(linear, places, values)
        rows, cols, values = (np.concatenate(column) for column in zip(*self._pairs, strict=True))
        return Qubo(linear, Pairs(rows, cols, values, self.n), self.constant)

    def terms(self, why: str) -> tuple[PenaltyTerm, ...]:
        """What was told, constraints of one kind together."""
        return tuple(
            PenaltyTerm(name, counts[0], self.cost / unit**2, unit, counts[1], rounded, f"{why}, d = {unit:g}")
            for (name, unit, rounded), counts in self._told.items()
        )


def _kind(name: str) -> str:
    """The words before a colon: "city once: 3" is of the kind "city once"."""
    return name.partition(":")[0]


def _check_meetable(row: LinearConstraint, sign: float) -> None:
    """Raise what an inequality is that nothing meets, or nothing once its coefficients are rounded up."""
    taken = sign * row.coefficients
    if float(taken[taken < 0].sum()) > sign * row.bound + allowance(row.coefficients, row.bound):
        raise ProblemInfeasibleError(f"No bit string meets {row.name!r}.", constraint=row.name)
    raise _too_fine(row)


def _whole(row: LinearConstraint, sign: float) -> tuple[int, Sequence[int], int, bool]:
    """A power of ten, coefficients and bound times it, all whole, and whether coefficients had to be rounded up.

    Decimals count from the first of the largest coefficient. What an inequality's bound has beyond those of the
    coefficients decides nothing; of coefficients with more than nine, nine are kept.
    """
    numbers, bound = sign * row.coefficients, sign * row.bound
    largest = float(np.abs(numbers).max(initial=0.0))
    first = max(0, -math.floor(math.log10(largest))) if largest > 0 else 0
    some = allowance(numbers, bound)
    for decimals in range(first, first + MAX_DECIMALS + 1):
        a, b = (_multiples(values, decimals) for values in (numbers, np.array([bound])))
        if a is not None and b is not None:
            return 10**decimals, a, b[0], False
        if a is not None and row.relation != "==":
            return 10**decimals, a, math.floor((bound + some) * 10.0**decimals), False
    if row.relation == "==":
        raise _too_fine(row)
    scale = 10.0 ** (first + MAX_DECIMALS)
    up = [math.ceil(k) for k in (numbers * scale).tolist()]
    return 10 ** (first + MAX_DECIMALS), up, math.floor((bound + some) * scale), True


def _multiples(values: Floats, decimals: int) -> list[int] | None:
    """Values times a power of ten, if they are whole."""
    scaled = values * 10.0**decimals
    whole = np.rint(scaled)
    if not np.all(np.abs(scaled - whole) <= np.maximum(1e-9, ROUNDING * np.abs(scaled))):
        return None
    return [int(k) for k in whole]


def _too_fine(row: LinearConstraint) -> ProblemError:
    return ProblemError(
        f"Constraint {row.name!r} has coefficients of more than {MAX_DECIMALS} decimals that count; round them."
    )
