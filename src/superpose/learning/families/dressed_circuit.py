"""The dressed quantum circuit: a trained circuit between two linear layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from superpose.circuits import Circuit, parameters, z_all
from superpose.learning.families.variational import VariationalClassifier
from superpose.learning.network import HybridNetwork, NetworkShape
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["DressedCircuitClassifier", "dressed_block"]


@dataclass(kw_only=True, eq=False, repr=False)
class DressedCircuitClassifier(VariationalClassifier):
    """``Linear(n_columns -> n_qubits)``, ``tanh(.) pi/2``, the circuit, ``Linear(n_qubits -> n_classes)``.

    The circuit: H and RY(input) on each qubit; ``layers`` times CX on the pairs (0, 1), (2, 3), ..., then on the pairs
    (1, 2), (3, 4), ..., and RY(weight) on each qubit; <Z> of each qubit.

    Args:
        n_qubits: qubits, and width of the linear layers.
        layers: entangling layers.
        classical: True puts as many classical parameters in the circuit's place: the family's classical twin.

    Other arguments and attributes: see `VariationalClassifier` and `FamilyClassifier`.

    Cost: ``n_qubits * (n_columns + n_classes + layers + 1) + n_classes`` parameters.
    Source: Mari et al. 2019, arXiv 1912.08278, sec. III and eq. 13 to 16.

    >>> from sklearn.datasets import load_iris
    >>> rows, labels = load_iris(return_X_y=True)
    >>> bool(DressedCircuitClassifier(random_state=0).fit(rows, labels).score(rows, labels) > 0.9)
    True
    """

    family: ClassVar[str] = "dressed_circuit"

    n_qubits: int = 8
    layers: int = 6
    classical: bool = False

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        self._check_whole("n_qubits", 1, 24)
        self._check_whole("layers", 1, 1000)

    def _network(self, shape: NetworkShape) -> HybridNetwork:
        block = dressed_block(self.n_qubits, self.layers, entangle=not self.separable)
        return HybridNetwork(shape.n_columns, self._layer(block), self.n_qubits, shape.n_classes, math.pi / 2)


def dressed_block(n_qubits: int, layers: int, *, entangle: bool = True) -> QuantumBlock:
    """The circuit of a dressed quantum circuit: ``n_qubits`` inputs, ``layers * n_qubits`` weights, all <Z>."""
    angles, weights = parameters("x", n_qubits), parameters("w", layers * n_qubits)
    circuit = Circuit(n_qubits, name="dressed_circuit")
    for qubit in range(n_qubits):
        circuit.append("h", [qubit])
        circuit.append("ry", [qubit], [angles[qubit]])
    for layer in range(layers):
        if entangle:
            _neighbours(circuit, range(0, n_qubits - 1, 2))
            _neighbours(circuit, range(1, n_qubits - 1, 2))
        for qubit in range(n_qubits):
            circuit.append("ry", [qubit], [weights[layer * n_qubits + qubit]])
    return QuantumBlock(circuit, tuple(angle.name for angle in angles), n_qubits, "identity", z_all(n_qubits))


def _neighbours(circuit: Circuit, firsts: Sequence[int]) -> None:
    for first in firsts:
        circuit.append("cx", [first, first + 1])
