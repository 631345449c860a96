"""Arrays that callers hand in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.engine.kernels import modes
from superpose.errors import ShapeError

__all__ = ["Array", "not_finite_error", "real_array"]

Array = npt.NDArray[Any]
_DTYPES = {kind: np.dtype(kind) for kind in (np.float32, np.float64)}


def real_array(what: str, value: npt.ArrayLike, dtype: type[np.float32] | type[np.float64] = np.float64) -> Array:
    """Return ``value`` as an array of ``dtype`` in the form that the kernels take: itself if it has that form.

    Raises:
        ShapeError: It is not made of real numbers.
    """
    if type(value) is np.ndarray and value.dtype is _DTYPES[dtype] and value.ndim and value.flags.carray:
        return value
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"dtype {array.dtype}")
        out = np.ascontiguousarray(array, dtype) if array.ndim else np.asarray(array, dtype)
        return out if out.flags.carray else out.copy()  # the kernels' signature has writable, aligned arrays
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor that wants gradients
        raise ShapeError(f"{what} must be an array of real numbers, got {type(value).__name__} ({error}).") from None


def not_finite_error(status: int) -> ShapeError:
    """Return the error for what the kernels found to be NaN or infinite."""
    what = "weights" if status & modes.BAD_WEIGHTS else "inputs" if status & modes.BAD_INPUTS else "grad_expectations"
    return ShapeError(f"{what} must be finite, got NaN or infinity.", what=what, got="non-finite")
