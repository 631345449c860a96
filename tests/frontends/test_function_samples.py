"""The samples of examples/functions: what each gives, run here and over HTTP on a real service."""

from __future__ import annotations

import inspect
import json
import math
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
from tests.cli.conftest import Served, start, stop
from tests.frontends.conftest import installed

import superpose
from superpose.frontends import TOOLKITS

FOLDER = Path(__file__).parents[2] / "examples" / "functions"
NEEDS = {
    "shor_15": "qiskit", "grover": "cirq", "vqe_h2": "pennylane", "qaoa_cut": "pytket", "random_quil": "pyquil",
    **{f"random_{name}": name for name in TOOLKITS},
}  # fmt: skip
RANDOM = sorted(path.name for path in FOLDER.glob("random_*.py"))


def path_of(name: str) -> Path:
    """The sample's file; skips where its toolkit is not installed."""
    path = FOLDER / name
    if path.stem in NEEDS:
        installed(NEEDS[path.stem])
    return path


def run_here(name: str, given: Any, seed: int = 1) -> Any:
    """What a sample gives, by the rules of docs/quantum-functions.md and nothing else of the service."""
    parts = runpy.run_path(str(path_of(name)))
    made = parts["circuit"]
    circuit = superpose.load(made() if callable(made) and not inspect.signature(made).parameters else made)
    observables = [superpose.Observable(text) for text in parts.get("OBSERVABLES", ())]
    prepared = parts["pre"](given)
    params, asked = prepared if isinstance(prepared, tuple) else (prepared, {})
    shots = asked.get("shots", parts.get("SHOTS"))
    if not observables and circuit.is_unitary:
        circuit = circuit.copy().measure_all()
    result = superpose.run(circuit, params, observables=observables or None, shots=shots, seed=seed)
    plain = {
        "counts": None if result.counts is None else [dict(one) for one in result.counts],
        "expectations": None if result.expectations is None else result.expectations.tolist(),
        "params": params,
        "shots": shots,
    }
    return parts["post"](json.loads(json.dumps(plain)), given)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service."""
    running = start(tmp_path_factory.mktemp("home"))
    yield running
    assert stop(running) == 0, (running.home / "server.log").read_text()


def over_http(served: Served, name: str, given: Any, *options: str, seed: int = 1) -> Any:
    """What a sample gives when it is deployed and called with the command line."""
    path = path_of(name)
    called = path.stem.replace("_", "-")
    asked = ["--input", json.dumps(given), "--seed", str(seed)]
    for arguments in (["deploy", str(path), "--name", called, *options], ["call", called, *asked]):
        done = subprocess.run(
            [sys.executable, "-m", "superpose", "functions", *arguments, "--json"],
            capture_output=True,
            text=True,
            env={**os.environ, "XDG_DATA_HOME": str(served.home)},
        )
        assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["output"]


def check_random(numbers: list[int]) -> None:
    """1,000 fair bytes: each test below fails for such once in 10**6 seeds."""
    assert len(numbers) == 1000 and all(0 <= number < 256 for number in numbers)
    bits = np.array([[number >> place & 1 for place in range(8)] for number in numbers])
    assert abs(bits.mean() - 0.5) < 4.9 * 0.5 / math.sqrt(8000)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5.4 * 0.5 / math.sqrt(1000)
    shares = np.bincount(np.array(numbers) >> 4, minlength=16)
    assert ((shares - 62.5) ** 2 / 62.5).sum() < 58.0  # chi squared, 15 degrees of freedom
    apart = 2.0 * bits - 1
    assert abs((apart[1:] * apart[:-1]).mean()) < 4.9 / math.sqrt(8 * 999)  # one number and the next


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_of_every_toolkit(name: str) -> None:
    numbers = run_here(name, {"n": 1000})["numbers"]
    check_random(numbers)
    assert run_here(name, {"n": 5}, seed=2)["numbers"] != run_here(name, {"n": 5}, seed=3)["numbers"]


@pytest.mark.parametrize("name", ["random_openqasm.qasm", "random_quil.quil", "random_qsharp.qs"])
def test_random_bytes_of_circuit_files(name: str) -> None:
    path = path_of(name)
    counts = superpose.run(superpose.load(path), shots=1000, seed=4).counts
    assert counts is not None
    numbers = [int(bits, 2) for bits, number in counts[0].items() for _ in range(number)]
    check_random(list(np.random.default_rng(5).permutation(numbers)))


@pytest.mark.parametrize(
    ("base", "order"), [(2, 4), (4, 2), (7, 4), (8, 4), (11, 2), (13, 4), (14, 2)], ids=lambda value: str(value)
)
def test_shor_factors_15(base: int, order: int) -> None:
    got = run_here("shor_15.py", {"base": base})
    assert got["order"] == order == min(r for r in range(1, 15) if base**r % 15 == 1)
    assert got["factors"] == (None if base == 14 else [3, 5])
    peaks = {str(256 * k // order) for k in range(order)}
    assert set(got["measured"]) == peaks  # phases k/order are exact in 8 bits
    assert all(abs(number - 1000 / order) < 5 * math.sqrt(1000 / order) for number in got["measured"].values())
    useful = sum(Fraction(k, order).denominator == order for k in range(order)) / order
    wanted = 0.0 if base == 14 else useful
    assert abs(got["share"] - wanted) < 0.08  # 5 standard deviations of 1,000 shots


@pytest.mark.parametrize("marked", ["0000", "0110", "1011", "1111"])
def test_grover_finds_what_is_marked(marked: str) -> None:
    got = run_here("grover.py", {"marked": marked})
    assert got["found"] == marked
    assert got["expected_share"] == 0.9613
    assert abs(got["share"] - 0.9613) < 5 * math.sqrt(0.9613 * 0.0387 / 1000)


def test_vqe_reaches_the_exact_ground_state() -> None:
    got = run_here("vqe_h2.py", {})
    assert got["energy"] == pytest.approx(-1.145599, abs=1e-6)
    assert got["t"] == pytest.approx(-0.11487, abs=1e-5)
    terms = runpy.run_path(str(FOLDER / "vqe_h2.py"))["TERMS"]
    matrix = {"I": np.eye(2), "X": [[0, 1], [1, 0]], "Y": [[0, -1j], [1j, 0]], "Z": [[1, 0], [0, -1]]}
    hamiltonian = sum(k * np.kron(matrix[text[0]], matrix[text[1]]) for text, k in terms.items())
    assert got["energy"] == pytest.approx(np.linalg.eigvalsh(hamiltonian)[0], abs=1e-9)
    (there,) = run_here("vqe_h2.py", {"t": [got["t"]]})["energies"]
    assert there == pytest.approx(got["energy"], abs=1e-9)


def cut_share(gamma: float, beta: float, a: int, b: int, graph: networkx.Graph) -> float:
    """Probability that one layer of QAOA cuts an edge: Wang, Hadfield, Jiang, Rieffel 2018, theorem 1."""
    d, e = graph.degree[a] - 1, graph.degree[b] - 1
    triangles = len(list(networkx.common_neighbors(graph, a, b)))
    cos = math.cos(gamma)
    first = math.sin(4 * beta) * math.sin(gamma) * (cos**d + cos**e) / 4
    both = cos ** (d + e - 2 * triangles) * (1 - math.cos(2 * gamma) ** triangles)
    return 0.5 + first - math.sin(2 * beta) ** 2 * both / 4


@pytest.mark.parametrize("angles", [{}, {"gamma": 0.3, "beta": 0.9}, {"gamma": -1.1, "beta": 0.2}], ids=str)
def test_qaoa_cuts_as_the_formula_says(angles: dict[str, float]) -> None:
    got = run_here("qaoa_cut.py", angles)
    graph = networkx.petersen_graph()
    gamma, beta = angles.get("gamma", math.atan(0.5**0.5)), angles.get("beta", math.pi / 8)
    mean = sum(cut_share(gamma, beta, a, b, graph) for a, b in graph.edges)
    assert abs(got["mean_cut"] - mean) < 5 * math.sqrt(15) / math.sqrt(1000)  # a cut's deviation is at most sqrt(15)
    edges = runpy.run_path(str(FOLDER / "qaoa_cut.py"))["EDGES"]
    assert networkx.is_isomorphic(networkx.Graph(edges), graph)
    assert got["cut"] == sum(got["sides"][a] != got["sides"][b] for a, b in edges)
    if not angles:
        assert mean == pytest.approx(15 * 0.6925, abs=1e-2)
        assert got["cut"] == 12  # the largest there is; a sample finds it with some 15 %


def test_qaoa_of_a_pair_is_the_closed_form() -> None:
    circuit = superpose.load(FOLDER / "qaoa_pair.qasm")
    angles = np.random.default_rng(1).uniform(-3, 3, (2, 50))
    params = {"gamma": angles[0], "beta": angles[1]}
    got = superpose.run(circuit, params, observables=superpose.Observable("ZZ")).expectations
    np.testing.assert_allclose(got[:, 0], np.sin(4 * angles[1]) * np.sin(2 * angles[0]), atol=1e-12)


def iris() -> tuple[list[list[float]], list[str]]:
    """Rows and names of classes."""
    from sklearn.datasets import load_iris

    loaded = load_iris()
    return loaded.data.tolist(), [str(loaded.target_names[label]) for label in loaded.target]


def test_the_classifier_knows_its_flowers() -> None:
    rows, wanted = iris()
    got = run_here("classifier.py", {"rows": rows})
    assert np.mean([a == b for a, b in zip(got["classes"], wanted, strict=True)]) > 0.95
    assert np.allclose(np.sum(got["probabilities"], axis=1), 1, atol=2e-4)


@pytest.mark.slow
def test_the_classifier_is_what_its_script_trains() -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "train_classifier.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_over_http(served: Served, name: str) -> None:
    check_random(over_http(served, name, {"n": 1000})["numbers"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random_openqasm.qasm", "random_quil.quil", "random_qsharp.qs"])
def test_random_bytes_over_http(served: Served, name: str) -> None:
    (counts,) = over_http(served, name, {}, "--shots", "1")["counts"]
    ((bits, number),) = counts.items()
    assert len(bits) == 8 and set(bits) <= {"0", "1"} and number == 1


@pytest.mark.slow
def test_a_circuit_file_over_http(served: Served) -> None:
    got = over_http(served, "qaoa_pair.qasm", {"gamma": [0.4, 0.1], "beta": [0.3, 0.2]}, "--observable", "ZZ")
    wanted = [[math.sin(1.2) * math.sin(0.8)], [math.sin(0.8) * math.sin(0.2)]]
    np.testing.assert_allclose(got["expectations"], wanted, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("shor_15.py", {"base": 7}, {"base": 7, "order": 4, "factors": [3, 5]}),
        ("shor_15.py", {"base": 14}, {"base": 14, "order": 2, "factors": None, "share": 0.0}),
        ("grover.py", {"marked": "1011"}, {"found": "1011", "expected_share": 0.9613}),
        ("vqe_h2.py", {}, {"energy": pytest.approx(-1.145599, abs=1e-6), "t": pytest.approx(-0.11487, abs=1e-5)}),
        ("qaoa_cut.py", {}, {"cut": 12}),
        ("classifier.py", {"rows": [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]}, {"classes": ["setosa", "virginica"]}),
    ],
)
def test_samples_over_http(served: Served, name: str, given: Any, wanted: dict[str, Any]) -> None:
    got = over_http(served, name, given)
    assert {key: got[key] for key in wanted} == wanted
