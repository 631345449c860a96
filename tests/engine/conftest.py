"""Circuits for the tests of the engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from superpose.circuits import GATES, Affine, Circuit, Observable, Parameter
from superpose.engine import get_threads, set_threads


def random_circuit(
    n_qubits: int, n_gates: int, rng: np.random.Generator, names: tuple[str, ...] = ("a", "b", "c", "d")
) -> Circuit:
    """Gates of the whole table on random qubits, with angles that are numbers, parameters and affine sums."""
    rows = [row for row in GATES.values() if row.n_qubits <= n_qubits]
    circuit = Circuit(n_qubits)
    for _ in range(n_gates):
        row = rows[rng.integers(len(rows))]
        qubits = [int(q) for q in rng.permutation(n_qubits)[: row.n_qubits]]
        circuit.append(row.name, qubits, [random_angle(rng, names) for _ in range(row.n_angles)])
    return circuit


def random_angle(rng: np.random.Generator, names: tuple[str, ...]) -> Affine | float:
    first, second = (Parameter(str(name)) for name in rng.choice(names, 2, replace=False))
    number = float(rng.normal())
    return [number, first, number * first + 0.3, first - second * number][rng.integers(4)]


def random_observables(n_qubits: int, rng: np.random.Generator, n: int = 3) -> list[Observable]:
    """Sums of random Pauli strings."""

    def string() -> str:
        return "".join(rng.choice(list("IXYZ"), n_qubits))

    return [Observable([(string(), float(rng.normal())) for _ in range(4)], n_qubits) for _ in range(n)]


def entangling_circuit(n_qubits: int, n_layers: int) -> Circuit:
    """RY of inputs ``x_i``, then layers of RZ RY RZ with weights and rings of CX."""
    circuit = Circuit(n_qubits)
    for q in range(n_qubits):
        circuit.ry(Parameter(f"x_{q}"), q)
    for layer in range(n_layers):
        for q in range(n_qubits):
            a, b, c = (Parameter(f"w_{layer}_{q}_{k}") for k in range(3))
            circuit.rz(a, q).ry(b, q).rz(c, q)
        for q in range(n_qubits):
            if n_qubits > 1:
                circuit.cx(q, (q + layer % (n_qubits - 1) + 1) % n_qubits)
    return circuit


@pytest.fixture(name="random_circuit")
def _random_circuit() -> Callable[..., Circuit]:
    return random_circuit


@pytest.fixture(name="random_observables")
def _random_observables() -> Callable[..., list[Observable]]:
    return random_observables


@pytest.fixture(name="entangling_circuit")
def _entangling_circuit() -> Callable[..., Circuit]:
    return entangling_circuit


@pytest.fixture(autouse=True)
def _keep_threads():
    before = get_threads()
    yield
    set_threads(before)
