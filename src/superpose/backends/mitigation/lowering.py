"""Circuits over a backend's own qubits, on which mitigations change angles: the backend's own, or ours where all qubits
are alike."""

from __future__ import annotations

import math
from collections.abc import Iterator

from superpose.backends.mitigation.cliffords import clifford_table
from superpose.circuits import (
    Affine,
    Backend,
    CalibratedBackend,
    Circuit,
    Instruction,
    Operation,
    Program,
    ProgramResult,
    VerbatimBackend,
    gate,
)
from superpose.errors import UnsupportedProgramError

__all__ = ["Processor", "in_turns_about_z"]

_ABOUT_Z = {"z": 1.0, "s": 0.5, "sdg": -0.5, "t": 0.25, "tdg": -0.25}
"""Half turns."""


class Processor:
    """A backend as one that runs circuits as they are.

    A `VerbatimBackend` does so itself. One whose qubits are all joined has no need to move a circuit: there it is put
    in RZ, SX and two-qubit Clifford gates here.

    Args:
        backend: Either.

    Raises:
        UnsupportedProgramError: It moves circuits and does not say where to.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._verbatim = backend.verbatim() if isinstance(backend, VerbatimBackend) else backend
        if not isinstance(backend, VerbatimBackend) and backend.capabilities().connectivity is not None:
            raise UnsupportedProgramError(
                f"{backend.name} puts circuits on its qubits by itself and runs none as it is (it has no verbatim()), "
                "so that a second circuit may meet other errors than the first. Take zne, twirling or cdr there.",
                backend=backend.name,
            )

    def native(self, circuit: Circuit) -> Circuit:
        """Return the circuit as it is run.

        Raises:
            UnsupportedProgramError: It cannot run here.
        """
        if isinstance(self._backend, VerbatimBackend):
            return self._backend.transpiled(circuit)
        return in_turns_about_z(circuit)

    def epoch(self) -> str:
        """Return what tells one calibration from the next; empty where there is none."""
        return self._backend.calibration().epoch if isinstance(self._backend, CalibratedBackend) else ""

    def max_rows(self) -> int | None:
        """Return how many batch entries go in one program; None for any number."""
        return self._verbatim.capabilities().max_batch

    def run(self, program: Program) -> ProgramResult:
        """Run a program on the backend's own qubits for counts."""
        return self._verbatim.run(program)


def in_turns_about_z(circuit: Circuit) -> Circuit:
    """Return the circuit in RZ, SX, X and Clifford gates on two qubits, up to its global phase.

    ``u(theta, phi, lam)`` is RZ(lam), SX, RZ(theta + pi), SX, RZ(phi + pi), in this order.

    Source: McKay et al. 2017, arXiv 1612.00858, eq. 4.

    >>> from collections import Counter
    >>> made = in_turns_about_z(Circuit(2).h(0).cx(0, 1).rzz(0.2, 0, 1))
    >>> dict(Counter(item.gate for item in made.gate_calls()))
    {'rz': 3, 'sx': 2, 'cx': 1, 'rzz': 1}
    """
    out = Circuit(circuit.n_qubits, circuit.name, n_bits=circuit.n_bits)
    for item in circuit.instructions:
        out.extend(_written(item))
    return out


def _written(item: Operation) -> Iterator[Operation]:
    if not isinstance(item, Instruction) or item.gate in ("rz", "sx", "x", "id", "rzz"):
        yield item
    elif item.gate in _ABOUT_Z:
        yield _turn(item.qubits, Affine.of(math.pi * _ABOUT_Z[item.gate]))
    elif item.gate == "p":
        yield _turn(item.qubits, Affine.of(item.angles[0]))
    elif item.gate == "u":
        theta, phi, lam = (Affine.of(angle) for angle in item.angles)
        pulse = Instruction("sx", item.qubits, ())
        yield _turn(item.qubits, lam)
        yield pulse
        yield _turn(item.qubits, theta + math.pi)
        yield pulse
        yield _turn(item.qubits, phi + math.pi)
    elif len(item.qubits) == 2 and not item.angles and clifford_table(item.gate) is not None:
        yield item
    else:
        for step in _steps(item):
            yield from _written(step)


def _steps(item: Instruction) -> Iterator[Instruction]:
    """The gate's decomposition with its angles and on its qubits."""
    row = gate(item.gate)
    values = dict(zip(row.angle_names, item.angles, strict=True))
    for step in row.decomposition:
        angles = tuple(Affine.of(angle).substitute(values) for angle in step.angles)
        yield Instruction(step.gate, tuple(item.qubits[place] for place in step.qubits), angles)


def _turn(qubits: tuple[int, ...], angle: Affine) -> Instruction:
    return Instruction("rz", qubits, (angle,))
