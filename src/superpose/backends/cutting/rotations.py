"""Two-qubit gates as one rotation about ZZ between gates on single qubits: what can be cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import pi
from types import MappingProxyType

from superpose.circuits import Affine, Instruction

__all__ = ["ROTATIONS", "ZZRotation", "zz_rotation"]

Local = tuple[str, int, tuple[Affine | float, ...]]
"""A gate on one of the two qubits: name, which of them, angles."""


@dataclass(frozen=True, slots=True)
class ZZRotation:
    """A gate as ``after . rzz(angle) . before``, up to its global phase.

    Attributes:
        before: Gates on single qubits.
        angle: Of the rotation, radians.
        after: Gates on single qubits.
    """

    before: tuple[Instruction, ...]
    angle: Affine
    after: tuple[Instruction, ...]


def zz_rotation(call: Instruction) -> ZZRotation | None:
    """Return a gate call as a rotation about ZZ; None where the table `ROTATIONS` has no row for it.

    >>> zz_rotation(Instruction("cz", (0, 1))).after
    (Instruction(gate='rz', qubits=(0,), angles=(1.5707963267948966,)), Instruction(gate='rz', qubits=(1,), \
angles=(1.5707963267948966,)))
    """
    if call.gate not in ROTATIONS:
        return None
    before, angle, after = ROTATIONS[call.gate](*call.angles)

    def placed(items: tuple[Local, ...]) -> tuple[Instruction, ...]:
        return tuple(
            Instruction(name, (call.qubits[which],), tuple(map(Affine.of, angles))) for name, which, angles in items
        )

    return ZZRotation(placed(before), Affine.of(angle), placed(after))


Row = Callable[..., tuple[tuple[Local, ...], Affine | float, tuple[Local, ...]]]


def _phase(lam: Affine | float) -> tuple[tuple[Local, ...], Affine | float, tuple[Local, ...]]:
    """``cp(lam)``: ``lam |11><11| = lam/4 (1 - Z1 - Z2 + ZZ)``."""
    return (), lam * -0.5, (("rz", 0, (lam * 0.5,)), ("rz", 1, (lam * 0.5,)))


def _around(inner: Row, before: tuple[Local, ...], after: tuple[Local, ...]) -> Row:
    """A row with gates put around it."""

    def row(*angles: Affine) -> tuple[tuple[Local, ...], Affine | float, tuple[Local, ...]]:
        first, angle, last = inner(*angles)
        return (*before, *first), angle, (*last, *after)

    return row


def _cz() -> tuple[tuple[Local, ...], Affine | float, tuple[Local, ...]]:
    return _phase(pi)


def _crz(theta: Affine) -> tuple[tuple[Local, ...], Affine | float, tuple[Local, ...]]:
    return (), theta * -0.5, (("rz", 1, (theta * 0.5,)),)


def _rzz(theta: Affine) -> tuple[tuple[Local, ...], Affine | float, tuple[Local, ...]]:
    return (), theta, ()


_H0: tuple[Local, ...] = (("h", 0, ()),)
_H1: tuple[Local, ...] = (("h", 1, ()),)
_INTO_Y: tuple[Local, ...] = (("rx", 0, (pi / 2,)), ("rx", 1, (pi / 2,)))
_FROM_Y: tuple[Local, ...] = (("rx", 0, (-pi / 2,)), ("rx", 1, (-pi / 2,)))
_cx = _around(_cz, _H1, _H1)
_crx = _around(_crz, _H1, _H1)

ROTATIONS: Mapping[str, Row] = MappingProxyType(
    {
        "cz": _cz,
        "cx": _cx,
        "cy": _around(_cx, (("sdg", 1, ()),), (("s", 1, ()),)),
        "ch": _around(_cz, (("ry", 1, (-pi / 4,)),), (("ry", 1, (pi / 4,)),)),
        "cp": _phase,
        "crz": _crz,
        "crx": _crx,
        "cry": _around(_crx, (("sdg", 1, ()),), (("s", 1, ()),)),
        "rzz": _rzz,
        "rxx": _around(_rzz, _H0 + _H1, _H0 + _H1),
        "ryy": _around(_rzz, _INTO_Y, _FROM_Y),
        "ecr": _around(lambda: ((), pi / 2, ()), _H1, (*_H1, ("x", 0, ()))),
    }
)
"""For each gate its angles' function that gives gates before, the angle, gates after. A swap is none of them: it is
left out, its qubits renamed. Other gates (cu, and those on three qubits) come down to these."""
