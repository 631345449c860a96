"""The report of one training: everything that its document holds, on one page."""

from __future__ import annotations

from superpose.explain.report import circumstances, results
from superpose.explain.report.blocks import Page
from superpose.explain.report.drawing import require_drawing
from superpose.explain.report.facts import ReportFacts
from superpose.explain.report.form import in_known_form
from superpose.explain.report.origin import fine_tuning, kind_of, predicts_numbers
from superpose.explain.report.page import render_page
from superpose.learning.card import caution, notice_of

__all__ = ["training_report"]

_SHOWN = ("accuracy", "balanced_accuracy", "auc", "sensitivity", "specificity", "brier")


def training_report(facts: ReportFacts) -> bytes:
    """The report of a training as one HTML file: no script, nothing loaded from anywhere, every text escaped.

    A pure function: equal facts give equal bytes. What they do not hold is left out, and its section says so.

    >>> html = training_report(ReportFacts(Predictor.load("heart.superpose")))  # doctest: +SKIP

    Args:
        facts: what is known; at the least a loaded model file, or an evaluation.

    Returns:
        HTML in UTF-8, for `report_pdf` as well.

    Raises:
        ExtraMissingError: Jinja2 or Matplotlib is not installed (``superpose[report]``).
        ModelFormatError: a field is absent or of another type.

    Cost: about a second, most of it drawing.
    """
    require_drawing()
    with in_known_form("the model file or its evaluation"):
        return render_page(_page(facts))


def _page(facts: ReportFacts) -> Page:
    evaluation, manifest = facts.known_evaluation, facts.known_manifest
    own = evaluation.get("model_metrics") or {}
    data = manifest.get("data") or {}
    name = data.get("name") or "unnamed data"
    return Page(
        title=f"Training report: {_title(facts)}",
        subtitle=f"Trained on {name}" if data or not manifest else "What it was trained on is not recorded",
        notice=notice_of(manifest),
        verdict=evaluation.get("verdict"),
        caution=caution(evaluation),
        figures=[
            (results.title_of(metric), results.number(own[metric]))
            for metric in (*_SHOWN, *(m for m in own if m not in _SHOWN))
            if metric in own
        ],
        sections=[
            results.comparisons(evaluation),
            *fine_tuning(facts),
            results.results(evaluation),
            results.curves(evaluation),
            results.calibration(evaluation, predicts_numbers(manifest)),
            results.subgroups(evaluation),
            *circumstances.external_validations(facts),
            circumstances.explanation(facts),
            circumstances.circuits(facts),
            circumstances.data(facts),
            circumstances.privacy(facts),
            circumstances.cost(facts),
            circumstances.promotion(facts),
            circumstances.environment(facts),
        ],
    )


def _title(facts: ReportFacts) -> str:
    if facts.model is None:
        return kind_of(facts.known_manifest) if not facts.job.get("id") else f"job {facts.job['id']}"
    return facts.model if facts.version is None else f"{facts.model} version {facts.version}"
