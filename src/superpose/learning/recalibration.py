"""Whether probabilities of two classes are too low, too high, too sure or not sure enough on rows that fit nothing.

With ``z`` the log odds that the model gives the positive class, ``logit P(positive) = a + z`` gives the *intercept*
(calibration in the large: 0 is right, above 0 probabilities are too low), and ``logit P(positive) = c + b z`` the
*slope* (1 is right; below 1 probabilities are too near 0 and 1, as of an overfitted model). They diagnose; nothing is
corrected by them.

Source: Cox, Biometrika 45 (1958) 562; Van Calster et al., BMC Med. 17 (2019) 230; variances that rows of one group do
not spoil: Liang and Zeger, Biometrika 73 (1986) 13.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, root
from scipy.special import expit, logit, stdtrit

from superpose.learning.calibration.ranks import members_of

__all__ = ["recalibration"]

Floats = NDArray[np.float64]
Groups = NDArray[np.integer]

_NEAREST: Final = 1e-6
"""How near to 0 and 1 probabilities count at most: isotonic calibration answers with 0 and 1."""
_FARTHEST: Final = 50.0


def recalibration(
    is_positive: NDArray[np.bool_], probabilities: Floats, confidence: float, groups: Groups | None = None
) -> dict[str, Any] | None:
    """Intercept and slope with intervals, and how many positive rows there are for each that was expected.

    Args:
        is_positive: ``(n_rows,)``.
        probabilities: of the positive class, ``(n_rows,)``.
        confidence: of the intervals.
        groups: which rows belong together, any integers ``(n_rows,)``; None if each stands for itself.

    Returns:
        ``n_positive``, ``n_expected``: the sum of the probabilities, ``ratio`` of the two; ``intercept`` and ``slope``,
        each ``value``, ``low``, ``high``. The slope is None where probabilities part the classes without fault, or are
        all one; all of it where a class has no row, or there are fewer than three groups, or rows.

    Cost: O(n) for each of some ten Newton steps.
    """
    members, n_groups = members_of(len(is_positive), groups)
    if n_groups < 3 or is_positive.all() or not is_positive.any():
        return None
    truth, z = is_positive.astype(np.float64), logit(np.clip(probabilities, _NEAREST, 1.0 - _NEAREST))
    quantile = float(stdtrit(n_groups - 1, 0.5 + confidence / 2.0))
    intercept = brentq(lambda a: float(np.sum(truth - expit(a + z))), -_FARTHEST, _FARTHEST)
    parted = z[is_positive].min() > z[~is_positive].max() or z[is_positive].max() < z[~is_positive].min()
    slope = None
    if not parted and np.ptp(z) > 0.0:
        design = np.stack([np.ones_like(z), z], axis=1)
        fitted = root(
            lambda x: design.T @ (truth - expit(design @ x)), [0.0, 1.0], jac=lambda x: -_information(design, x)
        )
        if fitted.success and np.all(np.abs(fitted.x) < 1e3):
            reach = quantile * _deviations(design, fitted.x, truth, members, n_groups)[1]
            slope = _with_ends(float(fitted.x[1]), reach)
    offset = np.ones((len(z), 1))
    residuals = truth - expit(intercept + z)
    curvature = float(np.sum(expit(intercept + z) * expit(-intercept - z)))
    reach = quantile * math.sqrt(_spread(offset * residuals[:, None], members, n_groups)[0, 0]) / curvature
    expected = float(np.sum(probabilities))
    return {
        "n_positive": int(is_positive.sum()),
        "n_expected": expected,
        "ratio": float(is_positive.sum()) / expected if expected > 0.0 else None,
        "intercept": _with_ends(float(intercept), reach),
        "slope": slope,
    }


def _with_ends(value: float, reach: float) -> dict[str, float]:
    return {"value": value, "low": value - reach, "high": value + reach}


def _information(design: Floats, x: Floats) -> Floats:
    """Of the coefficients, ``(2, 2)``."""
    p = expit(design @ x)
    return np.asarray((design * (p * (1.0 - p))[:, None]).T @ design)


def _spread(scores: Floats, members: NDArray[np.intp], n_groups: int) -> Floats:
    """Sum over groups of the outer products of their scores, for as few groups as there are."""
    sums = np.stack([np.bincount(members, weights=own, minlength=n_groups) for own in scores.T], axis=1)
    return np.asarray(n_groups / (n_groups - 1) * (sums.T @ sums))


def _deviations(design: Floats, x: Floats, truth: Floats, members: NDArray[np.intp], n_groups: int) -> Floats:
    """Standard deviations of the coefficients."""
    inverse = np.linalg.inv(_information(design, x))
    middle = _spread(design * (truth - expit(design @ x))[:, None], members, n_groups)
    return np.asarray(np.sqrt(np.diag(inverse @ middle @ inverse)))
