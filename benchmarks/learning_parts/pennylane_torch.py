"""The same network, its circuit in PennyLane, trained with torch: default.qubit by backprop, Lightning by adjoint."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pennylane as qml
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softmax

from learning_parts.pennylane_gates import KEEPS_SINGLE, apply_gates, gate_list
from learning_parts.training_problem import LEARNING_RATE, WEIGHT_DECAY, Outcome, Problem
from superpose.learning.quantum_block import QuantumBlock
from superpose.learning.quantum_layer import QuantumLayer

__all__ = ["keeps_single", "train_backprop", "train_backprop_single", "train_lightning"]


class _Circuit(nn.Module):
    """A block's expectations by a QNode ``(angles (batch, n), weights) -> (batch, n_observables)``."""

    def __init__(self, layer: QuantumLayer, evaluate: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.weights = nn.Parameter(layer.weights.detach().clone())
        self.evaluate = evaluate

    def forward(self, inputs: Tensor) -> Tensor:
        return self.evaluate(inputs, self.weights)


def keeps_single(problem: Problem) -> bool:
    """Whether PennyLane's gates keep this network's states in single precision under torch."""
    layers = [module for module in problem.network.modules() if isinstance(module, QuantumLayer)]
    return all(call[0] in KEEPS_SINGLE for layer in layers for call in gate_list(layer.block))


def _values(block: QuantumBlock, inputs: Tensor, weights: Tensor) -> dict[str, Tensor]:
    if block.feature_map_name != "identity":
        raise NotImplementedError(block.feature_map_name)
    found = {name: inputs[..., place] for place, name in enumerate(block.angle_names)}
    return found | {name: weights[place] for place, name in enumerate(block.weight_names)}


def _observables(block: QuantumBlock) -> list[qml.operation.Operator]:
    """Single Pauli strings of Z, which all networks here measure."""
    found = []
    for observable in block.observables:
        ((text, coefficient),) = observable.terms
        if coefficient != 1.0 or set(text) - {"I", "Z"}:
            raise NotImplementedError(text)
        factors = [qml.PauliZ(place) for place, letter in enumerate(text) if letter == "Z"]
        found.append(factors[0] if len(factors) == 1 else qml.prod(*factors))
    return found


def _backprop(block: QuantumBlock) -> Callable[[Tensor, Tensor], Tensor]:
    calls, measured = gate_list(block), _observables(block)

    @qml.qnode(qml.device("default.qubit", wires=block.circuit.n_qubits), interface="torch", diff_method="backprop")
    def circuit(inputs: Tensor, weights: Tensor) -> list[qml.measurements.ExpectationMP]:
        apply_gates(calls, _values(block, inputs, weights))
        return [qml.expval(observable) for observable in measured]

    return lambda inputs, weights: torch.stack(circuit(inputs, weights), -1).to(torch.float32)


def _backprop_single(block: QuantumBlock) -> Callable[[Tensor, Tensor], Tensor]:
    """From a complex64 state, expectations read off one call of ``probs``: keeps single precision throughout."""
    calls, n_qubits = gate_list(block), block.circuit.n_qubits
    zero = torch.zeros(1 << n_qubits, dtype=torch.complex64)
    zero[0] = 1
    bits = (np.arange(1 << n_qubits)[:, None] >> np.arange(n_qubits)[::-1]) & 1  # (2**n, n)
    rows = []
    for observable in block.observables:
        places = [place for place, letter in enumerate(observable.terms[0][0]) if letter == "Z"]
        rows.append(1.0 - 2.0 * (bits[:, places].sum(axis=1) % 2))
    signs = torch.tensor(np.stack(rows, axis=1), dtype=torch.float32)  # (2**n, n_observables)

    @qml.qnode(qml.device("default.qubit", wires=n_qubits), interface="torch", diff_method="backprop")
    def circuit(inputs: Tensor, weights: Tensor) -> qml.measurements.ProbabilityMP:
        qml.StatePrep(zero, wires=range(n_qubits), validate_norm=False)
        apply_gates(calls, _values(block, inputs, weights), single=True, number=torch.tensor)
        return qml.probs(wires=range(n_qubits))

    return lambda inputs, weights: circuit(inputs, weights) @ signs


def _lightning(block: QuantumBlock) -> Callable[[Tensor, Tensor], Tensor]:
    calls, measured = gate_list(block), _observables(block)
    simulator = qml.device("lightning.qubit", wires=block.circuit.n_qubits, c_dtype=np.complex64)

    @qml.qnode(simulator, interface="torch", diff_method="adjoint", device_vjp=True)
    def circuit(inputs: Tensor, weights: Tensor) -> list[qml.measurements.ExpectationMP]:
        apply_gates(calls, _values(block, inputs, weights))
        return [qml.expval(observable) for observable in measured]

    return lambda inputs, weights: torch.stack(circuit(inputs, weights), -1).to(torch.float32)


def train_backprop(problem: Problem) -> Outcome:
    """default.qubit, backprop, broadcasting over the batch."""
    return _train(problem, _backprop)


def train_backprop_single(problem: Problem) -> Outcome:
    """The same in single precision throughout."""
    return _train(problem, _backprop_single)


def train_lightning(problem: Problem) -> Outcome:
    """lightning.qubit, adjoint gradients on the device; its batches are expanded to one tape each."""
    return _train(problem, _lightning)


def _train(problem: Problem, build: Callable[[QuantumBlock], Callable[[Tensor, Tensor], Tensor]]) -> Outcome:
    network = copy.deepcopy(problem.network)
    for name, module in list(network.named_modules()):
        if isinstance(module, QuantumLayer):
            parent = network.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], _Circuit(module, build(module.block)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    training, validation = problem.training, problem.validation
    losses: list[float] = []
    checked: list[float] = []
    best, best_epoch = copy.deepcopy(network.state_dict()), 0
    for epoch, order in enumerate(torch.from_numpy(problem.orders()), 1):
        total = 0.0
        for chosen in order.split(problem.batch_size):
            optimizer.zero_grad()
            loss = cross_entropy(network(training.rows[chosen]), training.classes[chosen])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(chosen)
        losses.append(total / len(training))
        with torch.no_grad():
            checked.append(cross_entropy(network(validation.rows), validation.classes).item())
        if checked[-1] == min(checked):
            best, best_epoch = copy.deepcopy(network.state_dict()), epoch
        if epoch - best_epoch >= problem.patience:
            break
    network.load_state_dict(best)
    with torch.no_grad():
        return Outcome(losses, checked, softmax(network(validation.rows), dim=1).numpy())
