"""Each angle of a circuit as a parameter of its own, so that it can be shifted alone."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from superpose.circuits import GATES, Affine, Circuit, If, Instruction, Operation, Parameter
from superpose.engine.arrays import Array

__all__ = ["Occurrences", "frequencies", "occurrences"]


class Occurrences(NamedTuple):
    """A circuit whose angles that held parameters are parameters themselves, in order of appearance.

    Attributes:
        circuit: The same gates; its parameters are the angles.
        angles: What stood there.
        calls: Gate name, and number of the angle among the gate's angles.
    """

    circuit: Circuit
    angles: tuple[Affine, ...]
    calls: tuple[tuple[str, int], ...]

    def jacobian(self, names: tuple[str, ...]) -> Array:
        """Return ``d angle / d parameter``, float64 ``(n_angles, n_params)``."""
        place = {name: k for k, name in enumerate(names)}
        out = np.zeros((len(self.angles), len(names)))
        for row, angle in enumerate(self.angles):
            for name, coefficient in angle.terms:
                out[row, place[name]] = coefficient
        return out


def occurrences(circuit: Circuit) -> Occurrences:
    """Return the circuit with each angle that holds parameters replaced by one parameter; also inside conditions."""
    angles: list[Affine] = []
    calls: list[tuple[str, int]] = []

    def rewritten(item: Operation) -> Operation:
        if isinstance(item, If):
            return If(item.condition, tuple(map(rewritten, item.then)), tuple(map(rewritten, item.otherwise)))
        if not isinstance(item, Instruction) or not item.names:
            return item
        replaced: list[Affine] = []
        for place, angle in enumerate(item.angles):
            if angle.is_constant:
                replaced.append(angle)
                continue
            replaced.append(Parameter(f"angle_{len(angles)}"))
            angles.append(angle)
            calls.append((item.gate, place))
        return Instruction(item.gate, item.qubits, tuple(replaced))

    made = Circuit(circuit.n_qubits, circuit.name, n_bits=circuit.n_bits)
    made.extend(map(rewritten, circuit.instructions))
    return Occurrences(made, tuple(angles), tuple(calls))


@cache
def frequencies(gate: str, place: int) -> tuple[float, ...]:
    """Return the frequencies with which an angle of a gate enters expectations, ascending.

    A gate is ``exp(-i angle G)`` times what does not depend on that angle; expectations hold the differences of the
    eigenvalues of G. The spectrum of G does not depend on the gate's other angles, though G itself may.

    >>> frequencies("rx", 0), frequencies("crx", 0)
    ((1.0,), (0.5, 1.0))
    """
    row = GATES[gate]
    eigenvalues = np.linalg.eigvalsh(row.generators([0.0] * row.n_angles)[place])
    gaps = np.round(np.abs(eigenvalues[:, np.newaxis] - eigenvalues), 9)
    return tuple(float(gap) for gap in np.unique(gaps) if gap > 0)
