"""The hybrid regressor and everything it is compared with: how a row of `VARIANTS` forecasts from one origin."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from superpose.learning.regressor import HybridRegressor
from superpose.learning.templates.demand.feature_rows import ForecastRows, seasonal_naive
from superpose.learning.templates.demand.options import CIRCUITS
from superpose.learning.templates.demand.settings import HybridSettings
from superpose.learning.training import TrainingWatch

__all__ = ["exponential_smoothing", "fit_rows", "naive"]

Floats = NDArray[np.float64]

_PENALTIES: Final = tuple(10.0**power for power in range(-3, 5))


def fit_rows(
    name: str,
    rows: ForecastRows,
    settings: HybridSettings,
    seed: int,
    columns: Sequence[str],
    *,
    watch: TrainingWatch | None = None,
) -> Any:
    """A fitted regressor of quantities in units of the level; ``predict`` takes features.

    Args:
        name: a row of `VARIANTS` that takes features.
        rows: to learn from, in order of time.
        settings: of the hybrid model and its controls.
        seed: of what is random.
        columns: names of the features, which the circuits' model files keep.
        watch: what looks on while one of the circuits is trained, and may stop it.

    Raises:
        Stopped: the watch asked for it.

    Cost: some seconds for 3,000 rows and one of the circuits, less for the others.
    """
    if name in CIRCUITS:
        regressor = HybridRegressor(**settings.to_dict(), validation_rows="last", variant=name, random_state=seed)
        return regressor.fit(pd.DataFrame(rows.features, columns=list(columns)), rows.targets, watch=watch)
    if name == "ridge":
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), RidgeCV(alphas=_PENALTIES)).fit(rows.features, rows.targets)
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(
        learning_rate=0.05, max_iter=200, max_leaf_nodes=15, l2_regularization=1.0, max_features=0.5, random_state=seed
    )
    return trees.fit(rows.features, rows.targets)


def naive(quantities: Floats, horizon: int, season: int) -> Floats:
    """Each period's quantity a season ago."""
    return seasonal_naive(quantities, len(quantities) - 1, np.arange(1, horizon + 1), season)


def exponential_smoothing(quantities: Floats, horizon: int, season: int) -> Floats:
    """Holt-Winters with a damped trend; its season added, multiplied or left out, whichever has the least AICc.

    Where no form can be fitted, the seasonal naive forecast.

    Source: Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., sec. 8.3 and 8.6.
    """
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    forms: Sequence[str | None] = ("add", "mul", None) if np.all(quantities > 0) else ("add", None)
    best: tuple[float, Floats] | None = None
    for form in forms:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where its optimiser stops early; the AICc judges what it found
            try:
                found = ExponentialSmoothing(
                    quantities,
                    trend="add",
                    damped_trend=True,
                    seasonal=form,
                    seasonal_periods=season if form else None,
                    initialization_method="estimated",
                ).fit()
                ahead = np.asarray(found.forecast(horizon), dtype=np.float64)
            except (ValueError, FloatingPointError, np.linalg.LinAlgError):
                continue
        if np.isfinite(ahead).all() and np.isfinite(found.aicc) and (best is None or found.aicc < best[0]):
            best = (float(found.aicc), ahead)
    return naive(quantities, horizon, season) if best is None else best[1]
