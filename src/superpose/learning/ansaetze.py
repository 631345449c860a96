"""Ansaetze: the trained part of a circuit. An ansatz is a row of `ANSAETZE`; the tests loop over all rows.

Entangling gates carry no weights, so that removing them (the control without entanglement) keeps the parameter count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from superpose.circuits import Affine, Circuit

__all__ = ["ANSAETZE", "Ansatz"]


@dataclass(frozen=True)
class Ansatz:
    """A row of `ANSAETZE`.

    Attributes:
        name: as specs write it.
        summary: one line for people, with the source.
        weights_per_qubit: weights of one layer, per qubit.
        apply_layer: appends layer number ``layer`` with its ``weights_per_qubit * n_qubits`` weights; with ``entangle``
            False only the gates on single qubits.
    """

    name: str
    summary: str
    weights_per_qubit: int
    apply_layer: Callable[[Circuit, Sequence[Affine], int, bool], None]

    def n_weights(self, n_qubits: int, layers: int) -> int:
        """Weights of all layers."""
        return self.weights_per_qubit * n_qubits * layers


def _strongly_entangling(circuit: Circuit, weights: Sequence[Affine], layer: int, entangle: bool) -> None:
    """A general rotation on each qubit, then CX from i to i + r mod n, with range r growing by one per layer."""
    n_qubits = circuit.n_qubits
    for qubit in range(n_qubits):
        circuit.append("u", [qubit], list(weights[3 * qubit : 3 * qubit + 3]))
    if entangle and n_qubits > 1:
        reach = layer % (n_qubits - 1) + 1
        for qubit in range(n_qubits):
            circuit.append("cx", [qubit, (qubit + reach) % n_qubits])


def _hardware_efficient(circuit: Circuit, weights: Sequence[Affine], layer: int, entangle: bool) -> None:
    """RZ, then RY on each qubit, then CX along the line 0-1-...-n-1; RY comes last because RZ would not reach <Z>."""
    n_qubits = circuit.n_qubits
    for qubit in range(n_qubits):
        circuit.append("rz", [qubit], [weights[2 * qubit]])
        circuit.append("ry", [qubit], [weights[2 * qubit + 1]])
    if entangle:
        for qubit in range(n_qubits - 1):
            circuit.append("cx", [qubit, qubit + 1])


ANSAETZE: dict[str, Ansatz] = {
    row.name: row
    for row in (
        Ansatz(
            "strongly_entangling",
            "U(3 angles) on each qubit, CX ring whose range grows per layer (Schuld et al. 2020, fig. 4)",
            3,
            _strongly_entangling,
        ),
        Ansatz(
            "hardware_efficient",
            "RZ and RY on each qubit, CX between neighbours on a line (after Kandala et al. 2017)",
            2,
            _hardware_efficient,
        ),
    )
}
"""All ansaetze by name."""
