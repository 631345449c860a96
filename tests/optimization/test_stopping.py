"""Classical solvers stop when their caller, or Ctrl-C, says so, hours before their time limit."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from superpose.errors import SolverStuckError
from superpose.optimization import (
    JobShop,
    Knapsack,
    LinearConstraint,
    MaxCut,
    Model,
    QuadraticProblem,
    Qubo,
    SolveOptions,
    TravellingSalesman,
    VehicleRouting,
    solve,
)
from superpose.optimization.budgets import Budget
from superpose.optimization.classical import annealing, highs, watching
from superpose.optimization.classical.watching import watched
from superpose.optimization.samplers import ExhaustiveSampler, Setting

HOURS = 7200.0
ROOT = Path(__file__).parents[2]

INTERRUPTED = """
import sys
from superpose.optimization import solve
from tests.optimization.test_stopping import dense, shop

def look():
    print("looking", flush=True)

model = {"shop": shop, "dense": dense}[sys.argv[1]]()
solve(model, sys.argv[2], time_limit_s=7200.0, n_reads=100_000, compare=False, on_step=look)
"""
COMMAND = """
import sys
from functools import partial
import superpose.optimization
from superpose.cli import main

def look():
    print("looking", flush=True)

superpose.optimization.solve = partial(superpose.optimization.solve, on_step=look)
main()
"""


class Enough(Exception):
    pass


class Looks:
    """An ``on_step`` that lets a solver go on until it has asked so often, and counts whether it asks again.

    Args:
        enough: at so many looks and at each later one it raises `Enough`.
    """

    def __init__(self, enough: int) -> None:
        self.n, self._enough = 0, enough

    def __call__(self) -> None:
        self.n += 1
        if self.n >= self._enough:
            raise Enough


def places(n: int) -> np.ndarray:
    at = np.random.default_rng(0).random((n, 2)) * 1000
    return np.linalg.norm(at[:, None] - at[None], axis=2)


def shop() -> Model[Any]:
    random = np.random.default_rng(0)
    return JobShop([[(int(m), int(random.integers(10, 99))) for m in random.permutation(15)] for _ in range(30)])


def tour() -> Model[Any]:
    return TravellingSalesman(places(80))


def routes() -> Model[Any]:
    return VehicleRouting(places(60), np.r_[0, np.random.default_rng(1).integers(1, 20, 59)], 100, 9)


def cut() -> Model[Any]:
    random = np.random.default_rng(0)
    pairs = [(i, j) for i in range(60) for j in range(i)]
    edges = [pairs[k] for k in random.choice(len(pairs), 250, replace=False)]
    return MaxCut(60, edges, random.choice([-1.0, 1.0], 250))


def dense(n: int = 400, m: int = 30_000) -> Model[Any]:
    """More edges than are proved: tabu search."""
    random = np.random.default_rng(0)
    rows, cols = np.triu_indices(n, 1)
    chosen = random.choice(len(rows), m, replace=False)
    edges = list(zip(rows[chosen].tolist(), cols[chosen].tolist(), strict=True))
    return MaxCut(n, edges, random.choice([-1.0, 1.0], m))


def needs_highspy() -> None:
    if importlib.util.find_spec("highspy") is None or tuple(map(int, version("highspy").split(".")[:2])) >= (1, 14):
        pytest.skip("needs superpose[optimization], with a highspy that is fit for use")


@pytest.mark.parametrize(
    ("installed", "taken"), [("1.10.0", True), ("1.13.1", True), ("1.14.0", False), ("1.15.1", False), ("2.0", False)]
)
def test_a_highspy_that_is_wrong_or_clashes_is_left_alone(
    installed: str, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(highs, "version", lambda name: installed)
    monkeypatch.setitem(sys.modules, "highspy", (package := ModuleType("highspy")))
    assert highs._highspy() is (package if taken else None)


@pytest.mark.parametrize("installed", [None, "1.14.0", "1.15.1"])
def test_highs_prints_nothing_and_goes_with_or_tools_in_either_order(installed: str | None) -> None:
    pytest.importorskip("ortools", reason="needs superpose[optimization]")
    faked = f"highs.version = lambda name: {installed!r}" if installed else ""
    program = f"""
import sys
from superpose.optimization import JobShop, Knapsack
from superpose.optimization.classical import highs
{faked}
methods = [lambda: Knapsack([6, 10, 12], [1, 2, 3], 5).classical(60.0, 1).bound,
           lambda: JobShop([[(0, 3), (1, 2)], [(1, 2), (0, 1)]]).classical(60.0, 1).bound]
order = methods[::int(sys.argv[1])]
print([method() for method in order], 'highspy' in sys.modules and {bool(installed)})
"""
    for order, found in (("1", "[22.0, 5.0] False\n"), ("-1", "[5.0, 22.0] False\n")):
        said = subprocess.run([sys.executable, "-c", program, order], capture_output=True, text=True, check=True)
        assert (said.stdout, said.stderr) == (found, "")


@pytest.mark.parametrize(
    ("made", "needs"),
    [(shop, "ortools"), (tour, "ortools"), (routes, "ortools"), (cut, "highspy"), (dense, "dwave.samplers")],
)
def test_a_solver_ends_when_its_caller_says_so(made: Callable[[], Model[Any]], needs: str) -> None:
    if needs == "highspy":
        needs_highspy()
    pytest.importorskip(needs, reason="needs superpose[optimization]")
    looks = Looks(2)
    with pytest.raises(Enough):  # a solver that hears nothing would hold this up for hours
        made().classical(HOURS, 1, looks)
    assert looks.n == 2


@pytest.mark.parametrize(
    ("made", "method", "needs"),
    [
        ("shop", "classical", "ortools"),
        ("dense", "classical", "dwave.samplers"),
        ("dense", "annealing", "dwave.samplers"),
    ],
)
def test_ctrl_c_ends_a_solver(made: str, method: str, needs: str) -> None:
    pytest.importorskip(needs, reason="needs superpose[optimization]")
    command = [sys.executable, "-c", INTERRUPTED, made, method]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as solving:
        assert solving.stdout is not None and solving.stdout.readline() == "looking\n"
        solving.send_signal(signal.SIGINT)
        _, said = solving.communicate()
    assert solving.returncode != 0 and said.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.parametrize("method", ["classical", "annealing", "qaoa"])
def test_ctrl_c_ends_the_command_with_a_line_and_130(tmp_path: Path, method: str) -> None:
    if method != "qaoa":
        pytest.importorskip("dwave.samplers", reason="needs superpose[optimization]")
    n, m = (400, 30_000) if method == "annealing" else (60, 300)
    pairs = dense(n, m).problem.quadratic
    lines = [f"{n} {m}", *(f"{i + 1} {j + 1} 1" for i, j in zip(pairs.rows, pairs.cols, strict=True))]
    file = tmp_path / "graph.txt"
    file.write_text("\n".join(lines) + "\n")
    options = ["--method", method, "--alone", "--time-limit", "7200", "--max-rounds", "1000000"]
    command = [sys.executable, "-c", COMMAND, "solve", str(file), *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as solving:
        assert solving.stdout is not None and solving.stdout.readline() == "looking\n"
        solving.send_signal(signal.SIGINT)
        out, said = solving.communicate()
    assert solving.returncode == 130 and set(out.split()) <= {"looking"}
    progress, _, last = said.partition("\n")
    assert progress.startswith(f"  0 % · solving with {method}")
    assert last == "\ngraph: interrupted; what the methods had found by then is not kept\n"


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("qaoa", {}),
        ("qaoa", {"start": "interp", "layers": 3}),
        ("qaoa", {"cvar": 0.5}),
        ("qaoa", {"mixer": "warm"}),
        ("vqe", {}),
        ("qaoa", {"max_qubits": 5}),
        ("vqe", {"max_qubits": 5}),
    ],
)
def test_a_variational_loop_ends_at_the_next_evaluation(method: Any, options: dict[str, Any]) -> None:
    looks = Looks(3)
    with pytest.raises(Enough):
        solve(dense(8, 20), method, time_limit_s=HOURS, on_step=looks, **options)
    assert looks.n == 3  # nothing went on behind it


def test_annealing_ends_when_its_caller_says_so() -> None:
    pytest.importorskip("dwave.samplers", reason="needs superpose[optimization]")
    looks = Looks(1)
    with pytest.raises(Enough):
        solve(dense(), "annealing", time_limit_s=HOURS, n_reads=100_000, on_step=looks)
    assert looks.n == 1  # the sampler swallows what is raised when it asks whether to go on, and so nothing is


def test_strings_are_made_solutions_one_by_one_and_the_caller_is_asked_at_each() -> None:
    class Counted(Knapsack):
        n_decoded = 0

        def decode(self, bits: Any) -> Any:
            self.n_decoded += 1
            return super().decode(bits)

    model = Counted([6, 10, 12], [1, 2, 3], 5)

    def look() -> None:
        if model.n_decoded == 2:
            raise Enough

    with pytest.raises(Enough):
        solve(model, "qaoa", compare=False, on_step=look)
    assert model.n_decoded == 2


def test_looking_at_all_strings_is_ended_between_two_constraints() -> None:
    looks = Looks(3)
    rows = [LinearConstraint("one", [0, 1], 1, "<=", 1)]
    problem = QuadraticProblem([1.0] * 4, {}, constraints=rows, conflicts=[(0, 1), (1, 2), (2, 3)])
    sampler, setting = ExhaustiveSampler(SolveOptions()), Setting(None, 4, Budget(HOURS, on_step=looks), 0)
    with pytest.raises(Enough):
        sampler.draw(sampler.form(problem, setting), setting)
    assert looks.n == 3


def small_qubo() -> Qubo:
    return Qubo.of_matrix(np.random.default_rng(5).normal(size=(14, 14)))


def test_tabu_search_in_parts_reaches_the_optimum_and_gives_four_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dwave.samplers", reason="needs superpose[optimization]")
    monkeypatch.setattr(annealing, "PART_S", 0.01)  # of a clock that every look at it moves on
    qubo, moments = small_qubo(), count()
    found = annealing.tabu(qubo, Budget(1.0, clock=lambda: 0.005 * next(moments)), 3)
    assert found.shape == (4, 14) and next(moments) > 100
    assert qubo.energy(found) == pytest.approx([qubo.all_energies().min()] * 4)


def test_without_time_there_is_a_short_tabu_search_still() -> None:
    pytest.importorskip("dwave.samplers", reason="needs superpose[optimization]")
    assert annealing.tabu(small_qubo(), Budget(1e-9), 3).shape == (4, 14)


def test_annealing_in_parts_reaches_the_optimum_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dwave.samplers", reason="needs superpose[optimization]")
    qubo = small_qubo()
    whole = annealing.annealed(qubo, 3, Budget(HOURS), 3)
    monkeypatch.setattr(annealing, "PART_STEPS", 1.0)
    monkeypatch.setattr(annealing, "PART_SWEEPS", 50)
    parts = annealing.annealed(qubo, 3, Budget(HOURS), 3)
    assert whole.shape == parts.shape == (24, 14) and set(np.unique(parts)) <= {0, 1}
    best = qubo.all_energies().min()
    assert qubo.energy(whole).min() == pytest.approx(best) == pytest.approx(qubo.energy(parts).min())


def test_what_a_solver_raises_is_raised_and_what_it_returns_is_returned() -> None:
    def broken() -> int:
        raise Enough

    assert watched(lambda: 3, lambda: None, None) == 3
    with pytest.raises(Enough):
        watched(broken, lambda: None, None)


@pytest.mark.parametrize("hears", [True, False], ids=["told", "deaf"])
def test_a_solver_that_never_ends_is_told_to_and_given_up(monkeypatch: pytest.MonkeyPatch, hears: bool) -> None:
    monkeypatch.setattr(watching, "GRACE_S", 0.2)
    for_ever, told = threading.Event(), list[float]()
    stop = (lambda: told.append(time.monotonic())) if hears else None
    began_s = time.monotonic()
    with pytest.raises(SolverStuckError, match=r"given 0\.1 s has not ended .* Try again, or another time_limit_s"):
        watched(for_ever.wait, stop, None, 0.1)
    assert all(second > began_s + 0.3 for second in told) and bool(told) is hears
    with pytest.raises(Enough):  # as Ctrl-C, which must come through
        watched(for_ever.wait, stop, Looks(1), 0.1)
    assert time.monotonic() - began_s < 20
    for_ever.set()


def test_a_solver_that_ends_late_but_does_is_heard() -> None:
    stopped = threading.Event()
    assert watched(lambda: stopped.wait(30) and 5, stopped.set, None, -watching.GRACE_S) == 5


def test_a_control_whose_solver_never_ends_is_told_as_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(*_: object) -> None:
        time.sleep(0.05)
        raise SolverStuckError("A classical solver is given up.")

    monkeypatch.setattr(MaxCut, "classical", stuck)
    answer = solve(MaxCut(3, [(0, 1), (1, 2)]), "qaoa", max_evaluations=5)
    (row,) = [row for row in answer.rows if row.role == "classical"]
    assert row.reason == "A classical solver is given up." and row.seconds >= 0.05  # what it took all the same


def test_highs_answers_the_same_by_its_own_package_and_by_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_highspy()
    random = np.random.default_rng(3)
    weights = random.integers(1, 40, 30)
    pairs = [(i, j) for i in range(12) for j in range(i)]
    models = [
        Knapsack(random.integers(1, 40, 30).tolist(), weights.tolist(), int(weights.sum() // 3)),
        MaxCut(12, pairs, random.normal(size=len(pairs)).tolist()),
    ]
    own = [model.classical(600.0, 1) for model in models]
    monkeypatch.setitem(sys.modules, "highspy", None)
    for model, found in zip(models, own, strict=True):
        other = model.classical(600.0, 1)
        assert found.solution is not None and other.solution is not None
        assert model.value(found.solution) == pytest.approx(model.value(other.solution))
        assert found.bound == pytest.approx(other.bound) == pytest.approx(model.value(found.solution))
