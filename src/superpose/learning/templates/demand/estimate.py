"""What a job of the template is expected to take of a processor, without torch; see `superpose.learning.effort`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from superpose.learning.effort import REST, EstimatedEffort, Work
from superpose.learning.templates.demand.feature_rows import n_known_rows
from superpose.learning.templates.demand.options import CIRCUITS, VARIANTS, smoothing_installed
from superpose.learning.templates.demand.series import SeriesSet
from superpose.learning.templates.demand.settings import HybridSettings

__all__ = ["estimated_effort"]

_EPOCH_ROW_S: Final = 6.3e-6
"""Seconds of a row and epoch of a circuit of six qubits and two layers (a little less of its twin), with gradients."""

_TREES_S: Final = (0.1, 1.8e-5)
"""Seconds of a training of gradient boosting (200 trees), and of a row more."""

_RIDGE_ROW_S: Final = 3e-6
"""Seconds of a row, all penalties."""

_SMOOTHED_S: Final = 7e-5
"""Seconds of a period and number to be found (those of a season, and six), all forms; half to twice that by series."""

_MADE_S: Final = 1e-2
"""Seconds of a training and its forecasts beside what grows with the rows: set up, predict, write to disk."""

_ROW_S: Final = 1e-4
"""Seconds of a row: its features are made for the run, and once more for the explanation sample."""

_FIXED_S: Final = 1.0
"""Seconds of a run of any size: report, model file, explanation sample."""


def estimated_effort(  # the options of a run
    data: SeriesSet,
    *,
    horizon: int,
    origins: int,
    calibration: int,
    seeds: int,
    epochs: int | None,
    variants: Sequence[str],
) -> EstimatedEffort:
    """What `train_demand` is expected to take, if no training stops early.

    Args:
        data: the series.
        horizon: periods ahead.
        origins: that test.
        calibration: origins before them.
        seeds: of what draws random numbers.
        epochs: of every training of the circuits; None takes the template's.
        variants: rows of `VARIANTS`; the hybrid model is always among them. Exponential smoothing counts only where it
            is installed.
    """
    n_epochs = HybridSettings().epochs if epochs is None else epochs
    names = [name for name in VARIANTS if name in variants or name == "hybrid"]
    if not smoothing_installed():
        names = [name for name in names if name != "exponential_smoothing"]
    ends = [horizon * k for k in range(calibration + origins, 0, -1)]
    works = [
        work for name in names for work in _trainings(data, name, ends, horizon, n_epochs, n_seeds=_seeds(name, seeds))
    ]
    # Beyond the data: the hybrid model with every seed and as the model file, and the best of the classical ones.
    works += _trainings(data, "hybrid", [0], horizon, n_epochs, n_seeds=seeds + 1)
    beyond = [
        [*_trainings(data, name, [0], horizon, n_epochs, n_seeds=_seeds(name, seeds))]
        for name in names
        if name not in CIRCUITS
    ]
    works += max(beyond, key=lambda one: EstimatedEffort(tuple(one)).cpu_s, default=[])
    works += [Work(REST, "rows made", n_known_rows(data, horizon, 0), _ROW_S), Work(REST, "runs", 1, _FIXED_S)]
    return EstimatedEffort(tuple(works))


def _seeds(name: str, seeds: int) -> int:
    return seeds if VARIANTS[name].seeds else 1


def _trainings(  # one parameter per part
    data: SeriesSet, name: str, ends: Sequence[int], horizon: int, n_epochs: int, *, n_seeds: int
) -> Iterator[Work]:
    """Training a variant at origins so many periods before the end, and forecasting."""
    n_rows = n_seeds * sum(n_known_rows(data, horizon, after) for after in ends)
    n_trainings = n_seeds * len(ends)
    yield Work(name, "trainings", n_trainings, _MADE_S)
    if name in CIRCUITS:
        yield Work(name, "rows trained", n_rows * n_epochs, _EPOCH_ROW_S)
    elif name == "ridge":
        yield Work(name, "rows trained", n_rows, _RIDGE_ROW_S)
    elif name == "gradient_boosting":
        yield Work(name, "trees begun", n_trainings, _TREES_S[0])
        yield Work(name, "rows trained", n_rows, _TREES_S[1])
    elif name == "exponential_smoothing":
        n_periods = sum(one.n_periods - after for one in data.series for after in ends)
        yield Work(name, "periods smoothed", n_periods, _SMOOTHED_S * (data.calendar.season + 6))
