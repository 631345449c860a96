"""The quantum convolutional neural network (QCNN): layers of equal two-qubit gates, each followed by pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from superpose.circuits import Affine, Circuit, parameters
from superpose.learning.families.hierarchical import HierarchicalClassifier
from superpose.learning.families.readout import z_products
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["QuantumConvolutionClassifier", "convolution_block"]

_PAIR, _POOL, _LAST = 15, 2, 3
"""Weights of a level's two-qubit gate, of its pooling, and of the last gate on each qubit that is left."""


@dataclass(kw_only=True, eq=False, repr=False)
class QuantumConvolutionClassifier(HierarchicalClassifier):
    """``Linear(n_columns -> n_qubits)``, ``tanh(.) pi/2``, the QCNN, ``Linear(n_outputs -> n_classes)``.

    The circuit: RY(input) on each qubit; then levels. A level applies one two-qubit gate (general, 15 weights, the same
    for all pairs of the level) to neighbours on a ring, and pools: of each pair one qubit is left, turned by RZ where
    the other reads 1 and by RX where it reads 0. When as many qubits are left as tell the classes apart (one for two
    classes), a general rotation and products of Z follow.

    The linear layers are ours: the source classifies quantum states and has nothing before the circuit. In the
    separable twin a pooling turn does not depend on the other qubit, so only the inputs of the qubits that are left
    count; the linear layer sees all columns all the same.

    Args:
        n_qubits: qubits at the first level.
        classical: True puts as many classical parameters in the circuit's place: the family's classical twin.

    Other arguments and attributes: see `VariationalClassifier` and `FamilyClassifier`.

    Cost: 17 weights a level, about ``log2(n_qubits)`` levels.
    Source: Cong, Choi, Lukin 2019, arXiv 1810.03787, fig. 1; gate and pooling for classical data: Hur, Kim, Park 2022,
    arXiv 2108.00661, fig. 2 and 4.
    """

    family: ClassVar[str] = "quantum_convolution"

    learning_rate: float = 0.01

    def _block(self, n_kept: int) -> QuantumBlock:
        return convolution_block(self.n_qubits, n_kept, entangle=not self.separable)


def convolution_block(n_qubits: int, n_kept: int, *, entangle: bool = True) -> QuantumBlock:
    """The QCNN's circuit: ``n_qubits`` inputs, products of Z on the ``n_kept`` qubits that pooling leaves."""
    n_levels, left = 0, n_qubits
    while left > n_kept:
        left, n_levels = max(n_kept, (left + 1) // 2), n_levels + 1
    angles = parameters("x", n_qubits)
    weights = parameters("w", (_PAIR + _POOL) * n_levels + _LAST * n_kept)
    circuit = Circuit(n_qubits, name="quantum_convolution")
    for qubit in range(n_qubits):
        circuit.append("ry", [qubit], [angles[qubit]])
    active = list(range(n_qubits))
    for level in range(n_levels):
        own = weights[(_PAIR + _POOL) * level : (_PAIR + _POOL) * (level + 1)]
        for first, second in _ring(active):
            _two_qubit_gate(circuit, (first, second), own[:_PAIR], entangle=entangle)
        active = _pool(circuit, active, n_kept, own[_PAIR:], entangle=entangle)
    for place, qubit in enumerate(active):
        start = (_PAIR + _POOL) * n_levels + _LAST * place
        circuit.append("u", [qubit], list(weights[start : start + _LAST]))
    names = tuple(angle.name for angle in angles)
    return QuantumBlock(circuit, names, n_qubits, "identity", z_products(active, n_qubits))


def _ring(active: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring pairs, even ones first, then odd ones, with the last and the first where there are more than two."""
    n = len(active)
    firsts = [*range(0, n - 1, 2), *range(1, n - 1, 2)]
    pairs = [(active[i], active[i + 1]) for i in firsts]
    return [*pairs, (active[-1], active[0])] if n > 2 else pairs


def _two_qubit_gate(circuit: Circuit, pair: tuple[int, int], w: Sequence[Affine], *, entangle: bool) -> None:
    """A general gate on two qubits: three CX between rotations (Vatan and Williams 2004, quant-ph/0308006, fig. 6)."""
    first, second = pair
    circuit.append("u", [first], list(w[0:3]))
    circuit.append("u", [second], list(w[3:6]))
    if entangle:
        circuit.append("cx", [second, first])
    circuit.append("rz", [first], [w[6]])
    circuit.append("ry", [second], [w[7]])
    if entangle:
        circuit.append("cx", [first, second])
    circuit.append("ry", [second], [w[8]])
    if entangle:
        circuit.append("cx", [second, first])
    circuit.append("u", [first], list(w[9:12]))
    circuit.append("u", [second], list(w[12:15]))


def _pool(circuit: Circuit, active: list[int], n_kept: int, w: Sequence[Affine], *, entangle: bool) -> list[int]:
    """Of each pair the second qubit is left, as long as more than ``n_kept`` are; returns those that are left."""
    n_gone = min(len(active) // 2, len(active) - n_kept)
    left = []
    for place in range(0, 2 * n_gone, 2):
        gone, kept = active[place], active[place + 1]
        left.append(kept)
        if entangle:
            circuit.append("crz", [gone, kept], [w[0]])
            circuit.append("x", [gone])
            circuit.append("crx", [gone, kept], [w[1]])
        else:
            circuit.append("rz", [kept], [w[0]])
            circuit.append("rx", [kept], [w[1]])
    return [*left, *active[2 * n_gone :]]
