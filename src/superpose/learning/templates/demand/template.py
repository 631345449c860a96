"""`train_demand`: the demand template from a CSV file to a report, a forecast and a model file."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from superpose import __version__
from superpose.errors import SpecError
from superpose.learning.canonical import canonical_json, write_atomically
from superpose.learning.model_file import write_model
from superpose.learning.templates.demand.facts import TARGET, facts_of, safeguards_of
from superpose.learning.templates.demand.judging import Judged, judge
from superpose.learning.templates.demand.measures import LEVEL
from superpose.learning.templates.demand.options import VARIANTS, check_options, smoothing_installed
from superpose.learning.templates.demand.plots import plots_of
from superpose.learning.templates.demand.run import Run
from superpose.learning.templates.demand.series import SeriesSet, builtin_series, read_series
from superpose.learning.templates.demand.settings import HybridSettings
from superpose.learning.templates.directory_lock import locked
from superpose.learning.templates.watching import Tell, Watch

__all__ = ["train_demand"]

CHOSEN_BY = (
    "The circuits' settings were chosen after 16 others were tried, by MASE on the calibration origins of the built-in "
    "series, and by cost; of the classical models ridge chooses its penalty and exponential smoothing its form at each "
    "origin, gradient boosting has one setting."
)
"""Where the settings come from."""


def _quiet(line: str) -> None:
    pass


def train_demand(  # noqa: PLR0913  # one parameter per option
    source: Path | str | SeriesSet | None,
    directory: Path | str,
    *,
    frequency: str | None = None,
    horizon: int | None = None,
    origins: int = 8,
    calibration: int = 6,
    seeds: int = 3,
    epochs: int | None = None,
    variants: Sequence[str] | None = None,
    gaps: str = "refuse",
    tell: Tell = _quiet,
    watch: Watch = Watch(),  # noqa: B008  # frozen
    exclusive: bool = True,
) -> dict[str, Any]:
    """Train a hybrid regressor of demand beside what it must be compared with, judged from rolling origins.

    At each origin everything is trained anew on what was known then, and forecasts the next ``horizon`` periods.
    Earlier origins calibrate intervals and choose the baseline, later ones test. A run that was killed goes on when it
    is called again with the same arguments, and loses at most one training.

    Args:
        source: a CSV file, see `read_series`, or series that were read; None takes the built-in series.
        directory: of the run: forecasts, ``report.json`` and ``model.superpose``; made if absent.
        frequency: "daily", "weekly" or "monthly"; by default as the dates are.
        horizon: periods ahead; by default 14 days, 8 weeks or 12 months.
        origins: that test, at least 2.
        calibration: origins before them.
        seeds: of what draws random numbers; an origin's figures are means over them.
        epochs: at most, of every training of the circuits.
        variants: names of what is trained beside the hybrid model, by default all; see `VARIANTS`.
        gaps: "refuse", or "zero" where a period without a row means that nothing was sold.
        tell: told of progress.
        watch: told of progress in numbers, and asked whether to stop.
        exclusive: whether a second run in the directory is refused, by a lock that ends with its process; False for a
            directory that only this call can know.

    Returns:
        The report as JSON values; ``metrics.mase.mean`` is the hybrid model's mean over the test origins.

    Raises:
        SpecError: no such variant, or a number out of range.
        DatasetError: see `read_series`; also if there are too few periods.
        CheckpointError: the directory holds a run of another configuration, or a damaged file; or another process runs
            in it.
        Stopped: the watch asked for it.
        OSError: a file cannot be read or written.

    Cost: on 257 months, with all variants and 3 seeds, some 2 minutes on one core.
    """
    clock = time.perf_counter()
    check_options(
        {
            "frequency": frequency,
            "horizon": horizon,
            "origins": origins,
            "calibration": calibration,
            "seeds": seeds,
            "epochs": epochs,
            "variants": variants,
            "gaps": gaps,
        }
    )
    if source is None or isinstance(source, SeriesSet):
        data = builtin_series() if source is None else source
        if frequency not in (None, data.frequency):
            whose = "the built-in series is" if source is None else "these series are"
            raise SpecError(f"is {frequency!r}, but {whose} {data.frequency}", "frequency")
    else:
        data = read_series(source, frequency=frequency, gaps=gaps)
    settings = HybridSettings() if epochs is None else replace(HybridSettings(), epochs=epochs)
    place = Path(directory)
    chosen, left_out = _variants(variants)
    with locked(place) if exclusive else nullcontext():
        run = Run(
            data,
            settings,
            chosen,
            horizon=data.calendar.horizon if horizon is None else horizon,
            n_calibration=calibration,
            n_test=origins,
            n_seeds=seeds,
            directory=place,
            tell=tell,
            watch=watch,
        )
        found = _reported(run, left_out, clock)
    watch.progress("done", 1.0)
    return found


def _reported(run: Run, left_out: Mapping[str, str], clock: float) -> dict[str, Any]:
    """Train what is not trained yet, judge it, and write model file and report."""
    data, place, judged = run.data, run.directory, judge(run)
    report: dict[str, Any] = {
        "template": "demand",
        "data": _data(data),
        "horizon": run.horizon,
        "configuration": run.configuration,
        "configuration_sha256": run.digest,
        "left_out": left_out,
        "chosen_by": CHOSEN_BY,
        "intervals": {
            "of_measures": "Student, 95 %, of the mean over test origins",
            "of_forecasts": f"split conformal, {100 * LEVEL:g} %, from residuals of all earlier origins in units of "
            "the last season's mean; not guaranteed where demand changes, so their coverage is measured",
        },
        "metrics": judged.figures["hybrid"],
        "variants": judged.rows,
        "baseline": judged.baseline,
        "comparisons": judged.comparisons,
        "diebold_mariano": judged.diebold_mariano,
        "verdict": judged.verdict,
        "forecast": _forecast(run, judged),
        "plots": plots_of(run, judged),
    }
    report["model"] = _saved(place / "model.superpose", run, judged, report)
    report["environment"] = {"superpose": __version__, "torch": torch.__version__, "numpy": np.__version__,
                             "python": platform.python_version(), "threads": torch.get_num_threads()}  # fmt: skip
    report["seconds"] = {"this_call": time.perf_counter() - clock, "training": judged.seconds}
    write_atomically(place / "report.json", canonical_json(report))
    return report


def _variants(asked: Sequence[str] | None) -> tuple[tuple[str, ...], dict[str, str]]:
    """What is trained, in the order of `VARIANTS`, and why something is not."""
    chosen = [name for name in VARIANTS if asked is None or name in asked or name == "hybrid"]
    left_out = {}
    if "exponential_smoothing" in chosen and not smoothing_installed():
        chosen.remove("exponential_smoothing")
        left_out["exponential_smoothing"] = "statsmodels is not installed; pip install 'superpose[forecasting]'"
    return tuple(chosen), left_out


def _data(data: SeriesSet) -> dict[str, Any]:
    longest = max(data.series, key=lambda one: one.n_periods)
    return {
        "name": data.name,
        "source": data.source,
        "sha256": data.digest,
        "frequency": data.frequency,
        "season": data.calendar.season,
        "n_series": len(data.series),
        "n_periods": longest.n_periods,
        "first": str(longest.periods[0]),
        "last": str(longest.periods[longest.n_periods - 1]),
        "covariates": list(data.covariates),
        "n_filled_with_zero": data.n_filled,
    }


def _forecast(run: Run, judged: Judged) -> dict[str, Any]:
    """The next periods, by the hybrid model and by the baseline, with intervals from the residuals of all origins."""
    data = run.data
    if data.covariates and data.n_future < run.horizon:
        why = f"covariates are known for {data.n_future} of {run.horizon} periods ahead; add rows without a quantity"
        return {"made": False, "why": why}
    names = ["hybrid", *([judged.baseline] if judged.baseline else [])]
    rows = []
    for name in names:
        values: NDArray[np.float64] = run.forecasts(name, 0).values.mean(axis=0)  # (n_series, horizon)
        for one, forecast in zip(data.series, values, strict=True):
            ahead = run.ahead(one, 0)
            low, high = (run.within(one, 0, forecast + end * ahead.levels) for end in judged.reach[name])
            last = one.periods[one.n_periods - 1]
            rows += [
                {"variant": name, "series": one.name, "period": str(last + step + 1), "quantity": float(forecast[step]),
                 "low": float(low[step]), "high": float(high[step])}
                for step in range(run.horizon)
            ]  # fmt: skip
    return {"made": True, "level": LEVEL, "of": _what_it_is(run.n_seeds), "rows": rows}


def _what_it_is(n_seeds: int) -> str:
    """A sentence about the hybrid model's forecast beside what the model file answers."""
    if n_seeds == 1:
        return "The hybrid model's forecast is what the model file answers."
    return (
        f"The hybrid model's forecast is the mean over {n_seeds} seeds; the model file is of the first, so that its "
        "answers are others."
    )


def _saved(path: Path, run: Run, judged: Judged, report: Mapping[str, Any]) -> dict[str, Any]:
    """The model file of the hybrid model trained on all that is known, with the first seed."""
    model = run.fit("hybrid", 0, 0)
    facts = facts_of(run, judged, report["data"], model.spec_sections())
    safeguards = safeguards_of(run, judged, model.preprocessor_)
    digest = write_model(path, model.to_trained_model(TARGET), facts, safeguards)
    return {"file": path.name, "sha256": digest, "n_params": model.n_params_, "target": TARGET}
