"""Numbers that models are made of, refused in the problem's words where they are none."""

from __future__ import annotations

from numbers import Real
from typing import Final

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemError

__all__ = ["as_numbers", "as_places", "as_whole_numbers"]

MOST: Final = 1e90
"""The largest number that a problem has; its inverse is the smallest but 0. Sums and squares of such stay finite."""


def as_numbers(what: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The values as an array of finite numbers.

    Args:
        what: a plural that begins a sentence, such as "Weights".
        values: numbers, or nested rows of them, of one length each.

    Raises:
        ProblemError: rows of several lengths, something that is no number (text that reads like one neither), or a
            number that is not finite, or whose size is above 1e90 or below 1e-90 and not 0.
    """
    try:
        array = np.asarray(values)
    except (ValueError, TypeError):
        raise ProblemError(f"{what} must be numbers, in rows of one length.") from None
    if array.dtype.kind not in "biuf":
        odd = [value for value in np.asarray(values, object).flat if not isinstance(value, Real)]
        if odd:
            raise ProblemError(f"{what} must be numbers, got {str(odd[0])[:40]!r}.")
    found = array.astype(np.float64)
    if not np.isfinite(found).all():
        raise ProblemError(f"{what} must be finite.")
    sizes = np.abs(found[found != 0])
    odd = sizes[(sizes > MOST) | (sizes < 1 / MOST)]
    if odd.size:
        raise ProblemError(
            f"{what} must be 0 or between {1 / MOST:g} and {MOST:g} in size, got {odd[0]:g}; choose other units."
        )
    return found


def as_places(values: npt.ArrayLike | None, n_places: int) -> npt.NDArray[np.float64] | None:
    """The coordinates of all places, ``(n_places, 2)``; None where there are none.

    Raises:
        ProblemError: they are no such pairs of numbers.
    """
    if values is None:
        return None
    found = as_numbers("Coordinates", values)
    if found.shape != (n_places, 2):
        raise ProblemError(f"Coordinates are two numbers for each of {n_places} places, got shape {found.shape}.")
    return found


def as_whole_numbers(what: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The values as an array of whole numbers.

    Args:
        what: a plural that begins a sentence.
        values: whole numbers, or nested rows of them.

    Raises:
        ProblemError: as `as_numbers`, or a broken number, or one from 2**53 on, where whole numbers are not told apart.
    """
    array = as_numbers(what, values)
    broken = array[array != np.floor(array)]
    if broken.size:
        raise ProblemError(f"{what} must be whole numbers, got {broken[0]:g}.")
    large = array[np.abs(array) >= 2.0**53]
    if large.size:
        raise ProblemError(f"{what} must be below 2**53 in size, got {large[0]:g}.")
    return array.astype(np.int64)
