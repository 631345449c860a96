"""Encodings and ansaetze: one test over all rows of both tables."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.circuits import Circuit, Observable, from_qasm, to_qasm
from superpose.engine import compile_program
from superpose.errors import ParameterNameError, SpecError
from superpose.learning import ANSAETZE, ENCODINGS, QuantumBlock, build_block

ROWS = [(encoding, ansatz) for encoding in ENCODINGS for ansatz in ANSAETZE]


@pytest.mark.parametrize(("encoding", "ansatz"), ROWS)
@pytest.mark.parametrize("n_qubits", [1, 2, 3, 5])
def test_every_encoding_with_every_ansatz_makes_a_block(encoding: str, ansatz: str, n_qubits: int) -> None:
    block = build_block(n_qubits, encoding, ansatz, layers=3)
    assert block.n_inputs == block.n_outputs == n_qubits
    assert block.n_weights == ANSAETZE[ansatz].n_weights(n_qubits, 3)
    assert set(block.circuit.parameters) == {*block.angle_names, *block.weight_names}
    entangling = [i for i in block.circuit.instructions if len(i.qubits) > 1]
    assert bool(entangling) == (n_qubits > 1)

    separable = build_block(n_qubits, encoding, ansatz, layers=3, entangle=False)
    assert separable.weight_names == block.weight_names
    assert all(len(i.qubits) == 1 for i in separable.circuit.instructions)

    again = QuantumBlock.from_parts(from_qasm(to_qasm(block.circuit)), block.to_dict())
    assert again.circuit.digest == block.circuit.digest
    assert again.weight_names == block.weight_names
    assert again.observables == block.observables


@pytest.mark.parametrize(("encoding", "ansatz"), ROWS)
def test_without_entanglement_each_expectation_depends_on_its_own_input_only(encoding: str, ansatz: str) -> None:
    block = build_block(3, encoding, ansatz, layers=2, entangle=False)
    whole = build_block(3, encoding, ansatz, layers=2)
    rng = np.random.default_rng(0)
    inputs, weights = rng.uniform(-1, 1, (2, 3)), rng.uniform(-3, 3, block.n_weights)
    inputs[1, 1:] = inputs[0, 1:]  # two samples that differ in input 0

    def expectations(chosen: QuantumBlock) -> np.ndarray:
        program = compile_program(chosen.circuit, chosen.observables, inputs=chosen.angle_names, dtype="float64")
        return program.expectation(chosen.feature_map.apply(inputs), weights)

    first, second = expectations(block)
    np.testing.assert_allclose(first[1:], second[1:], atol=1e-12)
    assert abs(first[0] - second[0]) > 1e-3
    first, second = expectations(whole)
    assert np.abs(first - second).min() > 1e-6, "with entanglement every expectation depends on every input"


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    with pytest.raises(SpecError, match="angle, reuploading, iqp"):
        build_block(2, "amplitude")
    with pytest.raises(SpecError, match="strongly_entangling, hardware_efficient"):
        build_block(2, ansatz="tree")


def test_inputs_that_are_not_parameters_of_the_circuit_are_refused() -> None:
    with pytest.raises(ParameterNameError, match="not in the circuit"):
        QuantumBlock(Circuit(1).h(0), ("x",), 1, "identity", (Observable.z(0, 1),))


def test_a_circuits_parameters_are_listed_a_few_times_not_for_every_angle(monkeypatch: pytest.MonkeyPatch) -> None:
    listed, parameters = [], Circuit.parameters.fget
    monkeypatch.setattr(Circuit, "parameters", property(lambda circuit: listed.append(1) or parameters(circuit)))
    block = build_block(20, "iqp", layers=1)
    assert len(block.angle_names) == 210 and block.n_weights == 60
    assert len(listed) < 10
