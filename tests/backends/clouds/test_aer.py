"""Aer as a backend: the contract, our numbering of qubits, batches in one call, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import superpose
from superpose.backends import LocalBackend
from superpose.backends.clouds.aer import AerBackend
from superpose.circuits import GATES, Circuit, Gate, Observable, Parameter, Program, parameters
from superpose.errors import UnsupportedProgramError
from superpose.testing import ConformanceReport

pytest.importorskip("qiskit_aer", reason="needs Qiskit Aer")


@pytest.mark.slow
def test_it_keeps_every_contract(conforms: Callable[..., ConformanceReport]) -> None:
    conforms(AerBackend())


def asymmetric() -> Program:
    a, b = Parameter("a"), Parameter("b")
    circuit = Circuit(3).ry(a, 0).cx(0, 2).rx(2 * b + 0.1, 1).cp(a - b, 2, 1)
    observables = [Observable({"ZII": 1.0, "IXY": 0.5, "III": 0.25}), Observable({"YIX": 1.0}), Observable({}, 3)]
    return Program(circuit, {"a": [0.3, 1.2, -0.4], "b": [0.5, 0.6, 0.7]}, observables)


def test_a_batch_agrees_with_the_local_backend_qubit_by_qubit() -> None:
    program = asymmetric()
    exact = LocalBackend().run(program).expectations
    found = AerBackend().run(program)
    assert found.expectations is not None and exact is not None
    assert np.abs(found.expectations - exact).max() < 1e-12
    assert found.provenance["backend"] == "aer" and found.provenance["aer"]
    states = Program(program.circuit, dict(program.params))
    wanted, got = LocalBackend().run(states).state_vectors, AerBackend().run(states).state_vectors
    assert wanted is not None and got is not None and np.abs(wanted - got).max() < 1e-12


@pytest.mark.parametrize("row", [row for row in GATES.values() if row.n_angles], ids=lambda row: row.name)
def test_angles_of_every_gate_may_be_parameters(row: Gate) -> None:
    names = parameters("p", row.n_angles)
    circuit = Circuit(3).ry(0.5, 0).ry(0.8, 1).ry(1.1, 2).rz(0.4, 0).rz(0.7, 1).rz(0.9, 2)
    circuit.append(row.name, [2, 0, 1][: row.n_qubits], [2 * one - 0.1 for one in names])
    program = Program(circuit, {one: [0.4 + 0.5 * k, 1.1 - 0.3 * k] for k, one in enumerate(circuit.parameters)})
    wanted, found = LocalBackend().run(program).state_vectors, AerBackend().run(program).state_vectors
    assert wanted is not None and found is not None and np.abs(wanted - found).max() < 1e-12


def test_counts_have_qubit_0_leftmost_and_circuits_without_parameters_keep_their_entries() -> None:
    backend = AerBackend()
    assert backend.run(Program(Circuit(3).x(1).x(2), shots=7)).counts == ({"011": 7},)
    bits = Circuit(2, n_bits=3).x(1).measure(1, 0)
    assert backend.run(Program(bits, shots=7)).counts == ({"100": 7},)
    theta = Parameter("theta")
    circuit = Circuit(2).ry(theta, 0).cx(0, 1)
    counts = backend.run(Program(circuit, {"theta": [0.0, np.pi]}, shots=9)).counts
    assert counts == ({"00": 9}, {"11": 9})


def test_feed_forward_runs_by_shots_and_is_refused_exactly() -> None:
    circuit = Circuit(2, n_bits=2).x(0).measure(0, 0).if_(0, 1, Circuit(2).x(1)).measure(1, 1)
    assert AerBackend().run(Program(circuit, shots=5)).counts == ({"11": 5},)
    theta = Parameter("theta")
    asked = Circuit(2, n_bits=2).x(0).measure(0, 0).if_(0, 1, Circuit(2).ry(theta, 1)).measure(1, 1)
    assert AerBackend().run(Program(asked, {"theta": [0.0, np.pi]}, shots=5)).counts == ({"10": 5}, {"11": 5})
    with pytest.raises(UnsupportedProgramError, match="give shots"):
        AerBackend().run(Program(circuit, {}, [Observable("ZI")]))


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (Program(Circuit(1).amplitude_damping(0.1, 0), shots=5), "noise channels"),
        (Program(Circuit(1), shots=5, initial_state=[0, 1]), "a state of its own"),
    ],
)
def test_what_it_has_no_words_for_is_refused(program: Program, told: str) -> None:
    with pytest.raises(UnsupportedProgramError, match=told):
        AerBackend().run(program)


def test_it_runs_by_name() -> None:
    assert superpose.run(Circuit(2).x(1), shots=5, backend=AerBackend()).counts == ({"01": 5},)
