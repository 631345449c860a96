"""What a run's page draws: forecasts against what came, and losses by epoch. Numbers only."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from superpose.learning.calibration.intervals import conformal_reach
from superpose.learning.templates.demand.judging import Judged
from superpose.learning.templates.demand.options import CIRCUITS
from superpose.learning.templates.demand.run import Run

__all__ = ["MOST_SERIES", "plots_of"]

MOST_SERIES: Final = 6
"""Series that are kept for drawing, the first ones."""

Floats = NDArray[np.float64]


def plots_of(run: Run, judged: Judged) -> dict[str, Any]:
    """Of the test origins what came and what was forecast, by the hybrid model, the baseline and seasonal naive.

    Returns:
        ``series``: of each its name, the periods of all test origins in order, and the true quantities; ``forecasts``:
        of each variant and series ``values`` (means over seeds) with ``low`` and ``high``, each as long as those
        periods; ``learning_curves``: of each circuit the losses by epoch at the last test origin, with its first seed.
    """
    tests = run.origins[run.n_calibration :]
    shown = run.data.series[:MOST_SERIES]
    told = []
    for one in shown:
        first = one.n_periods - run.n_test * run.horizon
        told.append(
            {
                "name": one.name,
                "periods": [str(period) for period in one.periods[first : one.n_periods]],
                "truth": one.quantities[first:].tolist(),
            }
        )
    drawn = ["hybrid", *([judged.baseline] if judged.baseline else []), "seasonal_naive"]
    names = [name for name in dict.fromkeys(drawn) if name in run.variants]
    curves = {name: run.forecasts(name, tests[-1]).curve for name in run.variants if name in CIRCUITS}
    return {
        "horizon": run.horizon,
        "series": told,
        "n_series": len(run.data.series),
        "forecasts": {name: _forecasts(run, name, len(shown)) for name in names},
        "learning_curves": {name: [curve] for name, curve in curves.items() if curve is not None},
    }


def _forecasts(run: Run, name: str, n_shown: int) -> list[dict[str, list[float]]]:
    """Of each shown series the forecasts of the test origins one after the other, with what was known then."""
    residuals: list[Floats] = []
    found: list[dict[str, list[float]]] = [{"values": [], "low": [], "high": []} for _ in range(n_shown)]
    for place, after in enumerate(run.origins):
        values, truth = run.forecasts(name, after).values, run.truth(after)  # (n_seeds, n_series, horizon)
        levels = np.stack([run.ahead(one, after).levels for one in run.data.series])
        if place >= run.n_calibration:
            below, above = conformal_reach(np.concatenate(residuals))
            for kept, one, mean, level in zip(found, run.data.series, values.mean(axis=0), levels, strict=False):
                kept["values"] += mean.tolist()
                kept["low"] += run.within(one, after, mean + below * level).tolist()
                kept["high"] += run.within(one, after, mean + above * level).tolist()
        residuals.append(((truth - values) / levels).ravel())
    return found
