"""Data re-uploading: columns enter every layer again, as angles with trained scale and shift."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from superpose.circuits import Circuit, parameters, z_all
from superpose.learning.families.variational import VariationalClassifier
from superpose.learning.fused.parts import FusedParts
from superpose.learning.network import NetworkShape
from superpose.learning.quantum_block import QuantumBlock
from superpose.learning.quantum_layer import QuantumLayer

__all__ = ["DataReuploadingClassifier", "reuploading_block"]


@dataclass(kw_only=True, eq=False, repr=False)
class DataReuploadingClassifier(VariationalClassifier):
    """``layers`` times: the columns, three to a rotation, as angles ``weight + scale * column`` of all qubits, then CZ.

    Rotations are ``U(theta, phi, lambda)``; more than three columns take several in a row. CZ joins the pairs (0, 1),
    (2, 3), ... and (1, 2), (3, 4), ..., (n - 1, 0) by turns, and not after the last layer. Classes come from <Z> of
    each qubit by a linear layer, trained on cross entropy; the source weighs the fidelities of each qubit with a
    class's state, which are affine in the same <Z>, and trains on their squared error.

    Args:
        n_qubits: qubits, each of which sees all columns.
        layers: how often they come.
        input_scale: deviation of the angles by which the columns turn a qubit in all layers together, before training,
            in radians; the more columns and layers, the smaller the initial scales.

    Other arguments and attributes: see `VariationalClassifier` and `FamilyClassifier`.

    Cost: ``layers * n_qubits * (n_columns + 3 * ceil(n_columns / 3))`` parameters, scales and weights.
    Source: Perez-Salinas et al. 2020, arXiv 1907.02085, eq. 9 to 11 and fig. 5.
    """

    family: ClassVar[str] = "data_reuploading"

    learning_rate: float = 0.01
    n_qubits: int = 4
    layers: int = 4
    input_scale: float = 1.0

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        self._check_whole("n_qubits", 1, 24)
        self._check_whole("layers", 1, 1000)
        self._check_size("input_scale", 1000)

    def _network(self, shape: NetworkShape) -> nn.Module:
        return _Reuploading(self, shape)


class _Reuploading(nn.Module):
    def __init__(self, family: DataReuploadingClassifier, shape: NetworkShape) -> None:
        super().__init__()
        spread = family.input_scale / math.sqrt(family.layers * shape.n_columns)
        self.scale = nn.Parameter(torch.randn(family.layers * family.n_qubits, shape.n_columns) * spread)
        block = reuploading_block(shape.n_columns, family.n_qubits, family.layers, entangle=not family.separable)
        self.block = QuantumLayer.from_block(block)
        self.exit = nn.Linear(family.n_qubits, shape.n_classes)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, n_columns) -> (batch, n_classes)."""
        angles = (rows.unsqueeze(1) * self.scale).flatten(1)  # (batch, layers * n_qubits * n_columns)
        scores: Tensor = self.exit(self.block(angles))
        return scores

    def fused_parts(self) -> FusedParts:
        """The same as parts, for training in compiled code."""
        return FusedParts(self.block, self.exit, "scale", self.scale)


def reuploading_block(n_columns: int, n_qubits: int, layers: int, *, entangle: bool = True) -> QuantumBlock:
    """The circuit: ``layers * n_qubits * n_columns`` inputs, each added to a weight; all <Z>.

    Args:
        n_columns: columns; where they are no multiple of three, the last rotation has angles that are weights only.
        n_qubits: qubits.
        layers: layers.
        entangle: False leaves out CZ.
    """
    n_times, n_rotations = layers * n_qubits, -(-n_columns // 3)
    angles, weights = parameters("x", n_times * n_columns), parameters("w", n_times * n_rotations * 3)
    circuit = Circuit(n_qubits, name="data_reuploading")
    for layer in range(layers):
        for qubit in range(n_qubits):
            time = layer * n_qubits + qubit
            own = angles[time * n_columns : (time + 1) * n_columns]
            free = weights[time * n_rotations * 3 : (time + 1) * n_rotations * 3]
            turns = [w + x for w, x in zip(free, own, strict=False)] + list(free[n_columns:])
            for start in range(0, len(turns), 3):
                circuit.append("u", [qubit], turns[start : start + 3])
        if entangle and n_qubits > 1 and (layer < layers - 1 or layers == 1):
            for first, second in _pairs(n_qubits, layer % 2):
                circuit.append("cz", [first, second])
    return QuantumBlock(circuit, tuple(angle.name for angle in angles), len(angles), "identity", z_all(n_qubits))


def _pairs(n_qubits: int, start: int) -> list[tuple[int, int]]:
    """(start, start + 1), (start + 2, start + 3), ...; from 1 on with (n - 1, 0) where it is free."""
    if n_qubits == 2:
        return [(0, 1)]
    pairs = [(i, i + 1) for i in range(start, n_qubits - 1, 2)]
    return [*pairs, (n_qubits - 1, 0)] if start == 1 and n_qubits % 2 == 0 else pairs
