"""The report of a template's run, such as the chest X-ray study, as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from superpose.datasets.picture_sets import PARTS
from superpose.explain.report import circumstances
from superpose.explain.report.blocks import Block, Page, Points, Section, Table, Text
from superpose.explain.report.drawing import require_drawing
from superpose.explain.report.facts import ReportFacts
from superpose.explain.report.form import in_known_form
from superpose.explain.report.page import render_page
from superpose.explain.report.plots import confusion_figure, reliability_figure, roc_figure, seeds_figure
from superpose.explain.report.results import number, title_of, unbroken

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["study_report"]

Facts = Mapping[str, Any]
_SHOWN = ("auc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "f1", "brier", "ece")
_DRAWN = ("hybrid", "strong_cnn", "pretrained_cnn")
"""Whole networks whose confusion and reliability are drawn."""
_TITLES = {"f1": "F1", "ece": "expected calibration error"}
_MODEL_FILE = {
    "file": "model file",
    "n_params": "model file: parameters",
    "runtime": "model file: computed by",
    "seed": "model file: of seed",
    "sha256": "model file (SHA-256)",
}
"""What a run says of its model file, in words."""
_LEFT_OUT = {
    "explanation": (
        "Explanation",
        "a run outside of a service samples none; superpose explain --png explains given pictures.",
    ),
    "privacy": ("Privacy", "the template trains without differential privacy, and no attack was tried."),
}


def study_report(report: Facts, predictor: Predictor | None = None, known: ReportFacts | None = None) -> bytes:
    """The report of a template's run as one HTML file; a pure function, as `training_report` is.

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
    own = report["variants"]["hybrid"]["metrics"]
    return Page(
        title=f"Training report: {report['template']}, {report['data']['name']}",
        subtitle=f"{_means_over(report)} on the {report['data']['split']} test part",
        notice=report["notice"],
        verdict=report["verdict"],
        figures=[(_title(name), number(own[name]["mean"])) for name in _SHOWN if name in own],
        sections=[
            _controls(report),
            _results(report),
            _curves(report),
            _calibration(report),
            *circumstances.external_validations(known),
            circumstances.explanation(known) if known.evidence else _left_out("explanation"),
            circumstances.circuits(known),
            _data(report),
            _openings(report),
            _left_out("privacy"),
            _cost(report, known),
            circumstances.promotion(known) if known.evidence else _intended(report),
            _environment(report, known),
        ],
    )


def _means_over(report: Facts) -> str:
    n_seeds = report["variants"]["hybrid"]["n_seeds"]
    return f"Means over {n_seeds} seeds" if n_seeds > 1 else "One seed"


def _variants(report: Facts) -> list[tuple[str, Facts]]:
    """The variants as the configuration lists them; a file's mappings are in the order of their names."""
    return [(name, report["variants"][name]) for name in report["configuration"]["variants"]]


def _title(metric: str) -> str:
    return _TITLES.get(metric) or title_of(metric)


def _left_out(name: str) -> Section:
    title, why = _LEFT_OUT[name]
    return Section(name, title, [Text(f"Left out: {why}")])


def _controls(report: Facts) -> Section:
    rows = report["comparisons"]
    if not rows:
        return Section("controls", "Controls", [Text("Nothing was compared over seeds.", strong=True)])
    labels = {name: row["label"] for name, row in _variants(report)}
    table = Table(
        f"Differences over paired seeds, each with its own {100 * report['confidence']:g} % interval",
        ["model", "against", "measure", "mean", "interval", "seeds", "outcome"],
        [
            [
                labels.get(row["subject"], row["subject"]),
                labels.get(row["against"], row["against"]),
                _title(row["metric"]),
                number(row["mean_difference"], "+.4f"),
                f"{number(row['low'], '+.4f')} to {number(row['high'], '+.4f')}",
                str(row["n_seeds"]),
                str(row["outcome"]),
            ]
            for row in rows
        ],
    )
    return Section("controls", "Controls", [table, Points([f"{row['said']}." for row in rows])])


def _results(report: Facts) -> Section:
    names = [name for name in _SHOWN if name in report["metrics"]]
    blocks: list[Block] = [_figures(report, part) for part in (names[:5], names[5:])]
    plots = report.get("plots")
    if not plots:
        return Section("results", "Results", [*blocks, Text("ROC curves are left out: the document has none.")])
    labels = {name: row["label"] for name, row in _variants(report)}
    shown = [(name, plots["models"][name]) for name in labels if name in plots["models"]]
    ill = plots["classes"][1]
    curves = [(f"{labels[name]}, seed {plots['seeds'][name]}", one["roc"][0]) for name, one in shown if one["roc"]]
    said = f"{plots['n_cases']} test pictures"
    if curves:
        blocks.append(roc_figure("roc", curves, f"ROC curves of class {ill}, with areas; one network each, on {said}."))
    blocks += [
        confusion_figure(f"confusion-{name}", labels[name], plots["classes"], one["confusion"])
        for name, one in shown
        if name in _DRAWN
    ]
    return Section("results", "Results", blocks)


def _curves(report: Facts) -> Section:
    """Losses by epoch of what is trained whole, as far as they are known."""
    found = (report.get("plots") or {}).get("learning_curves") or {}
    whole = [(name, row["label"]) for name, row in _variants(report) if row["trained"] == "whole"]
    blocks: list[Block] = [
        seeds_figure(f"curve-{place}", label, found[name]["epochs"], found[name]["loss"])
        for place, (name, label) in enumerate(whole)
        if name in found
    ]
    if not blocks:
        why = "the runs that trained these networks kept no losses by epoch; earlier releases did not."
        return Section("curves", "Learning curves", [Text(f"Left out: {why}")])
    if missing := [label for name, label in whole if name not in found]:
        blocks.append(Text(f"Not known of: {', '.join(missing)}; the runs that trained them kept no losses by epoch."))
    blocks.append(
        Text(
            "Losses are means over the batches of an epoch, with all that training does: weights of classes, changed "
            "pictures, and what a variant's settings add, so that those of two variants are not comparable. No epoch "
            "is chosen by them: every training runs to its last. Heads, which stand on the hybrid model's features, "
            "have none."
        )
    )
    return Section("curves", "Learning curves", blocks)


def _figures(report: Facts, names: Sequence[str]) -> Table:
    several = any(row["n_seeds"] > 1 for _, row in _variants(report))
    said = (
        "means over seeds on the test pictures, with 95 % intervals over seeds"
        if several
        else "of one seed on the test pictures, with 95 % intervals over pictures (bootstrap)"
    )
    return Table(
        f"{', '.join(map(_title, names))}: {said}",
        ["model", "seeds", "parameters", *map(_title, names)],
        [
            [
                row["label"],
                str(row["n_seeds"]),
                str(row["n_params"]),
                *(_figure(row["metrics"][name], "over_seeds" if several else "over_images") for name in names),
            ]
            for _, row in _variants(report)
        ],
    )


def _figure(measure: Facts, interval: str) -> str:
    bounds = measure.get(interval)
    return number(measure["mean"]) + (f" {unbroken(f'({number(bounds[0])} to {number(bounds[1])})')}" if bounds else "")


def _calibration(report: Facts) -> Section:
    plots = report.get("plots")
    if not plots:
        return Section("calibration", "Calibration", [Text("Left out: the document has no bins of reliability.")])
    names = [name for name in _DRAWN if name in plots["models"]]
    series = [(report["variants"][name]["label"], plots["models"][name]["bins"]) for name in names]
    caption = f"Reliability on {plots['n_cases']} test pictures: on the dotted line, probabilities keep their word."
    blocks: list[Block] = [reliability_figure("reliability", series, caption)]
    if "ece" in report["metrics"]:
        blocks.append(
            Text(
                "The expected calibration error among the results holds the probability of class "
                f"{plots['classes'][1]} against how often it is true; the drawing, the model card and the gate "
                "hold the largest probability against how often it is right, which gives another figure."
            )
        )
    return Section("calibration", "Calibration", blocks)


def _data(report: Facts) -> Section:
    data = report["data"]
    rows = [
        [part, str(own["n_pictures"]), ", ".join(unbroken(f"{k}: {n}") for k, n in sorted(own["per_class"].items())),
         str(own["n_equal_to_another"])]
        for part, own in ((part, data["parts"][part]) for part in PARTS)
    ]  # fmt: skip
    return Section(
        "data",
        "Data and splits",
        [
            Table(f"{data['name']}: {data['side']} x {data['side']} pixels, split: {data['split']}",
                  ["part", "pictures", "by class", "equal to another"], rows, words=True),
            Points([f"{data['n_left_out_as_equal']} training or validation pictures that are also in a later part were "
                    "left out.",
                    *_patients(data),
                    f"Digest of the data (SHA-256): {data['sha256']}"]),
        ],
    )  # fmt: skip


def _patients(data: Facts) -> list[str]:
    """What is known of patients; nothing in reports of releases that did not look for them."""
    if "patients" not in data:
        return []
    if (known := data["patients"]) is None:
        return ["Patients are not known: pictures of one may stand in several parts."]
    return [
        f"{known['n_in_several_parts']} of {known['n_patients']} patients stand in several parts; "
        f"{data['n_left_out_of_patients']} more training or validation pictures of them were left out."
    ]


def _openings(report: Facts) -> Section:
    rows = [[_at(one["at"]), str(one["n_pictures"]), one["purpose"]] for one in report["test_openings"]]
    recorded_at = report["configuration_recorded_at"]
    earlier = sum(one["at"] < recorded_at for one in report["test_openings"])
    before = (
        f"after {earlier} look(s) of an attempt whose files could not be used, and before all others"
        if earlier
        else "before the first look at the test pictures"
    )
    return Section(
        "openings",
        "Openings of the test part",
        [
            Text(
                f"The configuration's digest {report['configuration_sha256']} was recorded at "
                f"{_at(recorded_at)}, {before}."
            ),
            Table("Every look at the test pictures", ["when", "pictures", "what for"], rows, words=True),
        ],
    )


def _at(when: str) -> str:
    """A time as the page shows it, on one line, with hyphens that do not break: ``2026-11-28 02:27:53 UTC``."""
    return unbroken(when.replace("T", " ").replace("+00:00", " UTC").replace("-", "\u2011"))


def _cost(report: Facts, known: ReportFacts) -> Section:
    rows = [[row["label"], f"{row['seconds_per_seed']:.1f}"] for _, row in _variants(report)]
    table = Table("Training time", ["model", "s per seed"], rows)
    return circumstances.study_cost(report["seconds"]["training"], known, table)


def _intended(report: Facts) -> Section:
    lines = [f"Intended use: {report['intended_use']}", f"Limits: {report['limits']}"]
    return Section("promotion", "Intended use and limits", [Points(lines)])


def _environment(report: Facts, known: ReportFacts) -> Section:
    rows = [[str(name).replace("_", " "), str(value)] for name, value in sorted(report["environment"].items())]
    model = report.get("model") or {}
    begun = report["configuration"].get("begins_with") or {}
    rows += [[f"features began with: {name}", str(value)] for name, value in sorted(begun.items())]
    rows += [
        ["seeds", ", ".join(map(str, report["configuration"]["seeds"]))],
        ["configuration (SHA-256)", report["configuration_sha256"]],
        *([_MODEL_FILE.get(name, f"model file: {name}"), str(value)] for name, value in sorted(model.items())),
        *circumstances.machine_and_job(known),
    ]
    return Section(
        "environment", "Environment", [Table("Versions, seeds and digests", ["what", "value"], rows, words=True)]
    )
