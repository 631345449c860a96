"""The tree tensor network: two-qubit gates along a binary tree, from the inputs to its root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from superpose.circuits import Circuit, parameters
from superpose.learning.families.hierarchical import HierarchicalClassifier
from superpose.learning.families.readout import z_products
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["TreeTensorClassifier", "tree_block"]

_NODE, _ROOT = 6, 3
"""Weights of a node, and of the last gate on each qubit that is left."""


@dataclass(kw_only=True, eq=False, repr=False)
class TreeTensorClassifier(HierarchicalClassifier):
    """``Linear(n_columns -> n_qubits)``, ``tanh(.) pi/2``, the tree, ``Linear(n_outputs -> n_classes)``.

    The circuit: RY(input) on each qubit; then nodes. A node turns two qubits by general rotations with weights of its
    own and joins them by CX; its second qubit goes up the tree. When as many qubits are left as tell the classes apart
    (one, the root, for two classes), a general rotation and products of Z follow.

    The source encodes one column per qubit; the linear layers are ours, so that any number of columns fits. In the
    separable twin only the inputs of the qubits that are left count; the linear layer sees all columns all the same.

    Args:
        n_qubits: leaves of the tree.
        classical: True puts as many classical parameters in the circuit's place: the family's classical twin.

    Other arguments and attributes: see `VariationalClassifier` and `FamilyClassifier`.

    Cost: ``6 * (n_qubits - 1) + 3`` weights for two classes.
    Source: Grant et al. 2018, arXiv 1804.03680, fig. 1 (tree) and 4 (a node: two rotations and a CX).
    """

    family: ClassVar[str] = "tree_tensor"

    def _block(self, n_kept: int) -> QuantumBlock:
        return tree_block(self.n_qubits, n_kept, entangle=not self.separable)


def tree_block(n_qubits: int, n_kept: int, *, entangle: bool = True) -> QuantumBlock:
    """The tree's circuit: ``n_qubits`` inputs, products of Z on the ``n_kept`` qubits at its top."""
    angles = parameters("x", n_qubits)
    weights = parameters("w", _NODE * (n_qubits - n_kept) + _ROOT * n_kept)
    circuit = Circuit(n_qubits, name="tree_tensor")
    for qubit in range(n_qubits):
        circuit.append("ry", [qubit], [angles[qubit]])
    active, start = list(range(n_qubits)), 0
    while len(active) > n_kept:
        n_nodes = min(len(active) // 2, len(active) - n_kept)
        left = []
        for place in range(0, 2 * n_nodes, 2):
            first, second = active[place], active[place + 1]
            circuit.append("u", [first], list(weights[start : start + 3]))
            circuit.append("u", [second], list(weights[start + 3 : start + _NODE]))
            if entangle:
                circuit.append("cx", [first, second])
            left.append(second)
            start += _NODE
        active = [*left, *active[2 * n_nodes :]]
    for place, qubit in enumerate(active):
        first_weight = start + _ROOT * place
        circuit.append("u", [qubit], list(weights[first_weight : first_weight + _ROOT]))
    names = tuple(angle.name for angle in angles)
    return QuantumBlock(circuit, names, n_qubits, "identity", z_products(active, n_qubits))
