"""`QuantumLayer.from_circuit` of other toolkits' circuits: names, inputs, observables, and gradients against theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from superpose.circuits import Circuit, Observable, Parameter
from superpose.errors import CircuitFormatError, ConversionError, ParameterNameError
from superpose.learning import QuantumLayer

QASM = """OPENQASM 3.0;
include "stdgates.inc";
input float x;
input float w;
qubit[2] q;
rx(x) q[0];
ry(2*w + 0.1) q[1];
cx q[0], q[1];
"""


def ring(inputs: Any, weights: Any) -> Any:
    """A PennyLane circuit with vectors for inputs and weights, as TorchLayer wants it."""
    qml = pytest.importorskip("pennylane", reason="needs superpose[pennylane]")
    for i in range(3):
        qml.RX(inputs[i], wires=i)
        qml.RY(2 * weights[i] + inputs[0], wires=i)
    for i in range(3):
        qml.CNOT(wires=[i, (i + 1) % 3])
    return [qml.expval(qml.Z(0)), qml.expval(0.5 * qml.X(1) @ qml.Y(2) + 0.25 * qml.Z(2))]


def test_a_qnode_keeps_names_and_observables_and_has_pennylanes_gradients() -> None:
    qml = pytest.importorskip("pennylane", reason="needs superpose[pennylane]")
    node = qml.QNode(ring, qml.device("default.qubit", wires=3), diff_method="parameter-shift")
    layer = QuantumLayer.from_circuit(node, dtype=torch.float64, seed=1)
    assert layer.block.angle_names == ("inputs_0", "inputs_1", "inputs_2")  # a vector called inputs is the default
    assert layer.block.weight_names == ("weights_0", "weights_1", "weights_2")
    theirs = qml.qnn.TorchLayer(node, {"weights": (3,)})
    theirs.double().weights.data.copy_(layer.weights.detach())
    found = []
    for module in (layer, theirs):
        x = torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(4, 3).requires_grad_()
        out = torch.stack([module(row) for row in x])
        ((out * torch.tensor([1.0, -2.0])).sum() ** 2).backward()
        found.append((out.detach(), x.grad, module.weights.grad))
    for ours, other in zip(*found, strict=True):
        assert torch.allclose(ours, other, rtol=0, atol=1e-10)


def templates(inputs: Any, weights: Any) -> Any:
    """PennyLane's templates, which look at the shapes of what they get."""
    qml = pytest.importorskip("pennylane", reason="needs superpose[pennylane]")
    qml.AngleEmbedding(inputs, wires=range(3))
    qml.StronglyEntanglingLayers(weights, wires=range(3))
    return [qml.expval(qml.Z(0)), qml.expval(qml.Z(2))]


def test_templates_with_the_shapes_of_their_arrays_have_pennylanes_gradients() -> None:
    qml = pytest.importorskip("pennylane", reason="needs superpose[pennylane]")
    node = qml.QNode(templates, qml.device("default.qubit", wires=3))
    shape = (2, 3, 3)
    layer = QuantumLayer.from_circuit(node, shapes={"inputs": 3, "weights": shape}, dtype=torch.float64, seed=1)
    assert layer.block.weight_names == tuple(f"weights_{i}_{j}_{k}" for i, j, k in np.ndindex(*shape))
    theirs = qml.qnn.TorchLayer(node, {"weights": shape}).double()
    theirs.weights.data.copy_(layer.weights.detach().reshape(shape))
    found = []
    for module in (layer, theirs):
        x = torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(4, 3).requires_grad_()
        out = module(x)
        ((out * torch.tensor([1.0, -2.0])).sum() ** 2).backward()
        found.append((out.detach(), x.grad, module.weights.grad.flatten()))
    for ours, other in zip(*found, strict=True):
        assert torch.allclose(ours, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (None, r"a function that does not run on symbols \(IndexError.*shapes=\{\"weights\": \(2, 3\)\}"),
        ({"inputs": 3, "weights": (2, 3, 2)}, "third dimension of length 3; got 2"),
        ({"inputs": 0}, "an argument of shape 0: inputs"),
        ({"angles": 3}, "no argument of the function: angles"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_by_our_error(shapes: Any, said: str) -> None:
    qml = pytest.importorskip("pennylane", reason="needs superpose[pennylane]")
    node = qml.QNode(templates, qml.device("default.qubit", wires=3))
    with pytest.raises(ConversionError, match=said):
        QuantumLayer.from_circuit(node, shapes=shapes)
    with pytest.raises(ConversionError, match="leave them out"):
        QuantumLayer.from_circuit(QASM, shapes={"x": 1})


def test_inputs_are_said_by_vector_or_by_name_in_any_order() -> None:
    qml = pytest.importorskip("pennylane", reason="needs superpose[pennylane]")
    node = qml.QNode(ring, qml.device("default.qubit", wires=3))
    assert QuantumLayer.from_circuit(node, "weights").block.angle_names == ("weights_0", "weights_1", "weights_2")
    mixed = QuantumLayer.from_circuit(node, ["weights_1", "inputs"]).block
    assert mixed.angle_names == ("weights_1", "inputs_0", "inputs_1", "inputs_2")
    assert mixed.weight_names == ("weights_0", "weights_2")
    assert QuantumLayer.from_circuit(node, ()).n_inputs == 0
    with pytest.raises(ParameterNameError, match="inputs names 'angles', which is neither a parameter nor a vector"):
        QuantumLayer.from_circuit(node, "angles")


def test_more_than_ten_elements_stand_in_the_order_of_their_indices() -> None:
    circuit = Circuit(1)
    for k in reversed(range(12)):
        circuit.rx(Parameter(f"x_{k}"), 0)
    circuit.ry(Parameter("xs_0"), 0)
    assert QuantumLayer.from_circuit(circuit, "x").block.angle_names == tuple(f"x_{k}" for k in range(12))


def test_a_qnode_that_returns_no_expectations_needs_observables() -> None:
    qml = pytest.importorskip("pennylane", reason="needs superpose[pennylane]")

    def circuit(w: Any) -> Any:
        qml.RY(w, wires=0)
        return qml.probs(wires=0)

    node = qml.QNode(circuit, qml.device("default.qubit", wires=1))
    with pytest.raises(ConversionError, match=r"no expectation as a layer's output.*Give observables="):
        QuantumLayer.from_circuit(node)
    layer = QuantumLayer.from_circuit(node, observables=Observable("X"), dtype=torch.float64, seed=0)
    assert torch.allclose(layer(torch.empty(1, 0, dtype=torch.float64)), torch.sin(layer.weights)[None])


def test_a_qiskit_circuit_has_the_gradients_of_its_parameter_shift() -> None:
    pytest.importorskip("qiskit", reason="needs superpose[qiskit]")
    from qiskit.circuit import ParameterVector, QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp, Statevector

    x, w = ParameterVector("x", 2), ParameterVector("w", 2)
    circuit = QuantumCircuit(2)
    for qubit in range(2):
        circuit.rx(x[qubit], qubit)
        circuit.ry(w[qubit], qubit)
    circuit.cx(0, 1)
    layer = QuantumLayer.from_circuit(circuit, "x", Observable("XZ"), dtype=torch.float64, seed=3)
    assert (layer.block.angle_names, layer.block.weight_names) == (("x_0", "x_1"), ("w_0", "w_1"))

    def theirs(weights: np.ndarray) -> float:
        bound = circuit.assign_parameters({x: [0.3, -0.8], w: weights})
        return float(Statevector(bound).expectation_value(SparsePauliOp("ZX")).real)  # qubit 0 rightmost

    out = layer(torch.tensor([[0.3, -0.8]], dtype=torch.float64))
    out.sum().backward()
    values = layer.weights.detach().numpy()
    shifts = [(theirs(values + s) - theirs(values - s)) / 2 for s in np.eye(2) * np.pi / 2]
    assert np.isclose(float(out.detach()), theirs(values)) and np.allclose(layer.weights.grad, shifts)


def test_files_and_texts(tmp_path: Path) -> None:
    path = tmp_path / "circuit.qasm"
    path.write_text(QASM)
    for source in (path, str(path), QASM):
        block = QuantumLayer.from_circuit(source, "x").block
        assert (block.angle_names, block.weight_names, block.n_outputs) == (("x",), ("w",), 2)
    with pytest.raises(CircuitFormatError, match="absent"):
        QuantumLayer.from_circuit(tmp_path / "absent.qasm")


def test_such_a_layer_is_saved_and_copied_by_its_definition() -> None:
    import copy

    layer = QuantumLayer.from_circuit(QASM, "x", dtype=torch.float64, seed=4)
    again = copy.deepcopy(layer)
    x = torch.rand(5, 1, dtype=torch.float64)
    assert torch.equal(layer(x), again(x)) and again.block.weight_names == ("w",)
