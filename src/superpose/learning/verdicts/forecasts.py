"""Do two forecasts of the same periods differ in loss? Diebold and Mariano's test with the small-sample correction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

__all__ = ["FEWEST_ORIGINS", "DieboldMariano", "diebold_mariano", "told_by"]

FEWEST_ORIGINS = 8
"""Origins below which the test is not believed.

Its variance comes out too small on few: where nothing differs (1,500 draws, half of the variance shared by the steps of
an origin, horizons 8 to 14), p falls below 0.05 in 23 to 27 % of draws with 2 origins, 14 to 16 % with 4, 10 % with 8;
below 0.001 in 9 to 13 %, 5 % and 1 to 2 %.
"""

_NO_SPREAD = 1e-12
"""Losses that differ by less, as a share of the largest, are taken for equal: rounding may have made it."""


@dataclass(frozen=True)
class DieboldMariano:
    """The test of a mean loss difference.

    Attributes:
        mean_difference: first minus second; below 0 the first forecast is better.
        statistic: corrected; 0 where the losses do not differ.
        p_value: two-sided, by Student's distribution on ``n_periods - 1`` degrees of freedom.
        n_periods: loss differences.
        horizon: steps ahead; autocovariances below this lag count. 1 where those gave no variance above 0.
    """

    mean_difference: float
    statistic: float
    p_value: float
    n_periods: int
    horizon: int


def diebold_mariano(
    first: Sequence[float] | NDArray[np.float64], second: Sequence[float] | NDArray[np.float64], horizon: int
) -> DieboldMariano:
    """Test whether two forecasts have equal expected losses.

    The variance of the mean is that of a moving average of order ``horizon - 1`` (``gamma_k`` are autocovariances with
    divisor n)::

        DM = mean / sqrt((gamma_0 + 2 * sum(gamma_k, k = 1 .. horizon - 1)) / n)
        corrected = DM * sqrt((n + 1 - 2 h + h (h - 1) / n) / n)

    Args:
        first: losses of one forecast, in order of time, at least three.
        second: losses of the other, of the same periods.
        horizon: steps ahead, at least 1.

    Raises:
        ValueError: the losses are not equally many, or too few for the horizon.

    Source: Diebold and Mariano, J. Bus. Econ. Stat. 13 (1995) 253; Harvey, Leybourne and Newbold, Int. J. Forecast. 13
        (1997) 281, eq. 8 and 9.
    """
    losses = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    n = losses[0].size
    if losses[0].shape != losses[1].shape or losses[0].ndim != 1 or not 1 <= horizon < n or n < 3:
        raise ValueError(
            f"losses must be two equally long lists of at least 3 and more than horizon values; got shapes "
            f"{losses[0].shape} and {losses[1].shape} with horizon {horizon}"
        )
    differences = losses[0] - losses[1]
    mean = float(differences.mean())
    around = differences - mean
    gamma = [float(around[lag:] @ around[: n - lag]) / n for lag in range(horizon)]
    variance = gamma[0] + 2.0 * sum(gamma[1:])
    rounding = _NO_SPREAD * float(max(np.max(np.abs(one)) for one in losses))  # whatever unit losses are in
    if variance <= 0.0:  # possible with these weights, which the test is defined by
        variance, horizon = gamma[0], 1
    if variance <= rounding**2:
        certain = abs(mean) > rounding
        return DieboldMariano(mean, 0.0, 2.0 ** (1 - n) if certain else 1.0, n, horizon)
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    statistic = mean / math.sqrt(variance / n) * math.sqrt(correction)
    return DieboldMariano(mean, statistic, 2.0 * float(stdtr(n - 1, -abs(statistic))), n, horizon)


def told_by(found: DieboldMariano, p_value: float, n_origins: int, confidence: float) -> str:
    """What the test says of the first forecast: "better", "worse" or "undecided", as of fewer than 8 origins always.

    Args:
        found: the test.
        p_value: its p value, corrected for other tests beside it.
        n_origins: how many times forecasts were made of whose losses it is.
        confidence: such as 0.95.
    """
    if n_origins < FEWEST_ORIGINS or p_value >= 1.0 - confidence:
        return "undecided"
    return "better" if found.mean_difference < 0 else "worse"
