"""What a row of the gate table says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from superpose.circuits.gate_matrices import Angle, Matrix, MatrixOf
from superpose.circuits.parameters import Affine, AngleLike
from superpose.circuits.pauli import pauli_matrix
from superpose.errors import GateArityError

__all__ = ["Gate", "Step"]


class Step(NamedTuple):
    """One gate call in a template: angles are affine in the angle names of the row that holds the template."""

    gate: str
    qubits: tuple[int, ...]
    angles: tuple[AngleLike, ...] = ()

    def angles_at(self, values: Mapping[str, AngleLike]) -> tuple[Affine, ...]:
        """Return the angles with the row's angle names replaced."""
        return tuple(Affine.of(angle).substitute(values) for angle in self.angles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A row of the gate table.

    Attributes:
        name: The name in circuits, builder methods and JSON.
        title: What the gate is, in words.
        qubit_names: Names of the builder method's qubit arguments; controls first.
        angle_names: Names of its angle arguments, in radians.
        matrix_of: The matrix as a function of the angles (see `matrix`).
        inverse: The gate call on the same qubits that undoes this one.
        generator: For gates of one angle, the Hermitian ``G`` with gate = exp(-i angle G), as a Pauli sum.
        tangents: For gates of several angles, function of the angles giving their Hermitian ``G_k`` (see `generators`).
        decomposition: Calls of other gates that give the same unitary, first applied first; empty for u and cx, to
            which every other gate comes down.
        exact: Whether the decomposition has the same global phase too.
        controlled: The call, on the control followed by this gate's qubits, that is this gate with one more control.
        qasm: Name in OpenQASM 3, built in or of stdgates.inc; None where the text must carry a definition.
        symbols: What drawings show on each qubit.
    """

    name: str
    title: str
    qubit_names: tuple[str, ...]
    matrix_of: MatrixOf
    inverse: Step
    angle_names: tuple[str, ...] = ()
    generator: tuple[tuple[str, float], ...] | None = None
    tangents: Callable[..., Matrix] | None = None
    decomposition: tuple[Step, ...] = ()
    exact: bool = True
    controlled: Step | None = None
    qasm: str | None = None
    symbols: tuple[str, ...] = ()

    @property
    def n_qubits(self) -> int:
        """Number of qubits the gate acts on."""
        return len(self.qubit_names)

    @property
    def n_angles(self) -> int:
        """Number of angles the gate takes."""
        return len(self.angle_names)

    def matrix(self, angles: Sequence[Angle] = ()) -> Matrix:
        """Return the unitary for ``angles``.

        Args:
            angles: ``n_angles`` numbers, or arrays of one shape ``(...)``, in radians.

        Returns:
            Complex128 array ``(..., 2**n_qubits, 2**n_qubits)``, the gate's first qubit being the most significant bit.

        Raises:
            GateArityError: Another number of angles.
        """
        self._check_angles(len(angles))
        return self.matrix_of(*angles)

    def generators(self, angles: Sequence[Angle] = ()) -> Matrix:
        """Return Hermitian ``G_k`` with ``d matrix / d angle_k = -i G_k matrix``.

        Returns:
            Complex128 array ``(n_angles, 2**n_qubits, 2**n_qubits)``. For one angle it does not depend on its value and
            the gate is ``exp(-i angle G_0)``.
        """
        self._check_angles(len(angles))
        if self.tangents is not None:
            return self.tangents(*angles)
        d = 2**self.n_qubits
        out = np.zeros((self.n_angles, d, d), dtype=np.complex128)
        for pauli, coefficient in self.generator or ():
            out[0] += coefficient * pauli_matrix(pauli)
        return out

    def derivatives(self, angles: Sequence[Angle] = ()) -> Matrix:
        """Return ``d matrix / d angle_k``, complex128 ``(n_angles, 2**n_qubits, 2**n_qubits)``."""
        return -1j * self.generators(angles) @ self.matrix(angles)

    def call(self, step: Step, qubits: tuple[int, ...], angles: tuple[Affine, ...]) -> Step:
        """Return a template ``step`` of this row applied to ``qubits`` with the row's angles set to ``angles``."""
        values = dict(zip(self.angle_names, angles, strict=True))
        return Step(step.gate, tuple(qubits[q] for q in step.qubits), step.angles_at(values))

    def _check_angles(self, got: int) -> None:
        if got != self.n_angles:
            raise GateArityError(f"Gate {self.name} takes {self.n_angles} angles, got {got}.", gate=self.name)
