"""Models: their own objective is that of the quadratic form, and whatever is decoded is feasible."""

from __future__ import annotations

import sys
import tracemalloc
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superpose.errors import ProblemError, ProblemInfeasibleError
from superpose.optimization import (
    GeneralModel,
    JobShop,
    Knapsack,
    LinearConstraint,
    MaxCut,
    Model,
    QuadraticProblem,
    TravellingSalesman,
    VehicleRouting,
)
from superpose.optimization.classical import highs, tours
from superpose.optimization.classical.cuts import bipartition, cut_bound
from superpose.optimization.classical.packages import whole_scale
from superpose.optimization.examples import EXAMPLES, example
from superpose.optimization.models.routes import shortest_route

FT06 = [
    [(2, 1), (0, 3), (1, 6), (3, 7), (5, 3), (4, 6)],
    [(1, 8), (2, 5), (4, 10), (5, 10), (0, 10), (3, 4)],
    [(2, 5), (3, 4), (5, 8), (0, 9), (1, 1), (4, 7)],
    [(1, 5), (0, 5), (2, 5), (3, 3), (4, 8), (5, 9)],
    [(2, 9), (1, 3), (4, 5), (5, 4), (0, 3), (3, 1)],
    [(1, 3), (3, 3), (5, 9), (0, 10), (4, 4), (2, 1)],
]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_solutions_are_feasible_strings_and_back(kind: str) -> None:
    model, rng = example(kind), np.random.default_rng(2)
    for _ in range(5):
        solution = model.start(rng)
        bits = model.encode(solution)
        assert model.problem.is_feasible(bits)[0]
        assert len(bits) == model.n_variables == model.problem.n_variables
        found = model.decode(bits)
        assert found is not None
        assert not found.repaired
        assert found.value == pytest.approx(model.value(solution))
        if kind != "cvrp":  # whose quadratic form counts savings, not lengths
            assert model.problem.objective(bits)[0] == pytest.approx(model.value(solution))
        free = model.neighbourhood(bits, 9, rng)
        assert 1 < len(set(free.tolist())) == len(free) <= 9


@pytest.mark.parametrize("kind", EXAMPLES)
def test_any_string_is_repaired_to_a_feasible_solution_or_refused(kind: str) -> None:
    model, rng = example(kind), np.random.default_rng(5)
    n_found = 0
    for _ in range(60):
        bits = rng.integers(0, 2, model.n_variables, np.uint8)
        found = model.decode(bits)
        if found is None:
            continue
        n_found += 1
        again = model.encode(found.solution)
        assert model.problem.is_feasible(again)[0]
        assert found.value == pytest.approx(model.value(found.solution))
        assert found.repaired == (not model.problem.is_feasible(bits)[0])
    assert n_found > 10


def test_a_tour_counts_its_closing_leg_and_classical_is_the_shortest() -> None:
    pytest.importorskip("ortools", reason="OR-Tools solves it")
    model = example("tsp")
    assert isinstance(model, TravellingSalesman)
    shortest = min(model.value(np.array([0, *rest])) for rest in permutations(range(1, 5)))
    found = model.classical(5.0, 1)
    assert model.value(found.solution) == shortest == found.bound


def test_a_route_of_a_cluster_is_the_shortest_and_long_ones_are_good() -> None:
    rng = np.random.default_rng(4)
    places = rng.uniform(0, 10, (14, 2))
    d = np.linalg.norm(places[:, None] - places[None], axis=2)

    def length(route: tuple[int, ...]) -> float:
        path = np.array([0, *route, 0])
        return float(d[path[:-1], path[1:]].sum())

    assert length(shortest_route(d, [3, 5, 7, 9])) == pytest.approx(min(map(length, permutations([3, 5, 7, 9]))))
    assert shortest_route(d, [4]) == (4,)
    every = shortest_route(d, range(1, 14))
    assert sorted(every) == list(range(1, 14))
    assert length(every) < length(tuple(range(1, 14)))


def test_vehicles_carry_no_more_than_they_can() -> None:
    pytest.importorskip("ortools", reason="OR-Tools solves it")
    model = example("cvrp")
    assert isinstance(model, VehicleRouting)
    found = model.classical(1.0, 1)
    assert found.solution is not None
    assert max(model.to_json(found.solution)["loads"]) <= 8
    assert sorted(c for route in found.solution for c in route) == [1, 2, 3, 4, 5, 6]
    assert found.bound is not None
    assert found.bound <= model.value(found.solution)
    with pytest.raises(ProblemInfeasibleError, match="cannot carry"):
        VehicleRouting(model.distances, model.demands, 4, 2)


@pytest.mark.parametrize(
    ("demands", "capacity", "shortest"),
    [
        ([0, 1 / 3, 1 / 3, 1 / 3], 1, 22),  # one vehicle carries all
        ([0, 0.3333, 0.3333, 0.3333], 1, 22),
        ([0, 0.1, 0.2, 0.3], 0.6, 22),  # floats add up to a little more
        ([0, 0.1, 0.2, 0.3], 0.3, 41),
        ([0, 0.0, 0.0, 0.0], 0, 22),
        ([0, 1e9 / 3, 1e9 / 3, 1e9 / 3], 1e9, 22),
    ],
)
def test_bounds_of_routes_hold_for_demands_that_are_not_whole(
    demands: list[float], capacity: float, shortest: float
) -> None:
    pytest.importorskip("ortools", reason="OR-Tools solves it")
    model = VehicleRouting([[0, 10, 10, 10], [10, 0, 1, 1], [10, 1, 0, 1], [10, 1, 1, 0]], demands, capacity, 2)
    found = model.classical(0.5, 1)
    assert found.bound is not None
    assert found.bound <= shortest
    assert found.solution is None or model.carries(found.solution)
    assert model.value(model.start(np.random.default_rng(0))) >= shortest


@pytest.mark.parametrize("unit", [1e-60, 1e-10, 1e-9, 1e-3, 1.0, 1e20])
def test_tours_are_solved_in_any_unit(unit: float) -> None:
    pytest.importorskip("ortools", reason="OR-Tools solves it")
    model = TravellingSalesman(unit * np.array([[0, 1, 5, 1], [1, 0, 1, 5], [5, 1, 0, 1], [1, 5, 1, 0]]))
    found = model.classical(120.0, 1)  # proven at once
    assert found.solution is not None
    assert model.value(found.solution) == pytest.approx(4 * unit)
    assert found.bound == pytest.approx(4 * unit)


def test_tours_and_routes_of_measured_distances_are_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places in a square of side 1, whose distances solvers for whole numbers are given rounded."""
    pytest.importorskip("ortools", reason="OR-Tools solves it")
    monkeypatch.setattr(tours, "SEARCH_SHARE", 0.002)
    rng = np.random.default_rng(5)
    places = rng.random((8, 2))
    lengths = np.linalg.norm(places[:, None] - places[None], axis=2)
    for model in (TravellingSalesman(lengths), VehicleRouting(lengths, [0, 2, 3, 2, 1, 3, 2, 2], 8, 2)):
        found = model.classical(60.0, 1)  # proven at once
        assert found.solution is not None and found.bound is not None
        assert not model.is_better(found.bound, model.value(found.solution))
        assert found.bound <= model.value(found.solution) + 1e-12


@pytest.mark.parametrize(
    ("numbers", "factor"),
    [
        ([0.0, 0.0], 1.0),
        ([3.0, 2.0**40], 1.0),
        ([12.34, 0.5], 100.0),
        ([0.1, 0.3], 10.0),
        ([1 / 3, 1.0], 1e12),
        ([100 / 3, 0.0], 1e10),
        ([1e-10, 4e-10], 1e21),
        ([4e20, 1e20], 1e-9),
    ],
)
def test_numbers_become_whole_by_a_power_of_ten(numbers: list[float], factor: float) -> None:
    found = whole_scale(np.array(numbers))
    assert found == pytest.approx(factor, rel=1e-12)
    assert max(numbers) * found <= 2.0**40


def test_ft06_takes_55() -> None:
    pytest.importorskip("ortools", reason="OR-Tools solves it")
    model = JobShop(FT06)
    assert model.horizon >= 55
    found = model.classical(120.0, 1)
    assert found.bound == 55
    assert model.value(found.solution) == 55
    bits = model.encode(found.solution)
    assert model.problem.is_feasible(bits)[0]
    assert model.problem.objective(bits)[0] == 55


def test_a_job_shop_has_no_feasible_string_that_overlaps() -> None:
    model = example("jobshop")
    assert isinstance(model, JobShop)
    good = model.classical(5.0, 1).solution if _has_ortools() else model.start(np.random.default_rng(0))
    bits = model.encode(good)
    n = model.n_variables
    for a in range(n):  # moving one start keeps feasibility only where nothing overlaps
        moved = bits.copy()
        group = next(g for g in model.problem.one_hot_groups if a in g)
        moved[group] = 0
        moved[a] = 1
        if model.problem.is_feasible(moved)[0]:
            assert model.decode(moved) is not None


def _has_ortools() -> bool:
    import importlib.util

    return importlib.util.find_spec("ortools") is not None


def test_cuts_are_bounded_and_bipartite_graphs_are_known() -> None:
    petersen = example("maxcut")
    assert isinstance(petersen, MaxCut)
    assert bipartition(petersen) is None
    assert cut_bound(petersen) == 12  # 10/4 of the largest eigenvalue 5 is 12.5
    result = petersen.classical(10.0, 1)
    assert petersen.value(result.solution) == result.bound == 12
    square = MaxCut(5, [[0, 1], [1, 2], [2, 3], [3, 0]])
    parts = bipartition(square)
    assert parts is not None
    assert square.value(parts) == cut_bound(square) == 4
    assert MaxCut(3, [[0, 1], [1, 2], [0, 2]], [1.0, -1.0, -1.0]).classical(5.0, 1).bound == 0


def test_knapsacks_are_solved_exactly_by_branch_and_bound() -> None:
    model = example("knapsack")
    found = model.classical(5.0, 1)
    best = max(
        float(model.problem.objective(bits)[0])
        for bits in np.ndindex(*[2] * 8)
        if model.problem.is_feasible(np.array(bits))[0]
    )
    assert model.value(found.solution) == found.bound == best


@pytest.mark.parametrize("own_package", [True, False])
def test_what_branch_and_bound_calls_best_is_best(own_package: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not own_package:
        monkeypatch.setitem(sys.modules, "highspy", None)
    elif highs._highspy() is None:
        pytest.skip("needs superpose[optimization], with a highspy that is fit for use")
    random = np.random.default_rng(0)
    for _ in range(40):
        n = int(random.integers(1, 8))
        pairs = {
            (i, j): float(random.integers(-5, 6)) for i in range(n) for j in range(i + 1, n) if random.random() < 0.5
        }
        rows = [
            LinearConstraint("row", np.arange(n), random.integers(-3, 4, n), relation, float(random.integers(-3, 5)))
            for relation in ("<=", "==", ">=")
            if random.random() < 0.3
        ]
        sense: Any = ("min", "max")[random.integers(2)]
        problem = QuadraticProblem(random.integers(-9, 10, n), pairs, constant=1.0, sense=sense, constraints=rows)
        every = np.array(list(np.ndindex(*[2] * n)), np.uint8)
        values = problem.objective(every)[problem.is_feasible(every)]
        bits, bound = highs.branch_and_bound(problem, 60.0)
        if not len(values):
            assert bits is None
            continue
        best = values.min() if sense == "min" else values.max()
        assert bits is not None and float(problem.objective(bits)[0]) == pytest.approx(best) == pytest.approx(bound)


@pytest.mark.parametrize("own_package", [True, False])
@pytest.mark.parametrize("unit", [1e-30, 1e-9, 1e-5, 1e12, 1e30])
def test_bounds_hold_in_any_unit(unit: float, own_package: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not own_package:
        monkeypatch.setitem(sys.modules, "highspy", None)
    elif highs._highspy() is None:
        pytest.skip("needs superpose[optimization], with a highspy that is fit for use")
    random = np.random.default_rng(3)
    for _ in range(5):
        pairs = {(i, j): float(unit * random.normal()) for i in range(7) for j in range(i)}
        row = LinearConstraint("row", np.arange(7), random.integers(1, 20, 7), "<=", 30.0)
        problem = QuadraticProblem(unit * random.normal(size=7), pairs, sense="max", constraints=[row])
        every = np.array(list(np.ndindex(*[2] * 7)), np.uint8)
        best = float(problem.objective(every)[problem.is_feasible(every)].max())
        bits, bound = highs.branch_and_bound(problem, 60.0)
        assert bits is not None and bound is not None
        assert float(problem.objective(bits)[0]) / unit == pytest.approx(best / unit, rel=1e-9)
        assert bound / unit == pytest.approx(best / unit, rel=1e-9)


@pytest.mark.parametrize("over", [1e-3, 0.4, 1.0])
def test_a_sack_takes_no_more_than_it_can_however_large(over: float) -> None:
    model = Knapsack([1, 5], [1e9, 1e9 + over], 1e9)
    found = model.decode(np.array([0, 1], np.uint8))
    assert found.value == 0
    assert found.repaired
    assert not model.problem.is_feasible([[0, 1]])[0]
    assert Knapsack([1, 1, 1], [0.1, 0.2, 0.3], 0.6).fits(np.ones(3, np.uint8))


def test_graphs_of_no_weight_are_cut() -> None:
    empty = MaxCut(60, [[0, 1], [1, 2], [0, 2]], [0.0, 0.0, -1.0])
    assert cut_bound(empty) == empty.classical(5.0, 1).bound == 0


def test_any_quadratic_problem_is_a_model() -> None:
    rows = [LinearConstraint("two of them", np.arange(5), 1, "==", 2)]
    problem = QuadraticProblem(
        [3.0, 1.0, -2.0, 0.0, 4.0], {(0, 1): -5.0, (2, 4): -3.0}, constraints=rows, conflicts=[[2, 3]]
    )
    model: Model[Any] = GeneralModel(problem)
    found = model.classical(5.0, 1)
    values = [
        float(problem.objective(bits)[0])
        for bits in np.ndindex(2, 2, 2, 2, 2)
        if problem.is_feasible(np.array(bits))[0]
    ]
    assert model.value(found.solution) == pytest.approx(min(values))
    assert found.bound == pytest.approx(min(values))
    repaired = model.decode(np.ones(5, np.uint8))
    assert repaired is not None
    assert repaired.repaired
    assert problem.is_feasible(repaired.solution)[0]
    impossible = QuadraticProblem([1.0, 1.0], constraints=[LinearConstraint("no", [0, 1], 1, "==", 3)])
    nothing = QuadraticProblem([1.0, 1.0], constraints=[LinearConstraint("none of them", [], [], "==", 1)])
    for none_feasible in (impossible, nothing):
        with pytest.raises(ProblemInfeasibleError):
            GeneralModel(none_feasible).start(np.random.default_rng(0))


def wide_problem(rng: np.random.Generator, n: int) -> QuadraticProblem:
    """One whose constraints are often missed, with whole coefficients but in the objective."""
    rows = []
    for relation in ("==", "<=", ">="):
        for _ in range(3):
            places = rng.permutation(n)[: int(rng.integers(1, 12))]
            a = rng.integers(-4, 5, len(places))
            rows.append(LinearConstraint("row", places, a, relation, float(rng.integers(-3, 4))))
    pairs = [rng.permutation(n)[:2] for _ in range(20)]
    ends = {(int(min(pair)), int(max(pair))): float(rng.normal()) for pair in pairs}
    sense = "min" if rng.random() < 0.5 else "max"
    return QuadraticProblem(rng.normal(size=n), ends, sense=sense, constraints=rows, conflicts=pairs[:9] + pairs[:2])


def flipped_one_by_one(problem: QuadraticProblem, bits: np.ndarray) -> np.ndarray | None:
    """Repair with a string for each flip: memory of n * n."""
    x = bits.copy()
    while not problem.is_feasible(x)[0]:
        missed, others = float(problem.violations(x).sum()), x[None] ^ np.eye(len(x), dtype=np.uint8)
        left = problem.violations(others).sum(axis=1)
        best = int(np.lexsort((problem.sign * problem.objective(others), left))[0])
        if left[best] >= missed - 1e-9:
            return None
        x = others[best]
    return x


@given(st.integers(0, 10**6), st.integers(61, 90))
def test_repair_of_wide_problems_makes_the_same_flips_as_a_string_for_each(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    problem = wide_problem(rng, n)
    for _ in range(4):
        bits = rng.integers(0, 2, n, np.uint8)
        others = bits[None] ^ np.eye(n, dtype=np.uint8)
        left, value = problem.after_flips(bits)
        np.testing.assert_array_equal(left, problem.violations(others).sum(axis=1))
        np.testing.assert_allclose(value, problem.objective(others), rtol=0, atol=1e-12)
        found, wanted = GeneralModel(problem).decode(bits), flipped_one_by_one(problem, bits)
        assert (found is None) == (wanted is None)
        if found is not None:
            np.testing.assert_array_equal(found.solution, wanted)


def test_repair_of_many_variables_takes_no_string_for_each() -> None:
    n = 20_000
    rows = [LinearConstraint("some", np.arange(n), 1, "<=", n - 3)]
    problem = QuadraticProblem(np.arange(n) % 7 - 3.0, constraints=rows)
    tracemalloc.start()
    try:
        repaired = GeneralModel(problem).decode(np.ones(n, np.uint8))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert repaired is not None and np.flatnonzero(repaired.solution == 0).tolist() == [6, 13, 20]  # the dearest
    assert peak < 200 * n  # bytes, a score of arrays of its coefficients; n * n would be 400 MB


@pytest.mark.parametrize(
    "make",
    [
        lambda: MaxCut(1, []),
        lambda: Knapsack([1.0], [1.0, 2.0], 3),
        lambda: Knapsack([1.0], [-1.0], 3),
        lambda: TravellingSalesman(np.zeros((2, 2))),
        lambda: TravellingSalesman(-np.ones((3, 3))),
        lambda: VehicleRouting(np.zeros((3, 2)), [0, 1, 1], 3, 1),
        lambda: VehicleRouting(np.triu(np.ones((3, 3)), 1), [0, 1, 1], 3, 1),
        lambda: VehicleRouting(1e-9 * np.array([[0, 1, 5], [2, 0, 3], [5, 3, 0]]), [0, 1, 1], 3, 1),
        lambda: GeneralModel(QuadraticProblem([1.0, 2.0, 3.0], names=["a", "b", "a"])),
        lambda: VehicleRouting(np.ones((3, 3)) - np.eye(3), [0, 0, 0], 1, 0),
        lambda: VehicleRouting(np.ones((3, 3)) - np.eye(3), [1, 1, 1], 3, 2),
        lambda: JobShop([]),
        lambda: JobShop([[(0, 0)]]),
        lambda: JobShop([[(0, 3)], [(0, 3)]], horizon=5),
        lambda: JobShop([[(0, 3)], [(0, 3)]], horizon=7),
        lambda: JobShop([[(0, 10**9)], [(0, 10**9)]]).problem,
        lambda: MaxCut(10**9, [[0, 1]]),
        lambda: example("chess"),
    ],
)
def test_what_is_no_instance_or_too_large_is_refused(make: Any) -> None:
    with pytest.raises(ProblemError):
        make()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Knapsack(["a"], [1], 5), "Values must be numbers, got 'a'"),
        (lambda: Knapsack(["1"], [1], 5), "Values must be numbers, got '1'"),
        (lambda: Knapsack([1], [float("nan")], 5), "Weights must be finite"),
        (lambda: Knapsack([1, 2], [[1], [2, 3]], 5), "Weights must be numbers, in rows of one length"),
        (lambda: Knapsack([1], [1], "five"), "Capacities must be numbers, got 'five'"),
        (lambda: Knapsack([1], [1], [5, 6]), "the capacity one number"),
        (lambda: Knapsack([None], [1], 5), "Values must be numbers, got 'None'"),
        (lambda: MaxCut(3, [[0, 1.5]]), "Edges must be whole numbers, got 1.5"),
        (lambda: MaxCut(3, [0, 1]), r"Edges are pairs of nodes, got shape \(2,\)"),
        (lambda: MaxCut(3, [[0, 1]], ["x"]), "Weights must be numbers, got 'x'"),
        (lambda: TravellingSalesman([[0, 1, np.inf]] * 3), "Distances must be finite"),
        (lambda: VehicleRouting(np.ones((3, 3)), [0, 1, 1], "two", 1), "Capacities must be numbers, got 'two'"),
        (lambda: VehicleRouting(np.ones((3, 3)), [0, 1, 1], 2, 1.5), "Numbers of vehicles must be whole numbers"),
        (lambda: JobShop([[(0, "long")]]), "Machines and durations must be numbers, got 'long'"),
        (lambda: JobShop([[(0, 1.5)]]), "finer unit of time"),
        (lambda: JobShop([[(0, 1)]], horizon=1.5), "Horizons must be whole numbers, got 1.5"),
        (lambda: JobShop([[(0, 1, 2)]]), "An operation of a job shop is a pair"),  # type: ignore[list-item]
        (lambda: MaxCut(3.5, [[0, 1]]), "Numbers of nodes must be whole numbers, got 3.5"),  # type: ignore[arg-type]
        (lambda: MaxCut(3, [[0, 1]], [1, 2]), "Each of 1 edges has one weight, got 2"),
    ],
)
def test_what_is_no_number_is_refused_in_the_problem_s_words(make: Any, told: str) -> None:
    with pytest.raises(ProblemError, match=told):
        make()


def test_numbers_of_any_type_and_size_are_taken() -> None:
    assert Knapsack([Fraction(1, 2), 10**30], np.array([1, 1], np.uint8), 2).value(
        np.array([1, 1], np.uint8)
    ) == pytest.approx(1e30)


def test_vehicles_beyond_the_customers_are_left_out() -> None:
    assert VehicleRouting(np.ones((3, 3)) - np.eye(3), [0, 1, 1], 3, 10**12).n_variables == 4
