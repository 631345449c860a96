"""The circuit-centric classifier: columns as amplitudes, strongly entangling layers, qubits read one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from superpose.circuits import Affine, Circuit, parameters, z_all
from superpose.errors import SpecError
from superpose.learning.ansaetze import ANSAETZE
from superpose.learning.families.readout import n_kept_for, z_products
from superpose.learning.families.variational import VariationalClassifier
from superpose.learning.fused.parts import FusedParts
from superpose.learning.network import NetworkShape
from superpose.learning.quantum_block import QuantumBlock
from superpose.learning.quantum_layer import QuantumLayer

__all__ = ["READOUTS", "CircuitCentricClassifier", "amplitude_angles", "circuit_centric_block"]

READOUTS = ("all", "first")
"""What a circuit-centric classifier may be read by."""


@dataclass(kw_only=True, eq=False, repr=False)
class CircuitCentricClassifier(VariationalClassifier):
    """Columns and a constant 1 as amplitudes of ``copies`` registers, strongly entangling layers, <Z> of each qubit.

    The row ``(x_1, ..., x_n, 1, 0, ..., 0)``, divided by its length, is each register's state; the constant keeps the
    length of the row visible. What is read are products of two amplitudes, so a column by itself counts as much as the
    constant is large: beside many columns 1 is small, and a boundary that is a plane is hardly seen
    (``constant="balanced"``). A linear layer gives the scores. The source reads qubit 0 alone and compares its <Z> plus
    a bias with zero: ``readout="first"``, with products of Z on as many qubits as tell more than two classes apart.

    Amplitudes are made by multiplexed RY. The separable twin keeps of each multiplexer the turn that does not depend on
    other qubits, so its inputs say much less about a row than amplitudes do: a difference from it is a difference of
    encodings too.

    Args:
        copies: registers with the same amplitudes: products of columns up to this degree.
        layers: strongly entangling layers.
        constant: the constant, above 0 and at most 1000, in deviations of a column; "balanced" for the square root of
            the number of columns, as long as a standardised row on average. Large ones see planes, small ones curves.
        readout: "all" reads <Z> of every qubit, "first" as few qubits as tell the classes apart, by products of Z.

    Other arguments and attributes: see `VariationalClassifier` and `FamilyClassifier`.

    Cost: ``3 * layers * copies * n`` weights and ``copies * 2**n`` turns for the amplitudes, with ``2**n`` the first
        power of two above the number of columns: for columns, not for large pictures.
    Source: Schuld, Bocharov, Svore, Wiebe 2020, arXiv 1804.00633, sec. III and IV; amplitudes: Mottonen et al. 2004,
    quant-ph/0407010.
    """

    family: ClassVar[str] = "circuit_centric"
    former: ClassVar[Mapping[str, Any]] = MappingProxyType({"readout": "first"})

    copies: int = 2
    layers: int = 4
    readout: str = "all"
    constant: float | str = 1.0

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        self._check_whole("copies", 1, 8)
        self._check_whole("layers", 1, 1000)
        if self.readout not in READOUTS:
            raise SpecError(f"must be one of {', '.join(READOUTS)}, got {self.readout!r}", "readout")
        self._check_size("constant", 1000, other="balanced")

    def _network(self, shape: NetworkShape) -> nn.Module:
        return _CircuitCentric(self, shape)


class _CircuitCentric(nn.Module):
    def __init__(self, family: CircuitCentricClassifier, shape: NetworkShape) -> None:
        super().__init__()
        n_register = shape.n_columns.bit_length()  # 2**n_register >= n_columns + 1
        n_kept = None if family.readout == "all" else n_kept_for(shape.n_classes, n_register * family.copies)
        constant = math.sqrt(shape.n_columns) if family.constant == "balanced" else float(family.constant)
        self.amplitudes = _Amplitudes(shape.n_columns, n_register, constant, separable=bool(family.separable))
        block = circuit_centric_block(n_register, family.copies, family.layers, n_kept, entangle=not family.separable)
        self.block = QuantumLayer.from_block(block)
        self.exit = nn.Linear(block.n_outputs, shape.n_classes)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, n_columns) -> (batch, n_classes)."""
        scores: Tensor = self.exit(self.block(self.amplitudes(rows)))
        return scores

    def fused_parts(self) -> FusedParts:
        """The same as parts, for training in compiled code."""
        return FusedParts(self.block, self.exit, fixed=self.amplitudes)


class _Amplitudes(nn.Module):
    """Rows ``(batch, n_columns)`` as angles of the multiplexed RY that make their amplitudes, ``(batch, n_angles)``."""

    def __init__(self, n_columns: int, n_register: int, constant: float, *, separable: bool) -> None:
        super().__init__()
        self.n_columns, self.n_register, self.separable = n_columns, n_register, separable
        self.constant = constant
        for level in range(n_register):
            self.register_buffer(f"walsh_{level}", _walsh(level), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, n_columns) -> (batch, 2**n_register - 1), or (batch, n_register) in the separable twin."""
        n_rest = 2**self.n_register - self.n_columns - 1
        constant = torch.full_like(rows[:, :1], self.constant)
        wide = torch.cat([rows, constant, *[torch.zeros_like(constant)] * n_rest], dim=1)  # (batch, 2**n_register)
        turns = amplitude_angles(wide, self.n_register)
        mixed = [
            turn @ self.get_buffer(f"walsh_{level}").to(turn.dtype).t() for level, turn in enumerate(turns)
        ]  # (batch, 2**level) each
        return torch.cat([turn[:, :1] if self.separable else turn for turn in mixed], dim=1)


def amplitude_angles(amplitudes: Tensor, n_qubits: int) -> list[Tensor]:
    """Angles of each level's RY by the value of the qubits above: ``(batch, 2**level)`` for level 0 to n_qubits - 1.

    Args:
        amplitudes: ``(batch, 2**n_qubits)``, of any length but zero.
        n_qubits: qubits.
    """
    levels: list[Tensor] = []
    left = amplitudes
    for level in reversed(range(n_qubits)):
        pairs = left.reshape(-1, 2**level, 2)  # (batch, 2**level, 2)
        levels.append(2.0 * torch.atan2(pairs[:, :, 1], pairs[:, :, 0]))
        left = (pairs.square().sum(dim=2) + 1e-30).sqrt()  # (batch, 2**level)
    return levels[::-1]


def _walsh(level: int) -> Tensor:
    """From turns by control value to turns between CX, ``(2**level, 2**level)``."""
    size = 2**level
    gray = [i ^ (i >> 1) for i in range(size)]
    return torch.tensor([[(-1.0) ** (gray[i] & j).bit_count() / size for j in range(size)] for i in range(size)])


def circuit_centric_block(
    n_register: int, copies: int, layers: int, n_kept: int | None = 1, *, entangle: bool = True
) -> QuantumBlock:
    """The circuit: ``2**n_register - 1`` inputs (``n_register`` without ``entangle``), each for all registers.

    Args:
        n_register: qubits of a register.
        copies: registers.
        layers: strongly entangling layers.
        n_kept: qubits that are read, by all products of Z on them; None reads <Z> of every qubit.
        entangle: False leaves out what depends on two qubits.
    """
    n_qubits = n_register * copies
    angles = parameters("x", 2**n_register - 1 if entangle else n_register)
    ansatz = ANSAETZE["strongly_entangling"]
    per_layer = ansatz.n_weights(n_qubits, 1)
    weights = parameters("w", per_layer * layers)
    circuit = Circuit(n_qubits, name="circuit_centric")
    for copy in range(copies):
        start = 0
        for level in range(n_register):
            n_turns = 2**level if entangle else 1
            _multiplexed_ry(circuit, copy * n_register, level, angles[start : start + n_turns])
            start += n_turns
    for layer in range(layers):
        ansatz.apply_layer(circuit, weights[layer * per_layer : (layer + 1) * per_layer], layer, entangle)
    names = tuple(angle.name for angle in angles)
    read = z_all(n_qubits) if n_kept is None else z_products(range(n_kept), n_qubits)
    return QuantumBlock(circuit, names, len(angles), "identity", read)


def _multiplexed_ry(circuit: Circuit, first: int, level: int, turns: Sequence[Affine]) -> None:
    """RY on qubit ``first + level`` whose angle depends on the ``level`` qubits above, by CX in Gray code's order."""
    target = first + level
    for i, turn in enumerate(turns):
        circuit.append("ry", [target], [turn])
        if len(turns) > 1:
            following = (i + 1) % len(turns)
            changed = (i ^ (i >> 1)) ^ (following ^ (following >> 1))
            circuit.append("cx", [target - changed.bit_length(), target])
