"""Gate calls of OpenQASM, with definitions and modifiers, brought down to calls of the gate table.

A list of operations is the exact product of its parts; ``gphase`` stays among them as a pseudo-gate, because under a
control it becomes a real phase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import pi
from typing import TypeAlias

from superpose.circuits.gates import GATES, Gate, Step
from superpose.circuits.parameters import Affine, Parameter

__all__ = [
    "ALIASES",
    "GPHASE",
    "LIBRARY_3",
    "STDGATES",
    "Library",
    "Template",
    "controlled",
    "flattened",
    "inverted",
    "negated_control",
]

GPHASE = "gphase"
_theta, _phi, _lam = (Parameter(name) for name in ("theta", "phi", "lam"))

STDGATES = {row.qasm: row for row in GATES.values() if row.qasm is not None and row.qasm != "U"}
"""The gates of stdgates.inc that are rows of our table, by their name there."""

Template: TypeAlias = tuple[tuple[str, ...], int, tuple[Step, ...]]
"""A gate as angle names, number of qubits, and exact steps."""

ALIASES: dict[str, Template] = {
    "CX": ((), 2, (Step("cx", (0, 1)),)),
    "phase": (("lam",), 1, (Step("p", (0,), (_lam,)),)),
    "cphase": (("lam",), 2, (Step("cp", (0, 1), (_lam,)),)),
    "u1": (("lam",), 1, (Step("p", (0,), (_lam,)),)),
    "u2": (("phi", "lam"), 1, (Step("rz", (0,), (_lam,)), Step("ry", (0,), (pi / 2,)), Step("rz", (0,), (_phi,)))),
    "u3": (
        ("theta", "phi", "lam"),
        1,
        (Step("rz", (0,), (_lam,)), Step("ry", (0,), (_theta,)), Step("rz", (0,), (_phi,))),
    ),
}
"""The other gates of stdgates.inc."""


@dataclass(frozen=True, slots=True)
class Library:
    """The gates that a version of OpenQASM starts from.

    Attributes:
        path: The file that may be included.
        built_in: Gates that are always there.
        included: Those of the file.
        extension: Gates that many tools have beside them; always there, and a definition in the text goes first.
    """

    path: str
    built_in: Mapping[str, Gate | Template]
    included: Mapping[str, Gate | Template]
    extension: Mapping[str, Gate | Template]


LIBRARY_3 = Library("stdgates.inc", {"U": GATES["u"]}, {**STDGATES, **ALIASES}, {})


def inverted(steps: list[Step]) -> list[Step]:
    """Return the steps that undo ``steps``."""
    return [_inverse(step) for step in reversed(steps)]


def controlled(steps: list[Step], control: int, charge: Callable[[int], None]) -> list[Step]:
    """Return ``steps`` under the control of one more qubit; ``charge`` is told how many steps are made."""
    out: list[Step] = []
    for step in steps:
        made = _controlled(step, control)
        charge(len(made))
        out += made
    return out


def negated_control(steps: list[Step], control: int) -> list[Step]:
    """Return ``steps``, which ``control`` controls, acting where the control is 0."""
    flip = Step("x", (control,))
    return [flip, *steps, flip]


def flattened(steps: Iterable[Step]) -> list[Step]:
    """Return ``steps`` with the gates that OpenQASM has no name for replaced by their decompositions."""
    out: list[Step] = []
    for step in steps:
        row = GATES.get(step.gate)
        if row is None or row.qasm is not None:
            out.append(step)
        else:
            out += flattened(_decomposed(row, step))
    return out


def _angles(step: Step) -> tuple[Affine, ...]:
    return tuple(map(Affine.of, step.angles))


def _inverse(step: Step) -> Step:
    if step.gate == GPHASE:
        return Step(GPHASE, (), (-Affine.of(step.angles[0]),))
    row = GATES[step.gate]
    return row.call(row.inverse, step.qubits, _angles(step))


def _controlled(step: Step, control: int) -> list[Step]:
    if step.gate == GPHASE:
        return [Step("p", (control,), step.angles)]
    row = GATES[step.gate]
    if row.controlled is not None:
        return [row.call(row.controlled, (control, *step.qubits), _angles(step))]
    # rows without a controlled form have exact decompositions (a test of the table holds them to it)
    return [made for part in _decomposed(row, step) for made in _controlled(part, control)]


def _decomposed(row: Gate, step: Step) -> list[Step]:
    return [row.call(part, step.qubits, _angles(step)) for part in row.decomposition]
