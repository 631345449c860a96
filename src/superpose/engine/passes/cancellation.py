"""A pass that drops what does nothing."""

from __future__ import annotations

import math

from superpose.engine.passes.form import Form, constant_of, is_near, rotations_of

__all__ = ["cancel"]

_PERIOD = 4 * math.pi


def cancel(form: Form) -> Form:
    """Drop rotations by multiples of ``4 pi``, above all by 0.

    Rule: ``exp(-i 2 pi k P) = 1``. Opposite rotations that `fuse_rotations` brought together have the angle 0, so that
    gates next to their inverses vanish, whether their angles are numbers or parameters.

    Cost: a look at each rotation.
    """
    items = [
        item
        for item in rotations_of(form)
        if (len(item[2]) == 1 and item[2][0][0].terms) or not _is_identity(constant_of(item[2]))
    ]
    return form if len(items) == len(form.items) else form._replace(items=items)


def _is_identity(constant: float | None) -> bool:
    return constant is not None and is_near(constant, round(constant / _PERIOD) * _PERIOD)
