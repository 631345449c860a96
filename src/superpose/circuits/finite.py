"""Whether a number is one that floats can hold."""

from __future__ import annotations

import math
from numbers import Real

__all__ = ["is_finite"]


def is_finite(value: Real | float) -> bool:
    """Return whether ``value`` is neither infinite nor nan, nor a whole number beyond the largest float.

    >>> is_finite(1), is_finite(float("nan")), is_finite(10**400)
    (True, False, False)
    """
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
