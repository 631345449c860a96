"""Circuits to carry between toolkits, and how two are compared."""

from __future__ import annotations

import os

import numpy as np
import pytest

import superpose
from superpose.circuits import GATES, Circuit, Parameter, reference
from superpose.frontends import TOOLKITS

os.environ.setdefault("QDK_PYTHON_TELEMETRY", "none")

NAMES = tuple(TOOLKITS)
"""What `superpose.convert` writes."""
WITHOUT_PHASE = ("qsharp",)
"""Languages in which a circuit has its unitary up to a global phase."""
BOUND_ONLY = tuple(name for name, row in TOOLKITS.items() if not row.has_parameters)


def carried(circuit: Circuit, *through: str) -> Circuit:
    """The circuit after being written in and read from toolkits in turn."""
    for name in through:
        circuit = superpose.load(superpose.convert(circuit, to=name))
    return circuit


def installed(name: str) -> str:
    """The toolkit's name; skips a test where it is not installed."""
    pytest.importorskip(TOOLKITS[name].package, reason=f"needs superpose[{name}]")
    return name


def random_circuit(seed: int, *, symbolic: bool, n_qubits: int | None = None) -> Circuit:
    """Gates of the whole table on 1 to 8 qubits; angles are numbers, or sums of parameters used more than once."""
    rng = np.random.default_rng(seed)
    n = n_qubits or int(rng.integers(1, 9))
    symbols = [Parameter(name) for name in ("theta", "φ_1", "beta2", "w")]
    rows = [row for row in GATES.values() if row.n_qubits <= n]
    circuit = Circuit(n)
    for _ in range(int(rng.integers(3, 15))):
        row = rows[rng.integers(len(rows))]
        angles = []
        for _ in range(row.n_angles):
            angle = float(rng.uniform(-4, 4))
            if symbolic:
                one, other = rng.choice(len(symbols), size=2, replace=False)
                angle = float(rng.integers(-3, 4)) / 2 * symbols[one] + 0.25 * symbols[other] + angle
            angles.append(angle)
        circuit.append(row.name, [int(qubit) for qubit in rng.permutation(n)[: row.n_qubits]], angles)
    return circuit


def values_of(circuit: Circuit) -> dict[str, float]:
    """A value for each parameter, by its name alone."""
    return {name: float(np.sin(sum(map(ord, name)))) for name in circuit.parameters}


def assert_same(one: Circuit, other: Circuit, *, phase: bool = True) -> None:
    """Equal unitaries to 1e-9, global phase included unless told, and the same parameters."""
    assert set(other.parameters) == set(one.parameters)
    assert other.n_qubits == one.n_qubits
    want, got = (reference.unitary(circuit, values_of(circuit)) for circuit in (one, other))
    if not phase:
        overlap = np.vdot(got, want)
        got = got * (overlap / abs(overlap))
    np.testing.assert_allclose(got, want, atol=1e-9, rtol=0)
