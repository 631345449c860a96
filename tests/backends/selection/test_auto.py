"""`backend="auto"`: runs where it is best, and the result says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.backends.estimates.pool import install_pool

import superpose
from superpose.backends.selection import AutoBackend, Best, Cheapest, Constraints, Selection, Soonest, replay
from superpose.circuits import Circuit, Observable, Parameter, Program
from superpose.errors import DecisionError, NoBackendFitsError

GHZ = Circuit(3).h(0).cx(0, 1).cx(1, 2)
POOL = ("pool:good", "pool:middle", "pool:cheap", "pool:off")
QPU = Constraints(kinds=frozenset({"qpu"}))


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Names of backends that tests look at."""
    install_pool(tmp_path, monkeypatch)
    return ("local", *POOL)


def test_this_machine_is_taken_where_nothing_forbids_it(pool: tuple[str, ...]) -> None:
    result = superpose.run(GHZ, shots=50, seed=1, backend=Selection(among=pool))
    assert result.counts == superpose.run(GHZ, shots=50, seed=1).counts
    told = result.provenance["selection"]
    assert result.provenance["backend"] == told["chosen"] == "local"
    assert "local is" in told["why"]
    assert replay(told).chosen == "local"


@pytest.mark.parametrize(
    ("objective", "chosen"),
    [
        (Best(), "pool:good"),
        (Best(max_price_usd=2.0), "pool:middle"),
        (Cheapest(min_fidelity=0.0), "pool:cheap"),
        (Cheapest(min_fidelity=0.97), "pool:good"),
        (Soonest(), "pool:cheap"),
    ],
)
def test_objectives_choose_among_processors(pool: tuple[str, ...], objective: Best, chosen: str) -> None:
    selection = Selection(objective=objective, constraints=QPU, among=pool)
    result = superpose.run(GHZ, shots=1000, backend=selection)
    assert result.provenance["backend"] == chosen
    out = {one["name"]: one["reasons"] for one in result.provenance["selection"]["verdicts"]}
    assert out["local"] == ["It is a simulator, not qpu."] and out["pool:off"] == ["It is offline. Repairs."]


@pytest.mark.slow  # looks at everything that is installed
def test_auto_by_name_with_objective_and_constraints(pool: tuple[str, ...]) -> None:
    limits = Constraints(providers=frozenset({"pool"}))
    result = superpose.run(GHZ, shots=100, backend="auto", objective=Cheapest(min_fidelity=0.0), constraints=limits)
    assert result.provenance["backend"] == "pool:cheap"
    with pytest.raises(DecisionError, match=r"beside backend='auto'"):
        superpose.run(GHZ, shots=100, objective=Best())


def test_none_fits(pool: tuple[str, ...]) -> None:
    selection = Selection(objective=Cheapest(min_fidelity=0.9999), constraints=QPU, among=pool)
    with pytest.raises(NoBackendFitsError, match=r"None of 5 backends will do.*at least 0.9999 is asked") as caught:
        superpose.run(GHZ, shots=100, backend=selection)
    assert set(caught.value.details["reasons"]) == set(pool)
    assert replay(caught.value.details["decision"]).chosen is None


def test_a_loop_over_values_stays_where_it_began(pool: tuple[str, ...]) -> None:
    circuit = Circuit(1).ry(Parameter("a"), 0)
    runner = AutoBackend(Selection(objective=Soonest(), constraints=QPU, among=pool))
    first, second = (
        runner.decide(Program(circuit, {"a": angle}, [Observable("Z")], shots=100)) for angle in (0.1, 0.2)
    )
    assert first is second
    slope = superpose.gradient(circuit, {"a": 0.5}, observables=Observable("Z"), shots=4000, backend=runner)
    assert slope.shape == (1, 1, 1) and abs(slope[0, 0, 0] + 0.479) < 0.1  # over 6 standard errors
    assert (
        superpose.compile(circuit, observables=Observable("Z"), backend=runner).run([0.0], shots=10).expectations == 1
    )


def test_only_this_machine_is_reachable_and_that_is_said() -> None:
    code = """
import superpose, sys
from superpose.backends import providers
providers.entry_points = lambda group: ()
result = superpose.run(superpose.Circuit(1).x(0), shots=3, backend="auto")
assert result.counts == ({"1": 3},)
print(result.provenance["selection"]["why"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("local is the only one that will do: 1 of 1 backends would do.")


def test_a_run_here_loads_none_of_it() -> None:
    code = """
import superpose, sys
superpose.run(superpose.Circuit(1).x(0), shots=3)
rooms = ("superpose.backends.selection", "superpose.backends.estimates")
print([name for name in sys.modules if name.startswith(rooms)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
