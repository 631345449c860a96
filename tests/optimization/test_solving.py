"""`solve`: feasible answers, all controls, gaps and verdicts from numbers."""

from __future__ import annotations

import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superpose.errors import ExtraMissingError, ProblemError, ProblemInfeasibleError
from superpose.optimization import (
    Answer,
    GeneralModel,
    Knapsack,
    LinearConstraint,
    MethodResult,
    Progress,
    QuadraticProblem,
    Qubo,
    SolveOptions,
    TravellingSalesman,
    VehicleRouting,
    solve,
    solving,
)
from superpose.optimization.answers import gap_percent, verdict
from superpose.optimization.budgets import Budget
from superpose.optimization.decomposition import descend
from superpose.optimization.examples import EXAMPLES, example
from superpose.optimization.models.base import ClassicalResult
from superpose.optimization.progress import HowFar
from superpose.optimization.quantum import QaoaSampler, variational
from superpose.optimization.samplers import ExhaustiveSampler

QUICK = SolveOptions(layers=1, max_rounds=6, time_limit_s=60.0, max_evaluations=15, shots=300, n_reads=5)


def has_packages() -> bool:
    import importlib.util

    return all(importlib.util.find_spec(name) is not None for name in ("ortools", "dwave.samplers"))


def feasible(answer: Answer, kind: str) -> bool:
    model = example(kind)
    return bool(model.problem.is_feasible(model.encode(answer.solution))[0])


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_kind_is_answered_feasibly_with_all_controls(kind: str) -> None:
    if not has_packages():
        pytest.skip("superpose[optimization] is not installed")
    options = {"time_limit_s": 1.0} if kind == "cvrp" else {}  # whose classical search takes all its time
    answer = solve(example(kind), "qaoa", QUICK, **options)
    assert feasible(answer, kind)
    assert answer.value == pytest.approx(example(kind).value(answer.solution))
    assert answer.rows[0].role == "method"
    methods = " ".join(row.method for row in answer.rows)
    for word in ("qaoa", "coin flips", "exhaustive", "annealing", "classical"):
        assert word in methods
    for row in answer.rows:
        assert row.value is not None, row.reason
        assert row.feasible
        assert row.gap_percent is not None
        assert row.gap_percent >= 0
    assert answer.yardstick == "proven optimum"
    assert "did not help" in answer.verdict or "helped" in answer.verdict
    assert answer.to_json()["methods"][0]["solution"] == answer.to_json()["solution"]


@pytest.mark.parametrize("method", ["vqe", "annealing", "classical"])
def test_other_methods(method: str) -> None:
    if not has_packages():
        pytest.skip("superpose[optimization] is not installed")
    answer = solve(example("knapsack"), method, QUICK)  # type: ignore[arg-type]
    assert answer.method == answer.rows[0].method == method
    assert feasible(answer, "knapsack")
    if method == "classical":
        assert answer.gap_percent == 0
    if method != "vqe":
        assert answer.verdict == "No quantum method was run."


def test_the_same_seed_gives_the_same_answer_in_pieces() -> None:
    first, second = (solve(example("tsp"), "qaoa", QUICK, max_qubits=9, compare=False) for _ in range(2))
    assert first.rows[0].n_rounds == 6
    assert np.array_equal(first.solution, second.solution)
    assert first.rows[0].facts["params"] == second.rows[0].facts["params"]
    assert "Nothing ran beside it" in first.verdict


def test_a_decomposition_only_goes_up_and_exact_pieces_reach_the_optimum() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 100, (8, 2))
    model = TravellingSalesman(np.linalg.norm(places[:, None] - places[None], axis=2))
    options = SolveOptions(max_rounds=60, seed=3)
    start = model.start(rng)
    values = []
    for rounds in (1, 5, 60):
        limited = SolveOptions(max_rounds=rounds, seed=3)
        went = descend(model, ExhaustiveSampler(options), QaoaSampler(options), start, limited, Budget(600))
        values.append(went.found.value)
        assert went.n_rounds == rounds
        assert went.largest <= options.max_qubits
        assert model.problem.is_feasible(model.encode(went.found.solution))[0]
    assert model.value(start) >= values[0] >= values[1] >= values[2]
    best = min(model.value(np.array([0, *rest])) for rest in permutations(range(1, 8)))
    assert values[2] == pytest.approx(best)


def test_a_decomposition_stops_when_its_time_is_up() -> None:
    times = iter(np.arange(0.0, 1000.0, 0.5))
    model = example("maxcut")
    options = SolveOptions(max_qubits=6, max_rounds=1000)
    budget = Budget(5.0, clock=lambda: float(next(times)))
    went = descend(
        model, ExhaustiveSampler(options), ExhaustiveSampler(options), model.start(np.random.default_rng(1)),
        options, budget,
    )  # fmt: skip
    assert 0 < went.n_rounds <= 10


def test_problems_and_qubos_are_solved_as_they_are() -> None:
    rows = [LinearConstraint("one", [0, 1, 2], 1, "==", 1)]
    problem = QuadraticProblem([3.0, 1.0, 2.0, -1.0], {(1, 3): 5.0}, constraints=rows, names=["a", "b", "c", "d"])
    answer = solve(problem, "qaoa", QUICK, compare=False)
    assert answer.to_json()["solution"] == {"ones": ["b"]} or answer.value == 1.0
    assert answer.rows[0].share_feasible == 1.0  # the mixer keeps to it
    assert answer.rows[0].facts["mixer"] == "xy"
    loose = solve(problem, "qaoa", QUICK, mixer="x", compare=False)
    assert loose.value == 1.0
    assert loose.penalties is not None
    assert loose.penalties["terms"][0]["constraint"] == "one"
    assert solve(Qubo.of_matrix([[-1.0, 3.0], [0.0, -2.0]]), "qaoa", QUICK, compare=False).value == -2.0


def test_penalties_of_the_whole_are_told_for_pieces_too() -> None:
    answer = solve(example("tsp"), "qaoa", QUICK, max_qubits=9, mixer="x", compare=False)
    assert answer.penalties is not None
    assert {term["constraint"] for term in answer.penalties["terms"]} == {"place once", "position once"}
    assert answer.penalties["exact"]


def test_what_is_not_installed_is_told_and_the_rest_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ortools", "ortools.sat.python.cp_model", "dwave.samplers", "dimod"):
        monkeypatch.setitem(sys.modules, name, None)
    answer = solve(example("tsp"), "qaoa", QUICK)
    missing = [row for row in answer.rows if row.value is None]
    assert [row.method for row in missing] == ["annealing", "classical"]
    assert all("superpose[optimization]" in row.reason for row in missing)
    with pytest.raises(ExtraMissingError, match=r"superpose\[optimization\]"):
        solve(example("tsp"), "annealing", QUICK)


ROWS = (
    MethodResult("qaoa", "method", value=12.0, gap_percent=0.0, feasible=True, seconds=2.0),
    MethodResult("coin flips", "control", value=11.0, gap_percent=8.3, feasible=True, seconds=0.1),
    MethodResult("annealing", "control", value=12.0, gap_percent=0.0, feasible=True, seconds=0.5),
)


def test_the_verdict_says_only_what_the_numbers_say() -> None:
    equal = verdict(ROWS, "max", "proven optimum", 2)
    assert equal.endswith("The quantum part did not help: annealing did as well, 4 times as fast.")
    assert "qaoa with 2 layers reached 12 (2.00 s, 0.00 % from the proven optimum)" in equal
    assert verdict(ROWS, "min", None, 2).endswith("did not help: coin flips did better, 20 times as fast.")
    assert verdict(ROWS[:2], "max", None, 1).endswith("in one run, the quantum part helped.")
    assert "nothing is said" in verdict(ROWS[:1], "max", None, 1)
    assert verdict(ROWS[1:], "max", None, 1) == "No quantum method was run."


def test_the_verdict_is_english_and_keeps_the_digits_of_large_values() -> None:
    first = MethodResult("qaoa", "method", value=1234567.0, feasible=True, seconds=15.81, n_rounds=1)
    other = MethodResult("coin flips", "control", value=1234567.0, feasible=True, seconds=0.00518)
    said = verdict((first, other), "max", None, 1)
    assert said.startswith("qaoa with 1 layer reached 1234567 (15.81 s) in 1 round of decomposition;")
    assert said.endswith("coin flips did as well, 3,050 times as fast.")


def test_no_method_is_timed_with_the_building_of_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    budget, warm = solving.Budget, variational.warm
    monkeypatch.setattr(variational, "warm", lambda **chosen: seen.append("kernels") or warm(**chosen))
    monkeypatch.setattr(solving, "Budget", lambda limit_s, **more: seen.append("clock") or budget(limit_s, **more))
    solve(Knapsack([3, 4], [1, 2], 2), "qaoa", QUICK, compare=False)
    assert seen[0] == "kernels"
    assert "clock" in seen


@pytest.mark.parametrize("reference", [float("nan"), float("inf")])
def test_a_reference_that_is_no_number_is_refused(reference: float) -> None:
    with pytest.raises(ProblemError, match="reference, the best objective known, must be finite"):
        solve(Knapsack([3, 4], [1, 2], 2, reference=reference), "qaoa", QUICK, compare=False)


def test_gaps_are_signed_by_the_sense() -> None:
    assert gap_percent(95.0, 100.0, "min") == -5.0
    assert gap_percent(100.0 + 1e-12, 100.0, "max") == 0.0


def test_a_gap_to_nothing_has_no_percent() -> None:
    assert gap_percent(5.0, 0.0, "min") is None
    assert gap_percent(0.0, 0.0, "min") == gap_percent(1e-12, 0.0, "min", 1e-9) == 0.0
    problem = QuadraticProblem([4.0, 0.0], constraints=[LinearConstraint("one", [0, 1], 1, "==", 1)])
    answer = solve(problem, "classical", QUICK, compare=False)
    assert (answer.yardstick, answer.yardstick_value, answer.gap_percent) == ("proven optimum", 0.0, 0.0)
    worse = MethodResult("qaoa", "method", value=4.0, feasible=True)
    assert "reached 4 (0.00 s)" in verdict((worse,), "min", "proven optimum", 1)


@pytest.mark.parametrize(("constant", "unit"), [(1e12, 1.0), (0.0, 1e-10), (-1e6, 1e-3)])
@pytest.mark.parametrize("method", ["qaoa", "classical"])
def test_what_is_proven_or_better_does_not_depend_on_units(constant: float, unit: float, method: str) -> None:
    pairs = {(0, 1): -4.0 * unit, (1, 2): 3.0 * unit, (3, 4): -9.0 * unit}
    problem = QuadraticProblem(unit * np.array([3.0, 2.0, -4.0, 1.0, 5.0]), pairs, constant=constant)
    every = np.array(list(np.ndindex(*[2] * 5)), np.uint8)
    best = float(problem.objective(every).min())
    answer = solve(problem, method, QUICK)  # type: ignore[arg-type]
    assert answer.yardstick == "proven optimum"
    assert answer.yardstick_value == pytest.approx(best, rel=1e-15, abs=1e-6 * unit)
    model = GeneralModel(problem)
    assert model.is_better(best, best + unit)
    assert not model.is_better(best, best)
    exact = next(row for row in answer.rows if row.method in ("exhaustive search", "classical"))
    assert exact.value == pytest.approx(best, rel=1e-15, abs=1e-6 * unit)


def test_pieces_whose_variables_are_all_ruled_out_are_left() -> None:
    n = 30
    clique = np.stack(np.triu_indices(n, 1), axis=1)
    problem = QuadraticProblem(-np.arange(1.0, n + 1), conflicts=clique)
    answer = solve(problem, "qaoa", QUICK, max_qubits=6, max_rounds=20, compare=False)
    assert answer.rows[0].n_rounds == 20
    assert answer.rows[0].facts["n_better"] > 0
    assert problem.is_feasible(answer.solution)[0]


def test_what_nothing_meets_is_not_said_to_want_time_alone() -> None:
    rows = [LinearConstraint(f"sum {bound}", [0, 1], 1, "==", bound) for bound in (1, 2)]
    with pytest.raises(ProblemInfeasibleError, match=r"no feasible solution of problem in 60 s; it has none, or more"):
        solve(QuadraticProblem([1.0, 1.0], constraints=rows), "classical", QUICK)


def test_a_cost_without_terms_is_interpolated_too() -> None:
    assert solve(QuadraticProblem([0.0, 0.0]), "qaoa", QUICK, start="interp", layers=3, compare=False).value == 0.0


@pytest.mark.parametrize("start", ["ramp", "interp"])
@pytest.mark.parametrize("cvar", [None, 0.5])
@pytest.mark.parametrize(("linear", "n_params"), [([1.0, 2.0], 3), ([0.0, 0.0], 0)])
def test_groups_of_one_leave_no_angle_of_the_mixer(
    linear: list[float], n_params: int, cvar: float | None, start: Any
) -> None:
    rows = [LinearConstraint(f"set: {k}", [k], 1, "==", 1) for k in range(2)]
    problem = QuadraticProblem(linear, constraints=rows)
    answer = solve(problem, "qaoa", QUICK, start=start, cvar=cvar, layers=3, compare=False)
    assert answer.value == sum(linear)
    assert len(answer.rows[0].facts["params"]) == n_params


class Enough(Exception):
    """What a caller raises to end a call."""


@pytest.mark.parametrize("problem", ["maxcut", "cvrp"])  # as a whole, and in pieces
@pytest.mark.parametrize("calls", [2, 4])
def test_a_call_ends_at_the_next_step_where_its_caller_says_so(problem: str, calls: int) -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(1)
        if len(seen) == calls:
            raise Enough

    with pytest.raises(Enough):
        solve(example(problem), "qaoa", QUICK, on_step=look)
    assert len(seen) == calls


@pytest.mark.parametrize(("problem", "methods"), [("maxcut", 5), ("cvrp", 5)])  # as a whole, and in pieces
def test_how_far_a_call_is_is_told_of_each_method(problem: str, methods: int) -> None:
    if not has_packages():
        pytest.skip("superpose[optimization] is not installed")
    told: list[Progress] = []
    answer = solve(example(problem), "qaoa", QUICK, on_progress=told.append, time_limit_s=1.0)
    begun = {progress.method: progress for progress in reversed(told)}
    assert len(begun) == methods
    assert [name for name in reversed(begun)] == [row.method.split(" (")[0] for row in answer.rows]
    assert [one.number for one in reversed(begun.values())] == list(range(1, methods + 1))
    fractions = [one.fraction for one in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and 0.8 <= fractions[-1] < 1
    assert told[0].eta_s is None  # known once a moment has passed, which a quick machine may not need for all of it
    assert told[-1].to_json()["stage"] == "beside it classical, 5 of 5 methods"


def test_progress_moves_with_time_or_with_what_is_counted_whichever_is_further() -> None:
    now = [0.0]
    told: list[Progress] = []
    how_far = HowFar(10.0, on_progress=told.append, clock=lambda: now[0])
    how_far.n_methods = 2
    budget = how_far.begin("qaoa")
    now[0] = 0.1
    how_far.look()
    assert len(told) == 1  # too soon after the first
    now[0] = 5.0
    how_far.look()
    with budget.part(3, 4), budget.part(1, 2):  # the last quarter's second half
        budget.counted(0.5)
    now[0] = 6.0
    how_far.look()
    now[0] = 7.0
    how_far.begin("annealing")
    now[0] = 30.0  # time is over, and the method goes on
    how_far.look()
    assert [one.fraction for one in told] == [0.0, 0.25, 0.46875, 0.5, 0.99]
    assert [one.eta_s for one in told] == [None, 15.0, pytest.approx(6.8), 7.0, 0.0]


def test_coefficients_too_large_to_be_weighed_are_refused() -> None:
    for values in ([1e308, 1e308], [1e100, 1e100]):
        with pytest.raises(ProblemError, match="add up to"):
            solve(QuadraticProblem(values), "qaoa", QUICK, compare=False)


def test_a_reference_beyond_a_bound_is_told_and_no_yardstick(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Knapsack([3, 4], [1, 2], 2, reference=5.0)
    proven = solve(model, "classical", QUICK, compare=False)
    assert (proven.yardstick, proven.yardstick_value, proven.gap_percent) == ("proven optimum", 4.0, 0.0)
    assert "The best value known, 5, is better than the bound, 4, so that it is of another problem" in proven.verdict
    monkeypatch.setattr(
        Knapsack, "classical", lambda self, *_: ClassicalResult(np.array([1, 0], np.uint8), 4.5, "half a proof")
    )
    bounded = solve(model, "classical", QUICK, compare=False)
    assert (bounded.yardstick, bounded.yardstick_value) == ("bound", 4.5)
    model.reference = 4.0
    known = solve(model, "classical", QUICK, compare=False)
    assert (known.yardstick, known.gap_percent, known.verdict) == ("best known", 25.0, "No quantum method was run.")


def test_a_reference_that_is_better_than_all_bounds_nothing() -> None:
    answer = solve(Knapsack([3, 4], [1, 2], 2, reference=5.0), "qaoa", QUICK, compare=False)
    assert (answer.yardstick, answer.yardstick_value, answer.gap_percent) == ("best known", 5.0, 20.0)
    assert answer.bound is None


@pytest.mark.parametrize(
    "options",
    [
        {"layers": 0}, {"mixer": "y"}, {"start": "zero"}, {"max_qubits": 1}, {"max_qubits": 40}, {"cvar": 0.0},
        {"time_limit_s": 0.0}, {"penalty_scale": -1.0}, {"penalty_scale": 1e300}, {"seed": -1}, {"shots": 0},
        {"colour": "red"},
        {"layers": 10**9}, {"shots": 10**12}, {"n_reads": 10**9}, {"max_rounds": 10**12}, {"max_evaluations": 10**9},
        {"layers": 1.5}, {"layers": True}, {"layers": "2"}, {"max_qubits": None}, {"seed": "x"}, {"cvar": "x"},
        {"time_limit_s": "10"},
    ],
)  # fmt: skip
def test_options_that_are_not_allowed_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ProblemError):
        solve(example("knapsack"), "qaoa", **options)


def test_methods_and_things_that_are_no_problem_are_refused() -> None:
    with pytest.raises(ProblemError, match="method is one of"):
        solve(example("knapsack"), "magic")  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="got int"):
        solve(3)  # type: ignore[arg-type]


def test_solutions_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib draws")
    from superpose.optimization.plots import plot_solution

    for kind in ("tsp", "cvrp", "jobshop"):
        model = example(kind)
        answer = solve(model, "qaoa", QUICK, compare=False)
        path = plot_solution(model, answer, tmp_path / f"{kind}.svg")
        assert path.read_text().count("<path") > 10
    bare = example("cvrp")
    assert isinstance(bare, VehicleRouting)
    bare.coordinates = None
    for model, name in (
        (bare, "a.png"), (example("maxcut"), "a.png"), (example("tsp"), "a.pdf"), (example("tsp"), "none/a.png"),
    ):  # fmt: skip
        with pytest.raises(ProblemError):
            plot_solution(model, answer, tmp_path / name)
