"""Problems, their QUBO and Ising forms, and penalties: exact, and safe by the stated bound."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superpose.errors import ProblemError, ProblemInfeasibleError
from superpose.optimization import Ising, LinearConstraint, Pairs, QuadraticProblem, Qubo, penalised
from superpose.optimization.quadratic import Relation


def strings(n: int) -> np.ndarray:
    """All bit strings, variable 0 most significant."""
    return np.array(list(product((0, 1), repeat=n)), np.uint8)


def drawn_qubo(rng: np.random.Generator, n: int) -> Qubo:
    return Qubo.of_matrix(rng.normal(size=(n, n)), float(rng.normal()))


@given(st.integers(1, 6), st.integers(0, 10**6))
def test_qubo_ising_and_observable_have_the_same_energies(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, n))
    qubo = Qubo.of_matrix(matrix, 0.5)
    x = strings(n)
    expected = np.array([row @ matrix @ row + 0.5 for row in x.astype(float)])
    assert np.allclose(qubo.energy(x), expected)
    assert np.allclose(qubo.all_energies(), expected)
    ising = qubo.ising()
    assert np.allclose(ising.energy(1 - 2.0 * x), expected)
    assert np.allclose(ising.qubo().energy(x), expected)
    assert np.allclose(np.diag(ising.observable().matrix()).real, expected)
    assert np.allclose(Ising.of_observable(ising.observable()).energy(1 - 2.0 * x), expected)
    assert np.allclose(qubo.problem().objective(x), expected)
    assert np.allclose(Qubo.of_matrix(qubo.matrix(), qubo.constant).energy(x), expected)


def test_an_observable_with_other_letters_is_no_ising_problem() -> None:
    from superpose import Observable

    for word in ("XI", "ZZZ"):
        with pytest.raises(ProblemError, match="at most two Z"):
            Ising.of_observable(Observable(word))


def drawn_problem(rng: np.random.Generator) -> QuadraticProblem:
    """A problem with an equality, two inequalities and conflicts, of which some bit string is feasible."""
    n = int(rng.integers(3, 6))
    hidden = rng.integers(0, 2, n)
    a, b = rng.integers(-3, 4, n), rng.integers(1, 5, n)
    rows = [
        LinearConstraint("equal", np.arange(n), a, "==", float(a @ hidden)),
        LinearConstraint("below", np.arange(n), b, "<=", float(b @ hidden + rng.integers(0, 3))),
        LinearConstraint("above", np.arange(n), b / 2, ">=", float(b @ hidden) / 2 - 0.5),
    ]
    pairs = [(i, j) for i in range(n) for j in range(i) if not hidden[i] * hidden[j]]
    conflicts = [pairs[int(rng.integers(len(pairs)))]] if pairs else []
    quadratic = {(i, j): float(rng.normal()) for i in range(n) for j in range(i)}
    sense = "min" if rng.random() < 0.5 else "max"
    return QuadraticProblem(rng.normal(size=n), quadratic, sense=sense, constraints=rows, conflicts=conflicts)


@given(st.integers(0, 10**6), st.booleans())
def test_the_minima_of_the_qubo_are_the_optima_of_the_problem(seed: int, with_known: bool) -> None:
    problem = drawn_problem(np.random.default_rng(seed))
    x = strings(problem.n_variables)
    ok = problem.is_feasible(x)
    values = np.where(ok, problem.sign * problem.objective(x), np.inf)
    known = float(problem.sign * values[ok].max()) if with_known else None
    form = penalised(problem, feasible_value=known)
    if form.qubo.n_variables > 16:
        return
    energies = form.qubo.all_energies().reshape(len(x), -1).min(axis=1)  # the best slack for each string
    assert form.exact
    assert np.allclose(energies[ok], values[ok])
    assert energies[~ok].min(initial=np.inf) > values.min()
    rounding = 1e-9 * (1 + np.abs(values[ok]).max())  # two strings may come close to each other, but not so close
    best = np.flatnonzero(energies <= energies.min() + rounding)
    assert set(best) == set(np.flatnonzero(values <= values.min() + rounding))


def test_terms_state_weight_violation_slack_and_bound() -> None:
    row = LinearConstraint("capacity: 1", [0, 1, 2], [2, 4, 6], "<=", 9)
    form = penalised(QuadraticProblem([-3.0, -4.0, -5.0], constraints=[row]), feasible_value=-3.0)
    (term,) = form.terms
    assert (term.constraint, term.n_constraints, term.smallest_violation, term.n_slack) == ("capacity", 1, 2.0, 3)
    assert term.weight == pytest.approx(1.05 * (-3 + 12) / 4)
    assert "U = -3" in term.bound
    assert "L = -12" in term.bound
    assert form.to_json()["n_slack"] == 3
    loose = penalised(QuadraticProblem([-3.0, -4.0, -5.0], constraints=[row]), scale=0.5)
    assert not loose.exact and loose.reasons == ("weights are 0.525 of U - L, which must be above 1: leave scale at 1",)
    assert form.to_json()["reasons"] == []
    assert "may be infeasible" in loose.terms[0].bound


def test_long_coefficients_are_rounded_towards_safety_and_told() -> None:
    weights = np.array([10.317, 20.591, 31.009, 7.77])
    problem = QuadraticProblem(-np.ones(4), constraints=[LinearConstraint("load", np.arange(4), weights, "<=", 41.5)])
    form = penalised(problem, max_slack_bits=4)
    assert form.n_slack <= 4
    assert not form.exact
    assert form.terms[0].rounded_to is not None
    assert form.reasons == ("coefficients of load were rounded up: allow more slack bits",)
    energies = form.qubo.all_energies().reshape(16, -1).min(axis=1)
    assert problem.is_feasible(strings(4)[np.argmin(energies)])[0]


@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_an_objective_that_float64_loses_beside_penalties_is_told(unit: float) -> None:
    """Of two strings that meet an equality of ten digits the dearer one has the lower energy, or the same."""
    large = 3e9 + 7  # weight * large**2 swallows differences of the objective
    rows = [LinearConstraint("digits", [0, 1, 2, 3], [large, large, large - 1, large + 1], "==", 2 * large)]
    problem = QuadraticProblem(np.array([1.0, 1.0, 1.0, 2.0]) * unit, constraints=rows)
    form = penalised(problem)
    feasible = strings(4)[problem.is_feasible(strings(4))]
    misses = np.abs(form.qubo.energy(feasible) - problem.objective(feasible))
    assert misses.max() > unit  # more than two solutions differ by
    (reason,) = form.reasons
    assert (
        not form.exact and f"objectives differ by {unit:.2g} at least" in reason and ": choose larger units" in reason
    )
    small = [LinearConstraint("digits", [0, 1, 2, 3], [7, 7, 6, 8], "==", 14)]
    assert penalised(QuadraticProblem(problem.linear, constraints=small)).exact


@given(st.integers(0, 10**6), st.integers(0, 12))
def test_where_the_form_is_exact_float64_tells_whole_objectives_apart(seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 8))
    hidden, a = rng.integers(0, 2, n), rng.integers(1, 10**digits + 1, n)
    rows = [LinearConstraint("equal", np.arange(n), a, "==", float(a @ hidden))]
    quadratic = {(i, j): float(rng.integers(-9, 10)) / 10 for i in range(n) for j in range(i)}
    problem = QuadraticProblem(rng.integers(-9, 10, n) / 10, quadratic, constraints=rows)
    form, x = penalised(problem), strings(n)
    ok = problem.is_feasible(x)
    misses = np.abs(form.qubo.energy(x[ok]) - problem.objective(x[ok])).max()
    if form.exact:
        assert misses < 0.05
        assert form.qubo.energy(x[~ok]).min(initial=np.inf) > form.qubo.energy(x[ok]).min()
    assert form.exact or digits > 4  # never without need where numbers are small


@pytest.mark.parametrize(
    ("coefficients", "step"),
    [
        ([3.0, -6.0, 9.0], 3.0),
        ([1000.1, 1000.2], 0.1),
        ([0.3, 0.1], 0.1),
        ([2.5e-7, 1e-7], 5e-8),
        ([math.pi, -math.e], math.e),
        ([1e90, 1e-90], 1e-90),
    ],
)
def test_the_smallest_difference_of_an_objective(coefficients: list[float], step: float) -> None:
    row = LinearConstraint("digits", [0, 1], [10**9 + 7, 10**9 + 9], "==", 10**9 + 7)
    (reason,) = penalised(QuadraticProblem(coefficients, constraints=[row])).reasons
    assert f"objectives differ by {step:.2g} at least" in reason


def test_large_numbers_keep_their_decimals() -> None:
    row = LinearConstraint("both", [0, 1], [2e9 + 0.4, 2e9 + 0.4], "<=", 4e9)
    form = penalised(QuadraticProblem([-1.0, -1.0], constraints=[row]))
    assert not row.violation(np.array([[1.0, 0.0]])).any()
    assert form.problem.is_feasible(form.bits([[1, 0]]))[0]
    lowest = form.qubo.all_energies().reshape(4, -1).min(axis=1)
    assert lowest[3] > lowest[1]  # too much by 0.8
    equal = LinearConstraint("equal", [0, 1], [2e9 + 0.4, 2e9 + 0.4], "==", 4e9 + 0.8)
    assert np.argmin(penalised(QuadraticProblem([1.0, 1.0], constraints=[equal])).qubo.all_energies()) == 3


@given(st.integers(0, 10**6))
def test_what_holds_in_decimals_holds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cents = rng.integers(1, 10**10, 12)
    chosen = rng.integers(0, 2, 12)
    total = int(cents @ chosen)
    for relation in ("==", "<=", ">="):
        row = LinearConstraint("sum", np.arange(12), cents / 100, relation, total / 100)
        problem = QuadraticProblem(np.ones(12), constraints=[row])
        assert problem.is_feasible(chosen)[0]
        free = rng.permutation(12)[:3]
        small, kept = problem.restricted(chosen, free)
        assert small.is_feasible(chosen[kept])[0]
        form = penalised(small)  # what is left has two decimals, as all
        energies = form.qubo.all_energies().reshape(8, -1).min(axis=1)
        assert form.terms == () or form.problem.is_feasible(strings(3)[np.argmin(energies)])[0]
    off = 1 if total < cents.sum() else -1
    missed = LinearConstraint("sum", np.arange(12), cents / 100, "==", (total + off) / 100)
    assert not QuadraticProblem(np.ones(12), constraints=[missed]).is_feasible(chosen)[0]


@given(st.integers(0, 10**6), st.sampled_from(["<=", ">="]), st.sampled_from([1e-8, 1.0, 1e8]))
def test_inequalities_of_any_decimals_are_kept_to(seed: int, relation: Relation, unit: float) -> None:
    rng = np.random.default_rng(seed)
    measured, bound = unit * rng.random(5), unit * 2.5 * float(rng.random())
    problem = QuadraticProblem(
        rng.integers(-5, 6, 5), constraints=[LinearConstraint("load", np.arange(5), measured, relation, bound)]
    )
    feasible = problem.is_feasible(strings(5))
    try:
        form = penalised(problem, max_slack_bits=6)
    except (ProblemInfeasibleError, ProblemError):  # or too near to the bound, of which rounding leaves nothing
        assert feasible.sum() <= 1
        return
    lowest = form.qubo.all_energies().reshape(32, -1).min(axis=1)
    assert np.all(lowest[~feasible] > form.upper - 1e-6)
    assert np.all(lowest[feasible] >= problem.objective(strings(5))[feasible] - 1e-6)
    if form.terms:
        assert not form.exact
        assert form.terms[0].rounded_to is not None


@pytest.mark.parametrize(("relation", "bound", "best"), [("<=", 10 / 3, 3), (">=", 10 / 3, 4)])
def test_a_bound_of_more_decimals_than_its_coefficients_is_exact(relation: Relation, bound: float, best: int) -> None:
    row = LinearConstraint("load", [0, 1, 2], [1, 3, 4], relation, bound)
    problem = QuadraticProblem([1, 3, 4], constraints=[row], sense="max" if relation == "<=" else "min")
    form = penalised(problem)
    assert form.exact
    found = form.bits([[*np.binary_repr(int(np.argmin(form.qubo.all_energies())), form.qubo.n_variables)]])
    assert problem.objective(found)[0] == best
    with pytest.raises(ProblemError, match="more than 9 decimals"):
        penalised(QuadraticProblem([1, 3], constraints=[LinearConstraint("same", [0, 1], [1 / 3, 1], "==", 1)]))


def test_at_most_one_takes_no_slack_and_what_always_holds_takes_nothing() -> None:
    rows = [LinearConstraint("one", [0, 1, 2], 1, "<=", 1), LinearConstraint("free", [0, 1], 1, "<=", 2)]
    form = penalised(QuadraticProblem([-1.0, -1.0, -1.0], constraints=rows))
    assert form.n_slack == 0
    assert [(term.constraint, term.n_constraints) for term in form.terms] == [("one", 3)]


@pytest.mark.parametrize(
    "row",
    [
        LinearConstraint("odd", [0, 1], 2, "==", 1),
        LinearConstraint("much", [0, 1], 1, ">=", 3),
        LinearConstraint("low", [0, 1], 1, "==", -1),
    ],
)
def test_constraints_that_nothing_meets_are_refused(row: LinearConstraint) -> None:
    with pytest.raises(ProblemInfeasibleError, match=row.name):
        penalised(QuadraticProblem([1.0, 1.0], constraints=[row]))


@given(st.integers(0, 10**6))
def test_a_restricted_problem_is_the_whole_with_the_rest_kept(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = drawn_problem(rng)
    n = problem.n_variables
    x = rng.integers(0, 2, n, np.uint8)
    small, kept = problem.restricted(x, rng.permutation(n)[: int(rng.integers(2, n + 1))])
    for bits in strings(small.n_variables):
        whole = x.copy()
        for free in range(n):  # conflicts with what is kept are resolved before
            if free not in kept:
                continue
            whole[free] = bits[list(kept).index(free)]
        if problem.is_feasible(whole)[0]:
            assert small.is_feasible(bits)[0]
            assert small.objective(bits)[0] == pytest.approx(problem.objective(whole)[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Pairs([0], [0], [1.0], 2),
        lambda: Pairs([0], [5], [1.0], 2),
        lambda: Pairs([0, 1], [1], [1.0], 2),
        lambda: Pairs([0], [1], [float("nan")], 2),
        lambda: LinearConstraint("twice", [0, 0], 1, "==", 1),
        lambda: LinearConstraint("other", [0], 1, "!=", 1),  # type: ignore[arg-type]
        lambda: QuadraticProblem([]),
        lambda: QuadraticProblem([1.0], sense="least"),  # type: ignore[arg-type]
        lambda: QuadraticProblem([1.0], conflicts=[[0, 1]]),
        lambda: QuadraticProblem([1.0, 2.0], names=["a"]),
        lambda: QuadraticProblem([1.0]).objective([[1, 0]]),
        lambda: Qubo.of_matrix([[1.0, 2.0]]),
        lambda: penalised(QuadraticProblem([1.0]), scale=0),
        lambda: penalised(QuadraticProblem([1.0]), scale=1e300),
    ],
)
def test_what_is_no_problem_is_refused(make: object) -> None:
    with pytest.raises(ProblemError):
        make()  # type: ignore[operator]
