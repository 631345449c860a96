"""What a person with a model file needs to forecast: features of coming periods, and quantities from its answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from superpose.errors import DatasetFormatError, DatasetTooSmallError, FeatureMismatchError, SpecError
from superpose.learning.predictor import Predictor
from superpose.learning.templates.demand.feature_rows import (
    ForecastRows,
    all_rows,
    feature_names,
    first_origin,
    rows_at,
)
from superpose.learning.templates.demand.series import DemandSeries, SeriesSet, read_series

__all__ = ["FutureRows", "features", "forecast", "known_rows"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FutureRows:
    """Rows to predict, one per series and coming period.

    Attributes:
        rows: a data frame of features, the columns that a demand model's file names, ``(n_rows, n_features)``.
        about: ``series``, ``period``, ``step`` (1 for the next), ``season_ago`` (the quantity of the same period a
            season ago) and ``level`` (the last season's mean), ``(n_rows, 5)``.
    """

    rows: pd.DataFrame
    about: pd.DataFrame
    _never_below: Floats = field(repr=False)

    def quantities(self, predicted: ArrayLike) -> Floats:
        """Quantities ``(n_rows,)`` of what a demand model predicts for the rows, or ``(n_rows, k)`` of several columns.

        Not below 0 where nothing that is known of the series is.

        Args:
            predicted: the model's numbers, or both ends of their intervals: `Predictor.predict`, `Client.predict`.

        Raises:
            ValueError: another number of rows.
        """
        given = np.asarray(predicted, dtype=np.float64)
        if given.shape[:1] != (len(self.rows),):
            raise ValueError(f"{len(self.rows)} numbers are needed, one per row, got an array of shape {given.shape}")
        bases, levels = (self.about[name].to_numpy() for name in ("season_ago", "level"))
        found: Floats = np.maximum((bases + given.T * levels).T, self._never_below.reshape(-1, *[1] * (given.ndim - 1)))
        return found


def features(
    source: Path | str | SeriesSet,
    *,
    at: str | None = None,
    horizon: int | None = None,
    frequency: str | None = None,
    gaps: str = "refuse",
) -> FutureRows:
    """The features of the periods that follow, as a model of `train_demand` takes them.

    Args:
        source: a CSV file as `read_series` takes it, or series that were read.
        at: the last period that is known, such as ``2026-11`` or ``2026-11-27``; what comes after it is not looked at,
            but for covariates. By default the last period with a quantity.
        horizon: periods ahead; must be the model's, as the step enters as a share of it. By default as for training.
        frequency: see `read_series`.
        gaps: see `read_series`.

    Returns:
        Rows in the order of the series, each with steps 1 to ``horizon``.

    Raises:
        SpecError: a word or number that is not allowed.
        DatasetFormatError: no such file; no such period; covariates of the coming periods are not known.
        DatasetTooSmallError: a series has less than two seasons before ``at``.

    >>> ahead = features("sales.csv", horizon=8)  # doctest: +SKIP
    >>> ahead.quantities(predictor.predict(ahead.rows))  # doctest: +SKIP
    """
    data = source if isinstance(source, SeriesSet) else read_series(source, frequency=frequency, gaps=gaps)
    steps = data.calendar.horizon if horizon is None else horizon
    if not 1 <= steps <= 366:
        raise SpecError(f"must be 1 to 366, got {steps}", "horizon")
    parts = [(one, *_rows(data, one, at, steps)) for one in data.series]
    about = [
        pd.DataFrame(
            {
                "series": one.name,
                "period": [str(one.periods[origin] + step) for step in range(1, steps + 1)],
                "step": np.arange(1, steps + 1),
                "season_ago": rows.bases,
                "level": rows.levels,
            }
        )
        for one, origin, rows in parts
    ]
    lowest = [0.0 if (one.quantities[: origin + 1] >= 0).all() else -np.inf for one, origin, _ in parts]
    table = np.concatenate([rows.features for _, _, rows in parts])
    return FutureRows(
        pd.DataFrame(table, columns=list(feature_names(data))),
        pd.concat(about, ignore_index=True),
        np.repeat(np.array(lowest), steps),
    )


def known_rows(data: SeriesSet, horizon: int, n_origins: int) -> pd.DataFrame:
    """The features of all rows about the periods of the last origins, whose quantities are known.

    Args:
        data: the series.
        horizon: periods ahead, the model's.
        n_origins: origins, a horizon apart, that forecast those periods.
    """
    rows = all_rows(data, horizon)
    newest = rows.at(rows.places >= -horizon * n_origins)
    return pd.DataFrame(newest.features, columns=list(feature_names(data)))


def forecast(
    model: Predictor | Path | str,
    source: Path | str | SeriesSet,
    *,
    at: str | None = None,
    gaps: str = "refuse",
) -> pd.DataFrame:
    """The next periods by a demand model's file: ``series``, ``period``, ``step``, ``quantity``, ``low``, ``high``.

    The ends of intervals are absent where the file keeps none. Horizon and frequency are the model's.

    Args:
        model: the file, or what was loaded from it.
        source: see `features`.
        at: see `features`.
        gaps: see `read_series`.

    Raises:
        FeatureMismatchError: no demand model, or one of other covariates or another frequency.
        SpecError, DatasetError: see `features`.
        ModelFileError: the file cannot be used.
        OSError: a file cannot be read.
    """
    predictor = model if isinstance(model, Predictor) else Predictor.load(model)
    told = predictor.manifest.get("provenance") or {}
    if told.get("template") != "demand" or "horizon" not in told:
        raise FeatureMismatchError(
            "the model file is none that train_demand of this release left, so its features are not known here; train "
            "it again, or make rows of its columns and ask Predictor.predict"
        )
    frequency = str(predictor.manifest["data"]["frequency"])
    data = source if isinstance(source, SeriesSet) else read_series(source, frequency=frequency, gaps=gaps)
    if data.frequency != frequency:
        raise FeatureMismatchError(f"the model is of {frequency} series, these are {data.frequency}")
    ahead = features(data, at=at, horizon=int(told["horizon"]))
    found = ahead.about[["series", "period", "step"]].copy()
    numbers = np.array(predictor.predict(ahead.rows))
    found["quantity"] = ahead.quantities(numbers)
    if predictor.interval is not None:
        found[["low", "high"]] = ahead.quantities(predictor.interval.around(numbers))
    return found


def _rows(data: SeriesSet, one: DemandSeries, at: str | None, steps: int) -> tuple[int, ForecastRows]:
    """The origin of one series and the rows to forecast from there."""
    origin, said = one.n_periods - 1, f"series {one.name!r}" if one.name else "the series"
    if at is not None:
        period = _period(at, data)
        places = np.flatnonzero(one.periods[: one.n_periods] == period)
        if not places.size:
            raise DatasetFormatError(
                f"{said} has no quantity for {period}; it has {one.periods[0]} to {one.periods[one.n_periods - 1]}"
            )
        origin = int(places[0])
    if origin < first_origin(data):
        raise DatasetTooSmallError(
            f"{said} has {origin + 1} periods up to {one.periods[origin]}; features need {first_origin(data) + 1}"
        )
    rows = rows_at(data, one, origin, steps)
    if len(rows.places) < steps:
        raise DatasetFormatError(
            f"{said} has covariates for {len(rows.places)} of the {steps} periods after {one.periods[origin]}; add "
            "rows with an empty quantity and the covariates"
        )
    return origin, rows


def _period(at: str, data: SeriesSet) -> pd.Period:
    """The period that a date lies in.

    Raises:
        SpecError: it is none, or more than a period, such as a month of daily series.
    """
    form = data.calendar.period
    try:
        period, told = pd.Period(at, freq=form), pd.Period(at)
        ends = [pd.Period(time, freq=form) for time in (told.start_time, told.end_time)]
    except (ValueError, TypeError, AttributeError):  # the last of no text at all
        raise SpecError(f"must be a date like 2026-11-27 or 2026-11, got {at[:40]!r}", "at") from None
    if ends != [period, period]:
        raise SpecError(f"must be one period of {data.frequency} series, as 2026-11-27 is, got {at[:40]!r}", "at")
    return period
