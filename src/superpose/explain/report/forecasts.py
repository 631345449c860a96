"""The report of a run of the demand template as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose.explain.report import circumstances
from superpose.explain.report.blocks import Block, Page, Points, Section, Table, Text
from superpose.explain.report.drawing import require_drawing
from superpose.explain.report.facts import ReportFacts
from superpose.explain.report.forecast_plots import (
    against_truth_figure,
    forecasts_figure,
    held_figure,
    residuals_figure,
)
from superpose.explain.report.form import in_known_form
from superpose.explain.report.page import render_page
from superpose.explain.report.plots import curves_figure
from superpose.explain.report.results import number, title_of, unbroken
from superpose.explain.series_words import extent_words
from superpose.learning.verdicts import FEWEST_ORIGINS

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["demand_report"]

Facts = Mapping[str, Any]
_SHOWN = ("mase", "mae", "rmse", "smape", "pinball", "coverage", "width")
_MOST_ROWS = 60


def demand_report(report: Facts, predictor: Predictor | None = None, known: ReportFacts | None = None) -> bytes:
    """The report of a demand run as one HTML file; a pure function, as `training_report` is.

    Args:
        report: the run's document, ``report.json``.
        predictor: the run's model file, whose circuit is drawn; None leaves it out.
        known: what a registry knows of the job and of the version that it made: explanation sample, energy, promotion;
            None for a run outside of a service.

    Raises:
        ExtraMissingError: Jinja2 or Matplotlib is not installed (``superpose[report]``).
        ModelFormatError: a field is absent or of another type.
    """
    require_drawing()
    with in_known_form("the report of the run"):
        return render_page(_page(report, known or ReportFacts(predictor)))


def _page(report: Facts, known: ReportFacts) -> Page:
    own, data = report["metrics"], report["data"]
    n_test = report["configuration"]["origins"]["test"]
    series = f"{data['n_series']} series" if data["n_series"] > 1 else "one series"
    return Page(
        title=f"Training report: {report['template']}, {data['name']}",
        subtitle=f"Means over {n_test} origins, {report['horizon']} {data['frequency']} periods ahead; {series}",
        notice=None,
        verdict=report["verdict"],
        figures=[(title_of(name), number(own[name]["mean"])) for name in _SHOWN if name in own],
        sections=[
            _controls(report),
            _results(report),
            _forecasts(report),
            _intervals(report),
            *circumstances.external_validations(known),
            _curves(report),
            _ahead(report),
            *([circumstances.explanation(known)] if known.evidence else []),
            circumstances.circuits(known),
            _data(report),
            _cost(report, known),
            *([circumstances.promotion(known)] if known.evidence else []),
            _environment(report, known),
        ],
    )


def _variants(report: Facts) -> list[tuple[str, Facts]]:
    """The variants as the configuration lists them."""
    return [(name, report["variants"][name]) for name in report["configuration"]["variants"]]


def _label(report: Facts, name: str) -> str:
    return str(report["variants"][name]["label"])


def _controls(report: Facts) -> Section:
    rows = report["comparisons"]
    blocks: list[Block] = []
    if rows:
        caption = (
            "Difference in MASE, hybrid model minus each other, paired over test origins; 95 % for all rows together"
        )
        blocks.append(
            Table(
                caption,
                ["against", "mean", "interval", "p", "outcome"],
                [
                    [
                        _label(report, row["variant"]),
                        number(row["mean_difference"], "+.3f"),
                        f"{number(row['low'], '+.3f')} to {number(row['high'], '+.3f')}",
                        number(row["p_value"], ".2g"),
                        str(row["outcome"]),
                    ]
                    for row in rows
                ],
            )
        )
    else:
        blocks.append(Text("Nothing was compared with a control or a baseline.", strong=True))
    tests = report["diebold_mariano"]
    if tests:
        rows_of_tests = [
            [_label(report, row["against"]), number(row["mean_difference"], "+.3f"), number(row["p_holm"], ".2g"),
             str(row["said"])]
            for row in tests
        ]  # fmt: skip
        few = report["configuration"]["origins"]["test"] < FEWEST_ORIGINS
        caption = (
            "A second opinion, which does not decide: Diebold and Mariano's test over test periods, Holm's correction"
            + (f"; of fewer than {FEWEST_ORIGINS} origins undecided, its p values come out too small" if few else "")
        )
        blocks.append(
            Table(caption, ["hybrid model against", "mean difference", "p", "hybrid model is"], rows_of_tests)
        )
    if report["left_out"]:
        blocks.append(Points([f"Left out: {name}, {why}." for name, why in report["left_out"].items()]))
    return Section("controls", "Controls and baselines", blocks)


def _results(report: Facts) -> Section:
    names = [name for name in _SHOWN if name in report["metrics"]]
    parts = [
        Table(
            f"{', '.join(map(title_of, part))}: means over test origins with 95 % intervals (Student)",
            ["model", "seeds", "parameters", *map(title_of, part)],
            [
                [row["label"], str(row["n_seeds"]), number(row["n_params"], "d"),
                 *(_measure(row["metrics"][name]) for name in part)]
                for _, row in _variants(report)
            ],
        )
        for part in (names[:4], names[4:])
        if part
    ]  # fmt: skip
    chosen = report["baseline"]
    said = (
        f"The baseline, chosen on the calibration origins before the test: {_label(report, chosen)}." if chosen else ""
    )
    return Section("results", "Results", [*parts, *([Text(said)] if said else []), Text(report["chosen_by"])])


def _measure(measure: Facts) -> str:
    if measure["low"] is None:
        return number(measure["mean"], ".3g")
    bounds = f"({number(measure['low'], '.3g')} to {number(measure['high'], '.3g')})"
    return f"{number(measure['mean'], '.3g')} {unbroken(bounds)}"


def _forecasts(report: Facts) -> Section:
    plots = report.get("plots")
    if not plots:
        return Section("forecasts", "Forecasts", [Text("Left out: the run's document keeps no forecasts to draw.")])
    found = plots["forecasts"]
    names = [name for name in ("hybrid", report["baseline"], "seasonal_naive") if name in found]
    names = list(dict.fromkeys(names))
    blocks: list[Block] = [
        forecasts_figure(
            f"forecasts-{place}", one, [(_label(report, name), found[name][place]) for name in names], plots["horizon"]
        )
        for place, one in enumerate(plots["series"])
    ]
    truth = [np.asarray(one["truth"], dtype=np.float64) for one in plots["series"]]
    values = [np.asarray(one["values"], dtype=np.float64) for one in found["hybrid"]]
    label = _label(report, "hybrid")
    blocks.append(against_truth_figure("against-truth", label, np.concatenate(truth), np.concatenate(values)))
    residuals = [came - said for came, said in zip(truth, values, strict=True)]
    blocks.append(residuals_figure("residuals", label, plots["series"][0]["periods"], residuals))
    if plots["n_series"] > len(plots["series"]):
        blocks.append(Text(f"The first {len(plots['series'])} of {plots['n_series']} series are drawn."))
    return Section("forecasts", "Forecasts and residuals", blocks)


def _intervals(report: Facts) -> Section:
    said = f"Intervals are {report['intervals']['of_forecasts']}."
    plots = report.get("plots")
    if not plots:
        return Section("intervals", "Intervals", [Text(said)])
    horizon, level = plots["horizon"], report["forecast"].get("level", 0.8)
    shares = []
    for name in dict.fromkeys(("hybrid", report["baseline"])):
        if name in plots["forecasts"]:
            held = [
                (np.asarray(one["low"]) <= truth["truth"]) & (truth["truth"] <= np.asarray(one["high"]))
                for one, truth in zip(plots["forecasts"][name], plots["series"], strict=True)
            ]
            by_step = np.concatenate([one.reshape(-1, horizon) for one in held]).mean(axis=0)
            shares.append((_label(report, name), by_step.tolist()))
    n = sum(len(one["truth"]) for one in plots["series"]) // horizon
    return Section("intervals", "Intervals and their coverage", [Text(said), held_figure("held", shares, level, n)])


def _curves(report: Facts) -> Section:
    found = (report.get("plots") or {}).get("learning_curves") or {}
    figures: list[Block] = [
        curves_figure(
            f"curve-{place}", _label(report, name), found[name], loss="squared error, scaled", split="last test origin"
        )
        for place, (name, _) in enumerate(_variants(report))
        if name in found
    ]
    return Section("curves", "Learning curves", figures or [Text("Left out: the run keeps no losses by epoch.")])


def _ahead(report: Facts) -> Section:
    ahead = report["forecast"]
    if not ahead["made"]:
        return Section("ahead", "Forecast beyond the data", [Text(f"None: {ahead['why']}.")])
    rows = [
        [row["period"], row["series"] or "–", _label(report, row["variant"]),
         *(number(row[key], ".4g") for key in ("quantity", "low", "high"))]
        for row in ahead["rows"]
    ]  # fmt: skip
    table = Table(
        f"The next periods, with {100 * ahead['level']:g} % intervals from the residuals of all origins",
        ["period", "series", "model", "quantity", "from", "to"],
        rows[:_MOST_ROWS],
    )
    more = [Text(f"{len(rows) - _MOST_ROWS} more rows are in report.json.")] if len(rows) > _MOST_ROWS else []
    more += [Text(ahead["of"])] if "of" in ahead else []  # runs of older releases do not say
    return Section("ahead", "Forecast beyond the data", [table, *more])


def _data(report: Facts) -> Section:
    data, origins = report["data"], report["configuration"]["origins"]
    lines = [
        *extent_words(data),
        f"{origins['calibration']} origins calibrated intervals and chose the baseline, the next {origins['test']} "
        "tested; at each, everything was trained anew on what was known then.",
        *([f"Source: {data['source']}."] if data["source"] else []),
        *(
            [f"{data['n_filled_with_zero']} periods without a row were taken for zero."]
            if data["n_filled_with_zero"]
            else []
        ),
        f"Digest (SHA-256): {data['sha256']}",
    ]
    return Section("data", "Data and splits", [Points(lines)])


def _cost(report: Facts, known: ReportFacts) -> Section:
    rows = [[row["label"], f"{row['seconds']:.1f}"] for _, row in _variants(report)]
    table = Table("Training and forecasting time", ["model", "s"], rows)
    return circumstances.study_cost(report["seconds"]["training"], known, table)


def _environment(report: Facts, known: ReportFacts) -> Section:
    rows = [[str(name).replace("_", " "), str(value)] for name, value in sorted(report["environment"].items())]
    settings = report["configuration"]["settings"]
    rows += [
        ["seeds", ", ".join(map(str, report["configuration"]["seeds"]))],
        ["settings of the circuits", ", ".join(f"{name} {value}" for name, value in settings.items())],
        ["configuration (SHA-256)", report["configuration_sha256"]],
        *([f"model file: {name}", str(value)] for name, value in sorted((report.get("model") or {}).items())),
        *circumstances.machine_and_job(known),
    ]
    return Section(
        "environment", "Environment", [Table("Versions, seeds and digests", ["what", "value"], rows, words=True)]
    )
