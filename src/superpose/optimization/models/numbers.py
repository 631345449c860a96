"""Numbers that models are made of, refused in the problem's words where they are none."""

from __future__ import annotations

from numbers import Real

import numpy as np
import numpy.typing as npt

from superpose.errors import ProblemError

__all__ = ["as_numbers", "as_whole_numbers"]


def as_numbers(what: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The values as an array of finite numbers.

    Args:
        what: a plural that begins a sentence, such as "Weights".
        values: numbers, or nested rows of them, of one length each.

    Raises:
        ProblemError: rows of several lengths, something that is no number (text that reads like one neither), or a
            number that is not finite.
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
    return found


def as_whole_numbers(what: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The values as an array of whole numbers.

    Args:
        what: a plural that begins a sentence.
        values: whole numbers, or nested rows of them.

    Raises:
        ProblemError: as `as_numbers`, or a broken number.
    """
    array = as_numbers(what, values)
    broken = array[array != np.floor(array)]
    if broken.size:
        raise ProblemError(f"{what} must be whole numbers, got {broken[0]:g}.")
    return array.astype(np.int64)
