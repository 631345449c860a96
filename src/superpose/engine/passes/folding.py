"""Passes that move gates into the frame, where they cost nothing."""

from __future__ import annotations

import math
from functools import cache

from superpose.circuits import Affine
from superpose.engine.frame import METHODS, Frame
from superpose.engine.passes.form import Angle, Form, Rotation, constant_of, is_near, rotations_of

__all__ = ["fold_permutations", "fold_quarter_turns"]

_QUARTER = math.pi / 2


def fold_permutations(form: Form) -> Form:
    """Move X, Y, Z, S, CX, CY, CZ, SWAP behind all rotations, into the frame.

    Rule: ``exp(-i angle/2 P) C = C exp(-i angle/2 C^-1 P C)``, and ``C^-1 P C`` is a Pauli string up to its sign.

    Cost: one or two products of Pauli strings per gate.
    """
    carried = Frame(form.n_qubits)
    items: list[Rotation] = []
    for item in form.items:
        if len(item) == 2:
            METHODS[item[0]](carried, *item[1])
        else:
            items.append(_pulled(carried, *item))
    return form._replace(items=items, frame=form.frame.after(carried), folded=True)


def _pulled(frame: Frame, x: int, z: int, angle: Angle) -> Rotation:
    """Return the rotation that has to come in front of the frame."""
    x, z, negative = frame.pull_masks(x, z)
    return x, z, tuple((affine, -factor) for affine, factor in angle) if negative else angle


@cache
def _phase(quarters: int) -> tuple[Affine, float]:
    return Affine((), -quarters * _QUARTER / 2), 1.0


def fold_quarter_turns(form: Form) -> Form:
    """Move constant rotations that permute and rephase basis states into the frame.

    Rule: ``exp(-i pi/2 P) = -i P`` for every string P, and ``exp(-i k pi/4 Z...Z)`` is diagonal and Clifford for every
    integer k. They move behind the other rotations as in `fold_permutations`.

    Cost: a look at each rotation; behind the first one that is moved, some products of Pauli strings each.
    """
    carried: Frame | None = None
    phase = list(form.phase)
    items: list[Rotation] = []
    for x, z, angle in rotations_of(form):
        constant = None if len(angle) == 1 and angle[0][0].terms else constant_of(angle)
        quarters = 1 if constant is None else round(constant / _QUARTER)
        if constant is None or (x and quarters & 1) or not is_near(constant, quarters * _QUARTER):
            items.append((x, z, angle) if carried is None else _pulled(carried, x, z, angle))
            continue
        carried = carried or Frame(form.n_qubits)
        if quarters & 1:
            carried.quarter_turns(z, quarters)
            phase.append(_phase(quarters % 8))
        else:
            carried.half_turns(x, z, quarters // 2)
    if carried is None:
        return form
    return Form(form.n_qubits, items, form.frame.after(carried), tuple(phase), folded=True)
