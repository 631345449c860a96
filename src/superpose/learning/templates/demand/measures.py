"""How good forecasts are: point measures, intervals by split conformal prediction, and their coverage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from superpose.learning.calibration.intervals import DEFAULT_COVERAGE
from superpose.learning.verdicts.splits import paired_test

__all__ = ["LEVEL", "MEASURES", "QUANTILES", "measured", "naive_error", "summary"]

Floats = NDArray[np.float64]

LEVEL: Final = DEFAULT_COVERAGE
"""Share of periods that an interval is meant to hold."""

QUANTILES: Final = (0.1, 0.5, 0.9)
"""Whose pinball losses are averaged: both ends of the interval, and the forecast itself for the median."""

MEASURES: Final = ("mase", "mae", "rmse", "smape", "pinball", "coverage", "width")


def naive_error(quantities: Floats, season: int) -> float:
    """Mean absolute error of the seasonal naive forecast within a series: the unit of MASE; above 0.

    Of a series that repeats itself exactly, the mean absolute change from period to period, or else 1.

    Source: Hyndman and Koehler, Int. J. Forecast. 22 (2006) 679.
    """
    for back in (season, 1):
        changes = np.abs(quantities[back:] - quantities[:-back])
        if changes.size and changes.mean() > 0:
            return float(changes.mean())
    return 1.0


def measured(truth: Floats, forecast: Floats, low: Floats, high: Floats, unit: Floats) -> dict[str, float]:
    """All measures of one origin's forecasts, over series and steps.

    Args:
        truth: quantities ``(n,)``.
        forecast: point forecasts, ``(n,)``.
        low: lower ends of intervals, ``(n,)``.
        high: upper ends, ``(n,)``.
        unit: each row's `naive_error`, ``(n,)``.
    """
    error = truth - forecast
    size = np.abs(truth) + np.abs(forecast)
    smape = np.divide(200.0 * np.abs(error), size, out=np.zeros_like(size), where=size > 0)
    pinball = np.mean([
        np.maximum(q * (truth - at), (q - 1.0) * (truth - at)).mean()
        for q, at in zip(QUANTILES, (low, forecast, high), strict=True)
    ])  # fmt: skip
    return {
        "mase": float(np.mean(np.abs(error) / unit)),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "smape": float(smape.mean()),
        "pinball": float(pinball),
        "coverage": float(np.mean((truth >= low) & (truth <= high))),
        "width": float(np.mean(high - low)),
    }


_MOST = {"coverage": 1.0}


def summary(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, Any]]:
    """Of each measure the mean over origins, Student's 95 % interval of that mean, and the values.

    Intervals are cut to what a measure can be: 0 or more, and coverage at most 1.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in MEASURES:
        values = [row[name] for row in rows]
        mean = float(np.mean(values))
        bounds: tuple[float | None, float | None] = (None, None)
        if len(values) > 1:
            test = paired_test(values, 0.0)
            if test.error > 0:
                reach = test.reach(0.05)
                bounds = (max(0.0, mean - reach), min(_MOST.get(name, np.inf), mean + reach))
        found[name] = {"mean": mean, "low": bounds[0], "high": bounds[1], "values": values}
    return found
