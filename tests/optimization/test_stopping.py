"""Classical solvers stop when their caller, or Ctrl-C, says so, hours before their time limit."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest

from superpose.optimization import JobShop, Knapsack, MaxCut, Model, TravellingSalesman, VehicleRouting
from superpose.optimization.classical.watching import watched

HOURS = 7200.0

INTERRUPTED = """
import numpy as np
from superpose.optimization import JobShop, solve

def look():
    print("looking", flush=True)

random = np.random.default_rng(0)
jobs = [[(int(m), int(random.integers(10, 99))) for m in random.permutation(15)] for _ in range(30)]
solve(JobShop(jobs), "classical", time_limit_s=7200.0, compare=False, on_step=look)
"""


class Enough(Exception):
    pass


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


def needs_highspy() -> None:
    if importlib.util.find_spec("highspy") is None or tuple(map(int, version("highspy").split(".")[:2])) >= (1, 15):
        pytest.skip("needs superpose[optimization], with a highspy that goes with OR-Tools")


@pytest.mark.parametrize("installed", [None, "1.15.1"])
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
    ("made", "needs"), [(shop, "ortools"), (tour, "ortools"), (routes, "ortools"), (cut, "highspy")]
)
def test_a_solver_ends_when_its_caller_says_so(made: Callable[[], Model[Any]], needs: str) -> None:
    if needs == "highspy":
        needs_highspy()
    pytest.importorskip(needs, reason="needs superpose[optimization]")
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise Enough

    with pytest.raises(Enough):  # a solver that hears nothing would hold this up for hours
        made().classical(HOURS, 1, look)
    assert looks == 2


def test_ctrl_c_ends_a_solver() -> None:
    pytest.importorskip("ortools", reason="needs superpose[optimization]")
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as solving:
        assert solving.stdout is not None and solving.stdout.readline() == "looking\n"
        solving.send_signal(signal.SIGINT)
        _, said = solving.communicate()
    assert solving.returncode != 0 and said.rstrip().endswith("KeyboardInterrupt")


def test_what_a_solver_raises_is_raised_and_what_it_returns_is_returned() -> None:
    def broken() -> int:
        raise Enough

    assert watched(lambda: 3, lambda: None, None) == 3
    with pytest.raises(Enough):
        watched(broken, lambda: None, None)


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
