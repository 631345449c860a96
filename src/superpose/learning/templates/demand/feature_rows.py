"""What a forecast may know: features of an origin and a step ahead, made of nothing that comes after the origin.

A row stands for one series, one **origin** (its last known period) and one **step** ahead. Quantities are in units of
the level at the origin, the mean of the last season (of sizes without signs, since net sales may cancel to nothing), so
series of any size share one model.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from superpose.learning.templates.demand.series import DemandSeries, SeriesSet

__all__ = ["ForecastRows", "all_rows", "feature_names", "first_origin", "n_known_rows", "rows_at", "seasonal_naive"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ForecastRows:
    """Rows of one or more series.

    Attributes:
        features: float64 ``(n_rows, n_features)``.
        targets: what is learnt, ``(n_rows,)``: the quantity less that of the same period a season ago, in units of
            ``levels``; nan where it is not known.
        bases: that quantity of a season ago, ``(n_rows,)``.
        levels: unit of each row, above 0, ``(n_rows,)``.
        places: the period that each row is about, ``(n_rows,)``: its index in the series, or in `all_rows` that index
            less the number of known periods, so below 0.
    """

    features: Floats
    targets: Floats
    bases: Floats
    levels: Floats
    places: NDArray[np.int64]

    def quantities(self, learnt: Floats) -> Floats:
        """Quantities ``(n_rows,)`` of predicted targets."""
        return self.bases + learnt * self.levels

    def at(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> ForecastRows:
        """Some of the rows."""
        return ForecastRows(*(getattr(self, field.name)[chosen] for field in fields(self)))


def feature_names(data: SeriesSet) -> tuple[str, ...]:
    """Names of the columns of ``features``."""
    lags = tuple(f"lag_{lag}" for lag in range(data.calendar.n_lags))
    own = ("season_ago", "two_seasons_ago", "trend", "step")
    calendar = ("year_sin", "year_cos") + (("week_sin", "week_cos") if data.frequency == "daily" else ())
    return lags + own + calendar + data.covariates


def first_origin(data: SeriesSet) -> int:
    """Index of the first period from which features can be made."""
    return max(2 * data.calendar.season, data.calendar.n_lags) - 1


def seasonal_naive(quantities: Floats, origin: int, steps: NDArray[np.int64], season: int, seasons: int = 1) -> Floats:
    """The quantity of the same period some seasons ago, the newest that is known at the origin."""
    back = season * (-(-steps // season) + seasons - 1)
    found: Floats = quantities[origin + steps - back]
    return found


def rows_at(data: SeriesSet, one: DemandSeries, origin: int, horizon: int) -> ForecastRows:
    """The rows of one series and one origin, for the steps ``1 .. horizon``, as far as covariates are known.

    Features use quantities up to and with ``origin``; of later periods only the calendar and the covariates.
    """
    season, n_lags = data.calendar.season, data.calendar.n_lags
    n_steps = min(horizon, len(one.periods) - 1 - origin) if data.covariates else horizon
    steps = np.arange(1, n_steps + 1)
    known = one.quantities[: origin + 1]
    sizes = np.abs(known)
    level = max(float(sizes[-season:].mean()), 0.1 * float(sizes.mean()))
    level = level if level > 0 else 1.0
    before = float(known[-2 * season : -season].mean())
    places = origin + steps
    lags = np.tile(known[::-1][:n_lags] / level, (n_steps, 1))  # (n_steps, n_lags)
    bases = seasonal_naive(known, origin, steps, season)
    own = [
        bases / level,
        seasonal_naive(known, origin, steps, season, 2) / level,
        np.full(n_steps, before / level),
        steps / horizon,
    ]
    columns = [lags, np.stack(own, axis=1), _calendar(data, one, origin, n_steps)]
    if data.covariates:
        columns.append(one.covariates[places])
    targets = np.full(n_steps, np.nan)
    inside = places < one.n_periods
    targets[inside] = (one.quantities[places[inside]] - bases[inside]) / level
    return ForecastRows(np.concatenate(columns, axis=1), targets, bases, np.full(n_steps, level), places)


def all_rows(data: SeriesSet, horizon: int) -> ForecastRows:
    """Rows of all series and all origins, those with a known target, in order of the period that they are about."""
    parts = [
        rows_at(data, one, origin, horizon)
        for one in data.series
        for origin in range(first_origin(data), one.n_periods - 1)
    ]
    # Series end together: counted from the end, a place means the same period in all of them.
    shifts = [one.n_periods for one in data.series for _ in range(first_origin(data), one.n_periods - 1)]
    joined = ForecastRows(
        features=np.concatenate([part.features for part in parts]),
        targets=np.concatenate([part.targets for part in parts]),
        bases=np.concatenate([part.bases for part in parts]),
        levels=np.concatenate([part.levels for part in parts]),
        places=np.concatenate([part.places - shift for part, shift in zip(parts, shifts, strict=True)]),
    )
    order = np.argsort(joined.places, kind="stable")
    return joined.at(order[np.isfinite(joined.targets[order])])


def n_known_rows(data: SeriesSet, horizon: int, after: int) -> int:
    """Rows to learn from whose period is known ``after`` periods before the end; as many as `all_rows` gives."""
    total = 0
    for one in data.series:
        n_origins = max(one.n_periods - after - 1 - first_origin(data), 0)  # the newest has one step that is known
        n_short = min(n_origins, horizon)
        total += n_short * (n_short + 1) // 2 + (n_origins - n_short) * horizon
    return total


def _calendar(data: SeriesSet, one: DemandSeries, origin: int, horizon: int) -> Floats:
    """Place in the year, and of daily series in the week, of each period after the origin."""
    last = one.periods[origin]
    ahead = [last + step for step in range(1, horizon + 1)]
    year = np.array([2 * np.pi * (period.start_time.dayofyear - 1) / 365.25 for period in ahead])
    columns = [np.sin(year), np.cos(year)]
    if data.frequency == "daily":
        week = np.array([2 * np.pi * period.start_time.dayofweek / 7 for period in ahead])
        columns += [np.sin(week), np.cos(week)]
    return np.stack(columns, axis=1)
