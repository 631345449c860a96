"""NumPy's masked arrays: what is under the mask is no value, whatever number stands there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["first_masked", "unmasked"]


def unmasked(values: Any) -> Any:
    """Return a masked array as a plain one of its shape, with NaN (of texts and objects None) under the mask.

    Whole numbers and truth values become float64; anything that is no masked array is returned as it is.

    >>> unmasked(np.ma.masked_array([1, 2], mask=[False, True])).tolist()
    [1.0, nan]
    """
    if not isinstance(values, np.ma.MaskedArray):
        return values
    plain = np.array(values.data, dtype=np.float64 if values.dtype.kind in "fiub" else object)
    plain[_mask_of(values)] = np.nan if plain.dtype == np.float64 else None
    return plain


def first_masked(values: Any) -> int | None:
    """Return the first place of a masked vector that has no value; None where all have one, or there is no mask."""
    if not isinstance(values, np.ma.MaskedArray):
        return None
    places = np.flatnonzero(_mask_of(values))
    return int(places[0]) if places.size else None


def _mask_of(values: Any) -> npt.NDArray[np.bool_]:
    return np.broadcast_to(values.mask, values.shape)
