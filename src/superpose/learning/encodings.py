"""Encodings: how inputs enter a circuit. An encoding is a row of `ENCODINGS`; the tests loop over all rows.

Every encoding takes one input per qubit, an angle in radians. Inputs that enter as products pass a named feature map
first (`superpose.circuits.feature_map`), so that the circuit itself stays affine in its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from superpose.circuits import Affine, Circuit

__all__ = ["ENCODINGS", "Encoding"]


@dataclass(frozen=True)
class Encoding:
    """A row of `ENCODINGS`.

    Attributes:
        name: as specs write it.
        summary: one line for people, with the source.
        feature_map: named map from the n_qubits inputs to the angles that `apply` takes.
        apply: appends the encoding's gates for these angles; with ``entangle`` False only those on single qubits.
        repeats: whether it comes again before every layer of the ansatz, or once at the start.
    """

    name: str
    summary: str
    feature_map: str
    apply: Callable[[Circuit, Sequence[Affine], bool], None]
    repeats: bool = False

    def feature_map_for(self, entangle: bool) -> str:
        """The feature map's name; without entangling gates no products of inputs are needed."""
        return self.feature_map if entangle else "identity"


def _angle(circuit: Circuit, angles: Sequence[Affine], entangle: bool) -> None:
    """RY(x_i) on each qubit i."""
    for qubit, angle in enumerate(angles):
        circuit.append("ry", [qubit], [angle])


def _iqp(circuit: Circuit, angles: Sequence[Affine], entangle: bool) -> None:
    """H on all qubits, RZ(x_i) on each, RZZ(x_i x_j) on each pair; angles are the x_i, then all products."""
    n_qubits = circuit.n_qubits
    for qubit in range(n_qubits):
        circuit.append("h", [qubit])
    for qubit in range(n_qubits):
        circuit.append("rz", [qubit], [angles[qubit]])
    if not entangle:
        return
    pairs = [(i, j) for i in range(n_qubits) for j in range(i + 1, n_qubits)]
    for (i, j), angle in zip(pairs, angles[n_qubits:], strict=True):
        circuit.append("rzz", [i, j], [angle])


ENCODINGS: dict[str, Encoding] = {
    row.name: row
    for row in (
        Encoding("angle", "RY(x_i) on qubit i, once (Schuld and Petruccione 2018, ch. 5)", "identity", _angle),
        Encoding(
            "reuploading",
            "RY(x_i) on qubit i again before every layer, for richer functions (Perez-Salinas et al. 2020)",
            "identity",
            _angle,
            repeats=True,
        ),
        Encoding(
            "iqp",
            "H, RZ(x_i) and RZZ(x_i x_j), diagonal in the Z basis (Havlicek et al. 2019)",
            "products",
            _iqp,
        ),
    )
}
"""All encodings by name."""
