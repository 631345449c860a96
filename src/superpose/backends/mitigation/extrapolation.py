"""From expectations at several strengths of noise to what they would be at none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from superpose.errors import UnsupportedProgramError

__all__ = ["EXTRAPOLATIONS", "extrapolate"]

Array = npt.NDArray[np.float64]


def _polynomial(degree: int | None) -> Callable[[Array, Array], Array]:
    """Least squares by a polynomial of this degree, or through all points; the value at 0."""

    def at_zero(factors: Array, values: Array) -> Array:
        n = len(factors) - 1 if degree is None else degree
        powers = np.vander(factors, n + 1, increasing=True)  # (n_factors, n + 1)
        weights = np.linalg.pinv(powers)[0]  # (n_factors,): of each value in the constant term
        out: Array = np.tensordot(weights, values, 1)
        return out

    return at_zero


def _exponential(factors: Array, values: Array) -> Array:
    """``b exp(-c factor)``, a line through logarithms; where signs differ or the fit grows with noise, a line."""
    line = _polynomial(1)
    signs = np.sign(values)
    same = (signs == signs[:1]).all(axis=0) & (signs[0] != 0)
    safe = np.where(same, np.abs(values), 1.0)
    logs = np.log(safe)
    decays = np.tensordot(np.linalg.pinv(np.vander(factors, 2, increasing=True))[1], logs, 1) <= 0
    with np.errstate(over="ignore"):
        fitted = signs[0] * np.exp(line(factors, logs))
    return np.where(same & decays, fitted, line(factors, values))


EXTRAPOLATIONS: Mapping[str, Callable[[Array, Array], Array]] = MappingProxyType(
    {
        "linear": _polynomial(1),
        "quadratic": _polynomial(2),
        "richardson": _polynomial(None),
        "exponential": _exponential,
    }
)
"""How values at zero noise are had: least squares by a line or parabola, a polynomial through all points
(Richardson), a decay to 0. Richardson's has the least bias and the most variance."""

_LEAST = MappingProxyType({"linear": 2, "quadratic": 3, "richardson": 2, "exponential": 2})


def extrapolate(factors: Sequence[float], values: npt.ArrayLike, method: str = "exponential") -> Array:
    """Return ``values`` continued to factor 0.

    Args:
        factors: Strengths of the noise, different ones.
        values: ``(n_factors, ...)``.
        method: A name of `EXTRAPOLATIONS`.

    Returns:
        Float64 ``(...)``.

    Raises:
        UnsupportedProgramError: An unknown method, or too few factors for it.

    Source: Temme, Bravyi, Gambetta 2017, arXiv 1612.02058; Endo, Benjamin, Li 2018, arXiv 1712.09271.

    >>> float(extrapolate([1, 3], [0.8, 0.4], "linear").round(12))
    1.0
    >>> float(extrapolate([1, 2], [0.5, 0.25], "exponential").round(12))
    1.0
    """
    if method not in EXTRAPOLATIONS:
        raise UnsupportedProgramError(
            f"method must be one of {', '.join(EXTRAPOLATIONS)}, got {method!r}.", allowed=list(EXTRAPOLATIONS)
        )
    points, array = np.asarray(factors, np.float64), np.asarray(values, np.float64)
    if len(set(points.tolist())) < max(len(points), _LEAST[method]):
        raise UnsupportedProgramError(
            f"{method} extrapolation takes at least {_LEAST[method]} different factors, got {list(factors)}."
        )
    return EXTRAPOLATIONS[method](points, array)
