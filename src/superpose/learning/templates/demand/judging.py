"""What a run's forecasts allow one to say: measures, intervals, the baseline, comparisons, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from superpose.learning.calibration.intervals import conformal_reach
from superpose.learning.templates.demand.measures import measured, naive_error, summary
from superpose.learning.templates.demand.options import CIRCUITS, VARIANTS
from superpose.learning.templates.demand.run import Forecasts, Run
from superpose.learning.verdicts import LABELS, compare, diebold_mariano, told_by, verdict
from superpose.learning.verdicts.splits import holm

__all__ = ["CONFIDENCE", "MARGIN", "Judged", "judge"]

Floats = NDArray[np.float64]

CONFIDENCE: Final = 0.95
MARGIN: Final = 0.02
"""A difference in MASE below this does not matter: 2 % of the seasonal naive forecast's error within the series."""


@dataclass(frozen=True)
class Judged:
    """All that is said.

    Attributes:
        figures: of each variant its measures over the test origins.
        rows: of each variant label, figures and costs.
        baseline: the classical model that did best on the calibration origins; None where none was trained.
        comparisons: over test origins, of the hybrid model with controls and baseline.
        diebold_mariano: the same and all others, over test periods.
        verdict: in words.
        reach: of each variant what to add to a forecast for its interval, in units of the level.
        seconds: of all training.
    """

    figures: Mapping[str, Any]
    rows: Mapping[str, Any]
    baseline: str | None
    comparisons: list[dict[str, Any]]
    diebold_mariano: list[dict[str, Any]]
    verdict: str
    reach: Mapping[str, tuple[float, float]]
    seconds: float


@dataclass(frozen=True)
class _Seen:
    """One variant at all origins: scaled residuals, measures (test origins), losses by period, MASE (calibration)."""

    residuals: list[Floats]
    measures: list[dict[str, float]]
    losses: Floats
    calibration_mase: float
    forecasts: list[Forecasts]


def judge(run: Run) -> Judged:
    """Train what is not trained yet, and judge it.

    Cost: the trainings; the rest is seconds.
    """
    seen = {name: _seen(run, name) for name in run.variants}
    figures = {name: summary(one.measures) for name, one in seen.items()}
    classical = [name for name in run.variants if name not in CIRCUITS]
    baseline = min(classical, key=lambda name: seen[name].calibration_mase) if classical else None
    controls = {name: name for name in CIRCUITS if name in run.variants and name != "hybrid"}
    against = controls | ({"baseline": baseline} if baseline else {})
    labels = {**LABELS, **({"baseline": _title(baseline)} if baseline else {})}
    values = {name: figures[name]["mase"]["values"] for name in figures}
    n_known = min(one.n_periods for one in run.data.series) - run.n_test * run.horizon
    compared = compare(
        values["hybrid"],
        {key: values[name] for key, name in against.items()},
        metric="mase",
        test_over_train=run.horizon / n_known,
        confidence=CONFIDENCE,
        margin=MARGIN,
    )
    said = verdict(compared, run.n_test, CONFIDENCE, "hybrid model", labels, n_seeds=run.n_seeds)
    rows: dict[str, dict[str, Any]] = {}
    for name, one in seen.items():
        rows[name] = {
            "label": VARIANTS[name].label,
            "n_seeds": one.forecasts[0].values.shape[0],
            "n_params": one.forecasts[0].n_params,
            "seconds": sum(part.seconds for part in one.forecasts),
            "calibration_mase": one.calibration_mase,
            "metrics": figures[name],
        }
    return Judged(
        figures=figures,
        rows=rows,
        baseline=baseline,
        comparisons=[{"variant": against[c.against], **c.to_dict()} for c in compared],
        diebold_mariano=_tests(seen, run.horizon, run.n_test),
        verdict=said,
        reach={name: conformal_reach(np.concatenate(one.residuals)) for name, one in seen.items()},
        seconds=sum(row["seconds"] for row in rows.values()),
    )


def _title(baseline: str) -> str:
    return f"baseline chosen before the test, {VARIANTS[baseline].label}"


def _seen(run: Run, name: str) -> _Seen:
    residuals: list[Floats] = []
    measures: list[dict[str, float]] = []
    losses: list[Floats] = []
    calibration: list[float] = []
    kept: list[Forecasts] = []
    for place, after in enumerate(run.origins):
        found = run.forecasts(name, after)
        truth = run.truth(after)  # (n_series, horizon)
        levels = np.stack([run.ahead(one, after).levels for one in run.data.series])
        season = run.data.calendar.season
        units = [naive_error(run.history(one, after), season) for one in run.data.series]
        unit = np.broadcast_to(np.array(units)[:, None], truth.shape)
        scaled = np.abs(truth - found.values) / unit  # (n_seeds, n_series, horizon)
        if place < run.n_calibration:
            calibration.append(float(scaled.mean()))
        else:
            reach = conformal_reach(np.concatenate(residuals))
            measures.append(_measures(run, after, truth, found.values, reach, levels, unit))
            losses.append(scaled.mean(axis=(0, 1)))
        residuals.append(((truth - found.values) / levels).ravel())
        kept.append(found)
    return _Seen(residuals, measures, np.concatenate(losses), float(np.mean(calibration)), kept)


def _measures(  # arrays of one shape
    run: Run, after: int, truth: Floats, values: Floats, reach: tuple[float, float], levels: Floats, unit: Floats
) -> dict[str, float]:
    """Means over seeds of one origin's measures."""
    rows = []
    for forecast in values:
        low, high = (
            np.stack([run.within(one, after, line) for one, line in zip(run.data.series, ends, strict=True)])
            for ends in (forecast + reach[0] * levels, forecast + reach[1] * levels)
        )
        rows.append(measured(truth.ravel(), forecast.ravel(), low.ravel(), high.ravel(), unit.ravel()))
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _tests(seen: Mapping[str, _Seen], horizon: int, n_origins: int) -> list[dict[str, Any]]:
    """Diebold and Mariano's test of the hybrid model against each other variant, with Holm's correction."""
    others = [name for name in seen if name != "hybrid"]
    found = [diebold_mariano(seen["hybrid"].losses, seen[name].losses, horizon) for name in others]
    adjusted = holm([one.p_value for one in found])
    return [
        {"against": name, "loss": "absolute error in units of MASE", **vars(one), "p_holm": p,
         "said": told_by(one, p, n_origins, CONFIDENCE)}
        for name, one, p in zip(others, found, adjusted, strict=True)
    ]  # fmt: skip
