"""Every ordered pair of toolkits: what one wrote, the other's writer and reader give back with the same unitary."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.circuits import Circuit, Parameter, z_all
from superpose.engine import compile_program
from superpose.frontends import TOOLKITS, read, write

from .conftest import assert_same, installed, random_circuit, values_of

PAIRS = [(one, other) for one in TOOLKITS for other in TOOLKITS]
PARAMETRIC = [name for name, row in TOOLKITS.items() if row.has_parameters]


def keep_parameters(*names: str) -> bool:
    """Whether all of these toolkits have words for free parameters; OpenQASM 2 has none."""
    return all(name in PARAMETRIC for name in names)


def carried(circuit: Circuit, *through: str) -> Circuit:
    """The circuit after being written by and read from toolkits in turn."""
    for name in through:
        circuit = read(write(circuit, name))
    return circuit


@pytest.mark.parametrize(
    ("one", "other", "symbolic"),
    [(*pair, symbolic) for pair in PAIRS for symbolic in (False, True) if not symbolic or keep_parameters(*pair)],
)
def test_from_one_to_another_and_back(one: str, other: str, symbolic: bool) -> None:
    installed(one), installed(other)
    for seed in range(6):
        circuit = random_circuit(seed, symbolic=symbolic, n_qubits=1 + seed % 4)
        assert_same(circuit, carried(circuit, one, other, one))


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_thousand_random_circuits(one: str, other: str) -> None:
    """28 circuits of each kind for each of the 36 pairs."""
    installed(one), installed(other)
    for seed in range(100, 128):
        for symbolic in (False, True) if keep_parameters(one, other) else (False,):
            circuit = random_circuit(seed, symbolic=symbolic)
            assert_same(circuit, carried(circuit, one, other))


@pytest.mark.parametrize("name", PARAMETRIC)
def test_gradients_are_the_same(name: str) -> None:
    installed(name)
    circuit = random_circuit(7, symbolic=True, n_qubits=4)
    other = carried(circuit, name)
    gradients = []
    for one in (circuit, other):
        program = compile_program(one, z_all(4), dtype="float64")
        values = values_of(one)
        _, _, gradient = program.value_and_grad(None, [values[n] for n in program.weight_names], np.ones((1, 4)))
        gradients.append(dict(zip(program.weight_names, gradient, strict=True)))
    assert gradients[0] == pytest.approx(gradients[1], abs=1e-9)


@pytest.mark.parametrize("name", PARAMETRIC)
def test_parameters_stay_what_they_were(name: str) -> None:
    """The circuit on which converters fail: H, RX(2 theta + 0.1), RZ(theta), CX; idle qubits stay too."""
    installed(name)
    theta = Parameter("theta")
    circuit = Circuit(4).h(0).rx(2 * theta + 0.1, 0).rz(theta, 0).cx(0, 2)
    other = carried(circuit, name)
    angles = [item.angles[0] for item in other.gate_calls() if item.angles]
    assert [angle.names for angle in angles] == [("theta",), ("theta",)]
    at = {"theta": 0.7}
    assert [angle.evaluate(at) for angle in angles] == pytest.approx([1.5, 0.7], abs=1e-12)
    assert other.n_qubits == 4
