"""Rolling origins: every variant trained on what was known at each origin, its forecasts kept as soon as they are made.

Origins lie a horizon apart, so every period is forecast once. The earlier ones calibrate intervals and choose the
baseline; the later ones test. A run that was killed goes on from its directory: a forecast that is there is not made
again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from superpose import __version__
from superpose.errors import CheckpointError
from superpose.learning.canonical import digest_json
from superpose.learning.checkpoint import CheckpointStore, Stopped, read_sealed_json, write_sealed_json
from superpose.learning.plot_data import curve_of
from superpose.learning.templates.demand.feature_rows import ForecastRows, all_rows, feature_names, rows_at
from superpose.learning.templates.demand.models import exponential_smoothing, fit_rows, naive
from superpose.learning.templates.demand.options import CIRCUITS, VARIANTS, check_length
from superpose.learning.templates.demand.series import DemandSeries, SeriesSet
from superpose.learning.templates.demand.settings import HybridSettings
from superpose.learning.templates.watching import Tell, Watch, never
from superpose.learning.training import TrainingWatch

__all__ = ["Forecasts", "Run"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Forecasts:
    """What one variant says at one origin.

    Attributes:
        values: float64 ``(n_seeds, n_series, horizon)``.
        n_params: numbers in the model; None where nothing counts them.
        seconds: that training and forecasting took.
        curve: losses by epoch of the first seed's training; None where there are no epochs.
    """

    values: Floats
    n_params: int | None
    seconds: float
    curve: dict[str, Any] | None = None


class Run:
    """A run in its directory.

    Args:
        data: the series.
        settings: of the hybrid model and its controls.
        variants: names out of `VARIANTS`.
        horizon: periods ahead.
        n_calibration: origins that calibrate.
        n_test: origins that test.
        n_seeds: of what draws random numbers.
        directory: made if absent.
        tell: told of progress.
        watch: who looks on.

    Raises:
        DatasetTooSmallError: the shortest series has too few periods for so many origins.
        CheckpointError: the directory holds a run of another configuration.
    """

    def __init__(  # noqa: PLR0913  # one parameter per part
        self,
        data: SeriesSet,
        settings: HybridSettings,
        variants: tuple[str, ...],
        *,
        horizon: int,
        n_calibration: int,
        n_test: int,
        n_seeds: int,
        directory: Path,
        tell: Tell,
        watch: Watch = Watch(),  # noqa: B008  # frozen
    ) -> None:
        self.data, self.settings, self.variants = data, settings, variants
        self.horizon, self.n_calibration, self.n_test, self.n_seeds = horizon, n_calibration, n_test, n_seeds
        self.directory, self._tell, self._watch, self._made = directory, tell, watch, set[tuple[str, int, int]]()
        check_length(data, horizon, n_calibration=n_calibration, n_test=n_test)
        self.configuration: dict[str, Any] = {
            "template": "demand",
            "release": __version__,
            "data": data.digest,
            "frequency": data.frequency,
            "horizon": horizon,
            "settings": settings.to_dict(),
            "variants": list(variants),
            "origins": {"calibration": n_calibration, "test": n_test},
            "seeds": list(range(n_seeds)),
        }
        self.digest = digest_json(self.configuration)
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "configuration.json"
        before = read_sealed_json(path)
        if before is not None and before != self.configuration:
            other = [name for name, value in self.configuration.items() if before.get(name) != value]
            raise CheckpointError(
                f"{directory.name} holds a run of another configuration (other {', '.join(other) or 'parts'}); give "
                "another directory, or remove it"
            )
        write_sealed_json(path, self.configuration)

    @property
    def origins(self) -> tuple[int, ...]:
        """Periods after each origin up to the end, ``(n_calibration + n_test,)``, the earliest origin first."""
        return tuple(self.horizon * k for k in range(self.n_calibration + self.n_test, 0, -1))

    @cached_property
    def rows(self) -> ForecastRows:
        """All rows with a known target, in order of time."""
        return all_rows(self.data, self.horizon)

    def history(self, one: DemandSeries, after: int) -> Floats:
        """The quantities that are known ``after`` periods before the end."""
        return one.quantities[: one.n_periods - after]

    def truth(self, after: int) -> Floats:
        """What came after an origin, ``(n_series, horizon)``."""
        ends = [one.n_periods - after for one in self.data.series]
        rows = [one.quantities[end : end + self.horizon] for one, end in zip(self.data.series, ends, strict=True)]
        return np.stack(rows)

    def forecasts(self, variant: str, after: int) -> Forecasts:
        """What a variant says at an origin, made now or before; ``after`` 0 is beyond the end of the data.

        Raises:
            Stopped: the watch asked for it; what is made is on disk.
        """
        n_seeds = self.n_seeds if VARIANTS[variant].seeds else 1
        parts = [self._seen(variant, after, seed) for seed in range(n_seeds)]
        values = np.array([part["values"] for part in parts])
        return Forecasts(values, parts[0]["n_params"], sum(part["seconds"] for part in parts), parts[0].get("curve"))

    def fit(self, variant: str, after: int, seed: int) -> Any:
        """A regressor trained on what is known at an origin.

        Raises:
            Stopped: the watch asked for it; the training goes on from its last epoch when it is begun again.
        """
        rows = self.rows
        known = rows.at(rows.places < -after)
        name = f"{variant}-{after}-{seed}"
        store = CheckpointStore(self.directory / "training" / name, {"run": self.digest, "training": name})
        watched = variant in CIRCUITS and self._watch.should_stop is not never  # else epochs run unseen, and faster
        looks = TrainingWatch(should_stop=self._watch.should_stop, store=store) if watched else None
        fitted = fit_rows(variant, known, self.settings, seed, feature_names(self.data), watch=looks)
        store.clear()
        return fitted

    def ahead(self, one: DemandSeries, after: int) -> ForecastRows:
        """The rows to forecast of one series at an origin."""
        return rows_at(self.data, one, one.n_periods - 1 - after, self.horizon)

    def within(self, one: DemandSeries, after: int, values: Floats) -> Floats:
        """Forecasts, no less than 0 where nothing known at the origin is."""
        return np.maximum(values, 0.0) if (self.history(one, after) >= 0).all() else values

    def _seen(self, variant: str, after: int, seed: int) -> dict[str, Any]:
        """What one training says; the watch is told how far the run is, and asked whether to leave off."""
        kept = self._kept(variant, after, seed)
        if (variant, after, seed) in self._made:
            return kept
        self._made.add((variant, after, seed))
        per_origin = sum(self.n_seeds if VARIANTS[name].seeds else 1 for name in self.variants)
        n_all = per_origin * len(self.origins) + self.n_seeds + 1  # the forecast beyond the data, and the model
        place = self.origins.index(after) + 1 if after else 0
        where = f"origin {place} of {len(self.origins)}" if place else "beyond the data"
        stage = f"{variant} seed {seed}: {where}"
        self._watch.progress(stage, min(len(self._made) / n_all, 1 - 1 / n_all))
        if self._watch.should_stop():
            raise Stopped(f"Stopped after {stage}; begun again with the same arguments, the run goes on from there.")
        return kept

    def _kept(self, variant: str, after: int, seed: int) -> dict[str, Any]:
        path = self.directory / "forecasts" / f"{variant}-{after}-{seed}.json"
        kept = read_sealed_json(path)
        if kept is not None:
            return kept
        clock = time.perf_counter()
        n_params: int | None = None
        model: Any = None
        if VARIANTS[variant].takes == "series":
            values = [self._by_itself(variant, one, after) for one in self.data.series]
        else:
            model = self.fit(variant, after, seed)
            n_params = getattr(model, "n_params_", None)
            values = []
            for one in self.data.series:
                rows = self.ahead(one, after)
                features: Any = rows.features
                if variant in CIRCUITS:
                    features = pd.DataFrame(features, columns=list(feature_names(self.data)))
                values.append(self.within(one, after, rows.quantities(model.predict(features))))
        made = {
            "values": [series.tolist() for series in values],
            "n_params": n_params,
            "curve": _curve(model),
            "seconds": time.perf_counter() - clock,
        }
        path.parent.mkdir(exist_ok=True)
        write_sealed_json(path, made)
        where = "beyond the data" if after == 0 else f"{after} periods before the end"
        self._tell(f"{variant}, seed {seed}: forecast from {where}, {made['seconds']:.1f} s")
        return made

    def _by_itself(self, variant: str, one: DemandSeries, after: int) -> Floats:
        method = naive if variant == "seasonal_naive" else exponential_smoothing
        values = method(self.history(one, after), self.horizon, self.data.calendar.season)
        return self.within(one, after, values)


def _curve(model: Any) -> dict[str, Any] | None:
    """The learning curve of a network; None of what has no epochs."""
    history = getattr(model, "history_", None)
    if not history:
        return None
    losses = [one.loss if one.validation_loss is None else one.validation_loss for one in history]
    return curve_of(history, 1 + int(np.argmin(losses)))
