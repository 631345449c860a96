"""Circuits placed on processors do the same as before, on qubits that are joined, and on the better ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.backends.estimates.processors import compact, processor, random_circuit

from superpose.backends.estimates import Placer
from superpose.circuits import Circuit, GateCalibration, Instruction, Parameter
from superpose.circuits.reference import state_vector
from superpose.errors import UnsupportedProgramError


@pytest.mark.parametrize("shape", ["line", "ring", "ladder"])
@pytest.mark.parametrize("seed", range(6))
def test_a_placed_circuit_does_the_same(shape: str, seed: int) -> None:
    calibration = processor("p", 6, shape, seed=seed)
    circuit = random_circuit(4, 5, seed).ccx(0, 1, 3)
    placed = Placer(calibration).place(circuit)
    for item in placed.circuit.instructions:
        if isinstance(item, Instruction) and len(item.qubits) == 2:
            assert item.gate == "cx" and item.qubits in calibration.connectivity
    marked = Circuit(6).extend(placed.circuit.instructions)
    ours, theirs = abs(state_vector(circuit)) ** 2, abs(state_vector(marked)) ** 2
    found = np.zeros(16)
    for index, probability in enumerate(theirs):
        bits = [(index >> (5 - placed.last[qubit])) & 1 for qubit in range(4)]
        found[int("".join(map(str, bits)), 2)] += probability
    assert np.allclose(found, ours)


def test_measurements_and_branches_follow_the_qubits() -> None:
    circuit = Circuit(3, n_bits=3).x(0).cx(0, 2).measure(0, 0)
    circuit.if_((0,), 1, Circuit(3).cx(1, 2)).measure(1, 1).measure(2, 2)
    placed = Placer(processor("p", 5)).place(circuit)
    small, _ = compact(placed.circuit)
    from superpose import run

    assert run(small, shots=20).counts == run(circuit, shots=20).counts == ({"101": 20},)


def test_the_better_qubits_are_taken() -> None:
    calibration = processor("p", 6)
    bad = tuple(
        replace(row, error=0.2) if row.gate == "cx" and max(row.qubits) < 4 else row for row in calibration.gates
    )
    placed = Placer(replace(calibration, gates=bad)).place(Circuit(2).cx(0, 1))
    assert set(placed.first) == {4, 5}
    assert placed.n_swaps == 0
    free = Placer(calibration).place(Circuit(1).h(0))
    best = min(range(6), key=lambda q: (calibration.qubits[q].flip0 or 0) + (calibration.qubits[q].flip1 or 0))
    assert free.first == (best,)


def test_free_parameters_stay_free() -> None:
    theta = Parameter("theta")
    placed = Placer(processor("p", 3)).place(Circuit(2).rx(theta, 0).crz(theta, 0, 1))
    assert placed.circuit.parameters == ("theta",)


def test_what_cannot_be_placed() -> None:
    calibration = processor("p", 3)
    with pytest.raises(UnsupportedProgramError, match="has 4 qubits, p has 3"):
        Placer(calibration).place(Circuit(4).h(0))
    apart = replace(calibration, gates=(GateCalibration(gate="cx", qubits=(0, 1), error=0.01),))
    with pytest.raises(UnsupportedProgramError, match="joins too few"):
        Placer(apart).place(Circuit(3).cx(0, 1).cx(1, 2))
