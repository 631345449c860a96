"""What passes take and give: a list of rotations and Clifford gates in front of a Clifford frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from superpose.circuits import Affine
from superpose.engine.frame import Frame

__all__ = ["Angle", "Clifford", "Form", "Item", "Rotation", "constant_of", "is_near", "rotations_of"]

Angle = tuple[tuple[Affine, float], ...]
"""A sum of affine expressions, each times a factor. (Kept as it came: most angles are never added to others.)"""

Rotation = tuple[int, int, Angle]
"""``exp(-i angle/2 P)``: masks x and z, and the angle; P is ``i^k X^x Z^z`` with k the parity of ``x & z``."""

Clifford = tuple[str, tuple[int, ...]]
"""A gate that permutes and rephases basis states, one of `superpose.engine.frame.METHODS`, and its qubits."""

Item = Rotation | Clifford

LARGEST = 64.0
"""Larger constant angles, in radians, are left as they are: their own last digit is worth more than `near` forgives."""


class Form(NamedTuple):
    """A circuit on its way to the tape: ``exp(i phase) F I_m ... I_2 I_1``.

    Attributes:
        n_qubits: Number of qubits.
        items: ``I_1 ... I_m``, in the order in which they are applied.
        frame: F.
        phase: An angle, by its parts.
        folded: Whether all items are rotations.
    """

    n_qubits: int
    items: Sequence[Item]
    frame: Frame
    phase: Angle
    folded: bool = False


def rotations_of(form: Form) -> Sequence[Rotation]:
    """Return the items of a form that is folded."""
    if not form.folded:
        raise ValueError("Clifford gates stand among the rotations; run fold_permutations first.")
    return cast("Sequence[Rotation]", form.items)


def constant_of(angle: Angle) -> float | None:
    """Return the angle if no parameter enters it, else None."""
    if len(angle) == 1:
        affine, factor = angle[0]
        return None if affine.terms else factor * affine.constant
    total, terms = 0.0, dict[str, float]()
    for affine, factor in angle:
        total += factor * affine.constant
        for name, coefficient in affine.terms:
            terms[name] = terms.get(name, 0.0) + factor * coefficient
    return None if any(terms.values()) else total


def is_near(constant: float, multiple: float) -> bool:
    """Return whether a constant angle is the same as a multiple of pi/2 but for rounding: ``1e-15``, or its last
    digit."""
    size = abs(constant)
    return size <= LARGEST and abs(constant - multiple) <= 1e-15 * max(1.0, size / 4)
