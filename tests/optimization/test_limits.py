"""Problems at the edges: in tiny and huge units, of very many pairs, fleets without a gap, hardly any time."""

from __future__ import annotations

from itertools import product
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
    QuadraticProblem,
    VehicleRouting,
    penalised,
    solve,
)
from superpose.optimization.budgets import Budget
from superpose.optimization.classical import annealing, bits, cuts, highs
from superpose.optimization.models.loading import loaded
from superpose.optimization.models.routes import shortest_route
from superpose.optimization.options import SolveOptions
from superpose.optimization.quantum import QaoaSampler
from superpose.optimization.samplers import ExhaustiveSampler, Setting


@pytest.mark.parametrize("unit", [1e-80, 1e-10, 1e-7, 1.0, 1e16, 1e80])
@pytest.mark.parametrize("own_package", [False, True])
def test_what_a_sack_holds_does_not_depend_on_the_unit(
    unit: float, own_package: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if own_package:
        pytest.importorskip("highspy", reason="HiGHS's own package is one of the two ways")
    else:
        monkeypatch.setattr(highs, "_highspy", lambda: None)
    sack = Knapsack([1, 1, 3], [3 * unit, 3 * unit, 5 * unit], 7 * unit)
    feasible = [sack.fits(np.array(bits, np.uint8)) for bits in product((0, 1), repeat=3)]
    assert feasible == [3 * (a + b) + 5 * c <= 7 for a, b, c in product((0, 1), repeat=3)]
    form = penalised(sack.problem)
    if unit < 1e20:  # from there on floats are whole, but no multiples of the unit
        assert form.exact
        assert form.n_slack == 3
    found = sack.classical(10.0, 0)
    assert found.solution is not None
    assert sack.value(found.solution) == found.bound == 3
    answer = solve(sack, "qaoa", time_limit_s=5, compare=False)
    assert (answer.value, answer.rows[0].feasible) == (3, True)


def test_a_tolerance_is_no_more_than_a_part_of_the_coefficients() -> None:
    row = LinearConstraint("both", [0, 1], 1e-10, "<=", 1e-10)
    problem = QuadraticProblem([-1.0, -1.0], constraints=[row])
    assert problem.is_feasible([[1, 0], [1, 1]]).tolist() == [True, False]
    assert GeneralModel(problem).decode(np.array([1, 1], np.uint8)).solution.sum() == 1  # type: ignore[union-attr]
    setting = Setting(None, 16, Budget(60.0), 0)
    sampler = ExhaustiveSampler(SolveOptions())
    assert sampler.draw(sampler.form(problem, setting), setting).bits.sum(axis=1).max() == 1


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: LinearConstraint("load", [0, 1], [1e300, 1], "<=", 1), "add up to 1e.300 in size, 1e.90 at most"),
        (lambda: LinearConstraint("load", [0], [1.0], "<=", 1e308), "leave out a constraint that always holds"),
        (lambda: LinearConstraint("load", [0], 1e-300, "<=", 1), "choose smaller units"),
        (lambda: Knapsack([1, 2], [1e300, 1], 1e300), "Weights must be 0 or between 1e-90 and 1e.90 in size, got 1e.3"),
        (lambda: MaxCut(3, [[0, 1], [1, 2]], [1e308, 1e308]), "Weights must be 0 or between"),
        (lambda: MaxCut(3, [[0, 1], [1, 2]], [1e-300, 1]), "in size, got 1e-300; choose other units"),
        (lambda: MaxCut(10.0**21, [[0, 1]]), r"Numbers of nodes must be below 2\*\*53 in size, got 1e.21"),
    ],
)
def test_numbers_whose_squares_no_float_holds_are_refused(make: Any, told: str) -> None:
    with pytest.raises(ProblemError, match=told):
        make()


def test_where_all_energies_are_equal_no_sampler_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annealing, "package", lambda name: pytest.fail(name))
    answer = solve(MaxCut(3, [[0, 1], [1, 0]], [1, -1]), "annealing", compare=False)
    assert answer.value == 0


def test_forms_of_too_many_pairs_are_refused_before_memory_is_filled() -> None:
    shop = JobShop([[(0, 50_000)], [(0, 50_000)]])
    assert shop.n_variables < 200_000
    with pytest.raises(ProblemError, match="more than 50,000,000 products and conflicts of two"):
        _ = shop.problem
    many = JobShop([[(0, 20)]] * 500)  # an eighth of a million pairs of operations, of which a few are counted
    with pytest.raises(ProblemError, match="more than 50,000,000"):
        _ = many.problem
    n = 1000
    routes = VehicleRouting(np.ones((n, n)) - np.eye(n), np.r_[0, np.ones(n - 1)], 5, 200)
    with pytest.raises(ProblemError, match="more than 50,000,000 products and conflicts"):
        _ = routes.problem
    sack = Knapsack(np.arange(1, 20_001), np.full(20_000, 3.0), 30_000.0)
    with pytest.raises(ProblemError, match="a constraint's penalty has one for each pair of its variables"):
        penalised(sack.problem)


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 3)), min_size=1, max_size=3), min_size=1, max_size=3)
)
def test_conflicts_of_a_shop_are_the_pairs_of_times_that_cannot_both_be(jobs: list[list[tuple[int, int]]]) -> None:
    shop = JobShop(jobs)
    names, durations = shop.problem.names, shop.durations
    told = {(names[a], names[b]) for a, b in shop.problem.conflicts}
    times = [(name.partition("_at")[0], int(name.partition("_at")[2])) for name in names]
    expected = set()
    for a, b in product(range(len(names)), repeat=2):
        (one, s), (other, t) = times[a], times[b]
        if one == "end" or one == other:
            continue
        i, job = int(one[2:]), shop.job_of[int(one[2:])]
        last = i + 1 == shop.n_operations or shop.job_of[i + 1] != job
        if other == "end":
            clash = last and t < s + durations[i]
        elif shop.job_of[int(other[2:])] == job:
            clash = int(other[2:]) == i + 1 and t < s + durations[i]
        else:
            j = int(other[2:])
            clash = j > i and shop.machine_of[i] == shop.machine_of[j] and s - durations[j] < t < s + durations[i]
        if clash:
            expected.add((names[a], names[b]))
    assert told == expected
    assert shop.n_pairs == len(shop.problem.conflicts) == len(expected)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=6), st.integers(1, 3), st.integers(7, 14))
def test_loads_are_found_exactly_where_there_are_any(demands: list[int], n_vehicles: int, room: int) -> None:
    found = loaded(demands, n_vehicles, room)
    ways = product(range(n_vehicles), repeat=len(demands))
    able = any(all(sum(d for d, v in zip(demands, way, strict=True) if v == k) <= room for k in way) for way in ways)
    assert (found is not None) == able
    if found is not None:
        assert all(sum(d for d, v in zip(demands, found, strict=True) if v == k) <= room for k in range(n_vehicles))
    assert loaded([], n_vehicles, room) == []
    assert loaded(demands, n_vehicles, room, max_steps=0) is None


def test_a_fleet_without_a_gap_is_loaded() -> None:
    demands = [
        0,
        43,
        20,
        59,
        22,
        50,
        33,
        33,
        37,
        20,
        34,
        28,
        21,
    ]  # 43 + 37 + 20 and so on: four full ones
    n = len(demands)
    for seed in range(5):
        routes = VehicleRouting(np.ones((n, n)) - np.eye(n), demands, 100, 4)
        start = routes.start(np.random.default_rng(seed))
        assert routes.carries(start)
        assert sorted(customer for route in start for customer in route) == list(range(1, n))
    with pytest.raises(ProblemInfeasibleError, match="No way was found to load 2 vehicles"):
        VehicleRouting(np.ones((4, 4)), [0, 4, 4, 4], 6, 2).start(np.random.default_rng(0))


@given(st.integers(0, 2**32 - 1), st.integers(11, 30), st.sampled_from([1e-12, 1.0, 1e12]))
def test_long_routes_are_those_that_no_turn_and_no_move_makes_shorter(seed: int, n: int, unit: float) -> None:
    places = np.random.default_rng(seed).uniform(0, 10, (n + 1, 2)) * unit
    d = np.linalg.norm(places[:, None] - places[None], axis=2)

    def length(route: list[int]) -> float:
        path = np.array([0, *route, 0])
        return float(d[path[:-1], path[1:]].sum())

    route = list(shortest_route(d, range(1, n + 1)))
    assert sorted(route) == list(range(1, n + 1))
    for i in range(n):
        rest = route[:i] + route[i + 1 :]
        for j in range(n):
            moved = [*rest[:j], route[i], *rest[j:]]
            turned = route[:i] + route[i : j + 1][::-1] + route[j + 1 :] if j > i else route
            assert min(length(moved), length(turned)) >= length(route) * (1 - 1e-9)


def test_a_route_of_a_thousand_stops_is_found() -> None:
    places = np.random.default_rng(0).uniform(0, 1, (1001, 2))  # each change added up anew, 200 took 6 s already
    d = np.linalg.norm(places[:, None] - places[None], axis=2)
    route = np.array([0, *shortest_route(d, range(1, 1001)), 0])
    assert d[route[:-1], route[1:]].sum() < 0.7124 * 1000**0.5 * 1.15  # of the length that shortest tours tend to


def test_colours_take_one_search_however_many_components() -> None:
    graph = MaxCut(1_000_000, [[10, 20], [20, 30], [4000, 4001]])  # a search of each component would take hours
    parts = cuts.bipartition(graph)
    assert parts is not None
    assert graph.value(parts) == 3
    assert cuts.bipartition(MaxCut(9, [[0, 1], [1, 2], [2, 0], [5, 6]])) is None


def test_a_cut_of_all_edges_needs_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "cut_bound", lambda model: pytest.fail("asked"))
    found = cuts.best_cut(MaxCut(3, [[0, 1], [1, 2]], [2.5, 1]), 1.0, 0)
    assert (found.bound, found.solver) == (3.5, "two-colouring")


def test_where_no_eigenvalue_is_found_weights_bound_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise cuts.ArpackError(-9)

    ring = MaxCut(61, [[k, (k + 1) % 61] for k in range(61)])
    assert cuts.cut_bound(ring) == 60
    monkeypatch.setattr(cuts, "eigsh", fails)
    assert cuts.cut_bound(ring) == 61


@pytest.mark.parametrize("own_package", [False, True])
def test_long_rows_are_not_presolved(own_package: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if own_package:
        pytest.importorskip("highspy", reason="HiGHS's own package is one of the two ways")
    else:
        monkeypatch.setattr(highs, "_highspy", lambda: None)
    asked: list[bool] = []
    real = highs._Program._is_presolved.fget
    monkeypatch.setattr(highs._Program, "_is_presolved", property(lambda self: asked.append(real(self)) or asked[-1]))
    for n in (10, 1001):
        sack = Knapsack(np.ones(n), np.ones(n), 5.0)
        found = sack.classical(30.0, 0)
        assert found.solution is not None
        assert sack.value(found.solution) == found.bound == 5
    assert asked == [True, False]


def test_angles_of_layers_between_are_not_looked_at_when_time_is_over() -> None:
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            self.now += 1.0
            return self.now

    sampler = QaoaSampler(SolveOptions(layers=40, start="interp", shots=10))
    problem = MaxCut(4, [[0, 1], [1, 2], [2, 3], [3, 0]]).problem
    setting = Setting(None, 16, Budget(2.0, clock=Clock()), 0)
    drawn = sampler.draw(sampler.form(problem, setting), setting)
    assert len(drawn.facts["params"]) == 80
    assert drawn.facts["n_evaluations"] <= 4  # one for the first circuit at least, one for the last


def test_large_whole_numbers_are_told_apart() -> None:
    """A priority of 10^10 beside costs of some units, as lexicographic objectives have them."""
    edges = [(3, 0), (0, 3), (2, 1), (1, 4), (0, 4), (4, 1), (3, 4), (3, 4), (3, 4)]
    weights = [2e10 + 1, 1e10 + 1, 2.0, 3e10 + 1, 4e10, 2.0, 3e10, 1.0, 2.0]
    model = MaxCut(5, edges, weights)
    best = max(model.value(np.array(bits, np.uint8)) for bits in product((0, 1), repeat=5))
    answer = solve(model, "qaoa", time_limit_s=1.0, max_evaluations=5)
    exact = next(row for row in answer.rows if row.method == "exhaustive search")
    assert exact.value == best == answer.bound == answer.yardstick_value
    assert model.is_better(best, best - 1)
    shop = JobShop([[(0, 2**38), (1, 1)], [(1, 2**38)]])
    assert shop.is_better(2.0**38, 2.0**38 + 1)
    assert not Knapsack([1e10 + 0.5], [1], 1).is_better(1e10 + 1, 1e10)


@pytest.mark.parametrize("own_package", [False, True])
@pytest.mark.parametrize(
    ("values", "weights", "capacity"),
    [
        ([5.0, 4.0], [3.0000005, 3.0], 6.0),  # HiGHS lets a row be missed by a millionth
        (  # and a variable be 1 but for that
            [8e10, 5e10, 6e10 + 2, 8e10 + 2, 5e10, 6e10 + 1, 7e10 + 2, 2e10, 2.0],
            [1e10 + 1, 4e10 + 1, 7e10 + 1, 2e10 + 1, 3e10 + 1, 2e10 + 1, 6e10 + 2, 2e10 + 2, 8e10 + 2],
            250000000007.0,
        ),
    ],
)
def test_a_sack_that_highs_overfills_by_its_tolerance_is_filled_all_the_same(
    values: list[float], weights: list[float], capacity: float, own_package: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if own_package:
        pytest.importorskip("highspy", reason="HiGHS's own package is one of the two ways")
    else:
        monkeypatch.setattr(highs, "_highspy", lambda: None)
    sack = Knapsack(values, weights, capacity)
    found = sack.classical(10.0, 0)
    assert found.solution is not None and found.bound is not None
    assert sack.fits(found.solution)
    every = [np.array(bits, np.uint8) for bits in product((0, 1), repeat=len(weights))]
    best = max(sack.value(bits) for bits in every if sack.fits(bits))
    assert sack.value(found.solution) <= best <= found.bound


def test_what_is_found_beyond_a_bound_moves_it() -> None:
    problem = QuadraticProblem([4e10, 1.0], sense="max")
    assert highs._held(4e10 + 1, 4e10 + 1, problem) == 4e10 + 1
    assert highs._held(4e10 + 9, 4e10 + 1, problem) == 4e10 + 9  # whole numbers, so that nothing is proven
    assert highs._held(4e10 - 400, 4e10 + 1, problem) >= 4e10 + 1


@pytest.mark.parametrize("found", [None, np.zeros(9, np.uint8)])
def test_what_highs_leaves_open_without_constraints_is_searched(
    found: np.ndarray | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dwave.samplers", reason="tabu search is D-Wave's")
    rng, asked = np.random.default_rng(0), list[float]()

    def gives_up(problem: QuadraticProblem, limit_s: float, _: object) -> tuple[np.ndarray | None, float]:
        asked.append(limit_s)
        return found, -1e6 if problem.sense == "min" else 1e6

    monkeypatch.setattr(bits, "branch_and_bound", gives_up)
    pairs = {(i, j): float(rng.integers(-9, 10)) for i in range(9) for j in range(i)}
    free = QuadraticProblem(rng.integers(-9, 10, 9), pairs, constant=3.0)
    every = np.array(list(product((0, 1), repeat=9)), np.uint8)
    told = GeneralModel(free).classical(0.2, 0)
    assert told.solution is not None and told.bound == -1e6 and "tabu search" in told.solver
    assert float(free.objective(told.solution)[0]) == float(free.objective(every).min())
    graph = MaxCut(9, list(pairs), list(pairs.values()))
    cut = graph.classical(0.2, 0)
    assert cut.solution is not None and "tabu search" in cut.solver
    assert graph.value(cut.solution) == max(graph.value(part) for part in every) <= (cut.bound or 0.0)
    held = QuadraticProblem([-1.0] * 9, constraints=[LinearConstraint("few", np.arange(9), 1, "<=", 3)])
    assert GeneralModel(held).classical(0.2, 0).solver == "HiGHS"
    assert asked == [0.8 * 0.2, 0.8 * 0.2, 0.2]
