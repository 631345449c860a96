"""Gate calls."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from superpose.circuits.gates import GATES, gate
from superpose.circuits.parameters import Affine, AngleLike
from superpose.circuits.wording import shown
from superpose.errors import GateArityError, QubitOutOfRangeError

__all__ = ["Instruction", "qubit_index"]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One call of a gate.

    Args:
        gate: Name of a row of the gate table.
        qubits: Distinct qubit indices, as many as the row asks for, controls first.
        angles: As many angles as the row asks for; numbers become constant `Affine` values.

    Raises:
        GateUnknownError: No such gate.
        GateArityError: Another number of qubits or angles, or a qubit twice.
        QubitOutOfRangeError: A negative qubit.
        AngleError: An angle is neither a finite real number nor an `Affine`.

    >>> Instruction("rx", (0,), (0.5,))
    Instruction(gate='rx', qubits=(0,), angles=(0.5,))
    """

    gate: str
    qubits: tuple[int, ...]
    angles: tuple[Affine, ...] = ()

    def __post_init__(self) -> None:
        row = gate(self.gate)
        qubits = tuple(map(qubit_index, self.qubits))
        if len(qubits) != len(row.qubit_names) or (len(qubits) > 1 and len(set(qubits)) != len(qubits)):
            raise GateArityError(
                f"Gate {row.name} acts on {row.n_qubits} distinct qubits ({', '.join(row.qubit_names)}), got {qubits}.",
                gate=row.name,
                qubits=list(qubits),
            )
        if min(qubits) < 0:
            raise QubitOutOfRangeError(
                f"Qubits are numbered from 0, got {qubits} for gate {row.name}.", qubits=list(qubits)
            )
        if len(self.angles) != len(row.angle_names):
            raise GateArityError(
                f"Gate {row.name} takes {row.n_angles} angles ({', '.join(row.angle_names) or 'none'}), "
                f"got {len(self.angles)}.",
                gate=row.name,
            )
        object.__setattr__(self, "qubits", qubits)
        object.__setattr__(self, "angles", tuple(map(Affine.of, self.angles)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters in the angles, in order of appearance, each once."""
        return tuple(dict.fromkeys(name for angle in self.angles for name in angle.names))

    def bind(self, values: Mapping[str, AngleLike]) -> Instruction:
        """Return the call with the parameters named in ``values`` replaced; itself where it has none of them."""
        bound = tuple(angle.substitute(values) for angle in self.angles)
        return self if bound == self.angles else Instruction(self.gate, self.qubits, bound)

    @property
    def bits(self) -> tuple[int, ...]:
        """Classical bits that it reads or writes: none."""
        return ()

    def moved(self, places: Sequence[int], bits: Sequence[int] | None = None) -> Instruction:
        """Return the call on qubits ``places[q]`` in the place of ``q``."""
        return Instruction(self.gate, tuple(places[q] for q in self.qubits), self.angles)

    def inverse(self) -> Instruction:
        """Return the call that undoes this one."""
        row = GATES[self.gate]
        step = row.call(row.inverse, self.qubits, self.angles)
        return Instruction(step.gate, step.qubits, tuple(map(Affine.of, step.angles)))


def qubit_index(value: object) -> int:
    """Return ``value`` as an integer.

    Raises:
        QubitOutOfRangeError: It is none.
    """
    try:
        return operator.index(value)  # type: ignore[arg-type]  # what is not an integer is told so below
    except TypeError:
        raise QubitOutOfRangeError(
            f"Qubits are counted and numbered by integers, got {shown(value)} of type {type(value).__name__}."
        ) from None
