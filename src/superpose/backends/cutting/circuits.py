"""The circuits of a fragment: what it does in the place of its cuts is chosen by the values of a few parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

from superpose.backends.cutting.plan import Fragment, GateEnd
from superpose.circuits import Circuit, Parameter

__all__ = ["BASES", "GATE_FORMS", "PREPARED_STATES", "READ", "FragmentCircuit", "fragment_circuit"]

GATE_FORMS = (0.0, pi, pi / 2, -pi / 2)
"""What stands in the place of a cut gate on one of its qubits: a turn about Z by these angles; a fifth form is a
measurement of Z whose outcome is a sign."""
READ = len(GATE_FORMS)
"""The number of that fifth form."""

PREPARED_STATES = ((0.0, 0.0), (pi, 0.0), (pi / 2, 0.0), (-pi / 2, 0.0), (pi / 2, pi / 2), (-pi / 2, pi / 2))
"""Turns about Y, then Z, that prepare the states 0, 1, +, -, +i, -i."""

BASES = {"Z": (0.0, 0.0), "X": (0.0, -pi / 2), "Y": (-pi / 2, -pi / 2)}
"""Turns about Z, then Y, after which a measurement of Z is one of this letter."""


@dataclass(frozen=True, slots=True)
class FragmentCircuit:
    """A fragment with some of its cut gates' ends read.

    Attributes:
        circuit: Its parameters are those of the fragment's gates and those of the three below.
        turns: Parameter of each end that is not read, None for those that are; in the order of the ends.
        states: Parameters of each start.
        bases: Parameters of the measurement of each of the fragment's qubits; None where it is of Z alone, or none.
        read_qubits: Qubits behind the fragment's own that hold the outcomes, where they are not classical bits.
        n_read: Bits in front of those of the fragment's qubits that hold the outcomes.
    """

    circuit: Circuit
    turns: tuple[str | None, ...]
    states: tuple[tuple[str, str], ...]
    bases: tuple[tuple[str, str] | None, ...]
    read_qubits: tuple[int, ...]
    n_read: int


def fragment_circuit(
    fragment: Fragment, read: Sequence[bool], letters: Sequence[str] | None, *, by_qubits: bool, prefix: str
) -> FragmentCircuit:
    """Return a circuit of ``fragment``.

    Args:
        fragment: The fragment.
        read: For each of its gates' ends, whether it is measured there.
        letters: For each of its qubits, the letters in which it will be measured ("" for none); None where nothing is
            measured, because exact expectations are asked for.
        by_qubits: Whether the measurements of ``read`` go to qubits of their own.
        prefix: With what the parameters' names begin.
    """
    n_read = sum(read)
    n_qubits = fragment.n_qubits + (n_read if by_qubits else 0)
    n_bits = 0 if letters is None else n_read + sum(map(bool, letters))
    out = Circuit(n_qubits, "fragment", n_bits=n_bits)
    states = tuple((f"{prefix}y{k}", f"{prefix}z{k}") for k in range(len(fragment.starts)))
    for start, (y, z) in zip(fragment.starts, states, strict=True):
        out.ry(Parameter(y), start.qubit).rz(Parameter(z), start.qubit)
    turns: list[str | None] = []
    read_qubits: list[int] = []
    done = 0
    for step in fragment.steps:
        if not isinstance(step, GateEnd):
            out.extend([step])
            continue
        place = len(turns)
        if not read[place]:
            turns.append(f"{prefix}t{place}")
            out.rz(Parameter(f"{prefix}t{place}"), step.qubit)
            continue
        turns.append(None)
        if by_qubits:
            read_qubits.append(fragment.n_qubits + done)
            out.cx(step.qubit, read_qubits[-1])
        else:
            out.measure(step.qubit, done)
        done += 1
    bases = _measured(out, letters, read_qubits, prefix) if letters is not None else ()
    return FragmentCircuit(out, tuple(turns), states, bases, tuple(read_qubits), n_read)


def _measured(
    out: Circuit, letters: Sequence[str], read_qubits: Sequence[int], prefix: str
) -> tuple[tuple[str, str] | None, ...]:
    """Append the measurements at the end."""
    for bit, qubit in enumerate(read_qubits):
        out.measure(qubit, bit)
    bases: list[tuple[str, str] | None] = []
    bit = out.n_bits - sum(map(bool, letters))
    for qubit, some in enumerate(letters):
        names = (f"{prefix}a{qubit}", f"{prefix}b{qubit}") if set(some) - {"Z"} else None
        bases.append(names)
        if names is not None:
            out.rz(Parameter(names[0]), qubit).ry(Parameter(names[1]), qubit)
        if some:
            out.measure(qubit, bit)
            bit += 1
    return tuple(bases)
