"""The report of an external validation: everything that its document holds, on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from superpose.explain.report.blocks import Block, Page, Points, Section, Table, Text
from superpose.explain.report.drawing import require_drawing
from superpose.explain.report.form import in_known_form
from superpose.explain.report.page import render_page
from superpose.explain.report.plots import confusion_figure, reliability_figure, roc_figure
from superpose.explain.report.results import number, share_said, subgroups, title_of, unbroken
from superpose.learning.metrics import form_of

__all__ = ["external_report"]

Facts = Mapping[str, Any]

_MOST_COLUMNS = 30
"""Columns whose drift is told, the farthest first."""


def external_report(
    found: Facts,
    model: str,
    rows: str,
    *,
    notice: str | None = None,
    digest: str = "",
    paired: Facts | None = None,
) -> bytes:
    """The report of an external validation as one HTML file: no script, nothing loaded, every text escaped.

    A pure function: equal arguments give equal bytes.

    Args:
        found: the document of `superpose.learning.external_validation.external_validation`.
        model: what the model is called.
        rows: what the rows are called.
        notice: the sentence that must stand wherever the model shows itself, such as "Not for clinical use."
        digest: of the model.
        paired: of the same rows the document of `superpose.learning.paired_validation.paired_validation`, if another
            model was held against them too.

    Returns:
        HTML in UTF-8, for `report_pdf` as well.

    Raises:
        ExtraMissingError: Jinja2 or Matplotlib is not installed (``superpose[report]``).
        ModelFormatError: a field is absent or of another type.

    Cost: about a second, most of it drawing.
    """
    require_drawing()
    with in_known_form("the document of an external validation"):
        return render_page(_page(found, model, rows, notice, digest, paired))


def _page(  # as above
    found: Facts, model: str, rows: str, notice: str | None, digest: str, paired: Facts | None
) -> Page:
    of_classes = "classes" in found
    return Page(
        title=f"External validation: {model}",
        subtitle=f"Held against {rows}, {found['n_rows']:,} rows with a known {found['target']}",
        notice=notice,
        verdict=" ".join(found["summary"]) or "Nothing stands out: no figure is told from what was expected.",
        figures=[(_title(name), number(one["value"])) for name, one in found["metrics"].items()],
        sections=[
            Section("results", "Results", [_figures(found), *(_drawn(found) if of_classes else [])]),
            *([] if paired is None else [_beside(paired)]),
            *([_calibration(found)] if of_classes else []),
            *([subgroups(found)] if found.get("subgroups") else []),
            _rows(found),
            Section("method", "How this was done", [Points(_method(found, digest))]),
        ],
        made_from="the validation's document",
    )


def _title(metric: str) -> str:
    return "bias (predicted less true)" if metric == "bias" else title_of(metric)


def _between(one: Facts, form: str = ".3f") -> str:
    return "–" if one["low"] is None else unbroken(f"{number(one['low'], form)} to {number(one['high'], form)}")


def _figures(found: Facts) -> Table:
    own = found["own"] or {"metrics": {}, "n_rows": None}
    level, n_own = f"{100 * found['confidence']:g}\u00a0% interval", own["n_rows"]
    head = ["metric", "on these rows", level]
    if found["own"]:
        head.append(f"on its own {n_own:,} test rows" if n_own else "on its own test rows")
    return Table(
        "Of the model as it answers; each interval stands by itself",
        head,
        [
            [_title(name), number(one["value"], form), _between(one, form)]
            + ([number(own["metrics"].get(name), form)] if found["own"] else [])
            for name, one in found["metrics"].items()
            for form in (form_of(name, one["value"], one["low"], one["high"]),)
        ],
    )


def _beside(paired: Facts) -> Section:
    """How the model differs from another on the same rows."""
    rows = []
    for name, one in paired["metrics"].items():
        form = form_of(name, one["first"], one["second"])
        difference = number(one["difference"], f"+{form}")
        ends = "" if one["low"] is None else f" ({_between(one, f'+{form}')})"
        rows.append([_title(name), number(one["first"], form), number(one["second"], form), difference + ends])
    table = Table(
        "The same rows; each interval of a difference stands by itself",
        ["metric", paired["first"], paired["second"], f"difference ({100 * paired['confidence']:g}\u00a0%)"],
        rows,
    )
    return Section("beside", f"Beside {paired['second']}", [table, Points(paired["summary"])])


def _drawn(found: Facts) -> list[Block]:
    """ROC curves and the confusion matrix, where the document has them."""
    plots = found["plots"]
    own = plots["models"]["hybrid"]
    blocks: list[Block] = []
    if own["roc"]:
        of = f"of class {found['positive_class']}" if found["positive_class"] else "of each class against the rest"
        curves = [(curve["class"], curve) for curve in own["roc"]]
        blocks.append(roc_figure("roc", curves, f"ROC {of}, with areas; {found['n_rows']:,} rows."))
    if own["confusion"] is not None:
        blocks.append(confusion_figure("confusion", "model as it answers", plots["classes"], own["confusion"]))
    return blocks


def _calibration(found: Facts) -> Section:
    told, again = found["calibration"], found["recalibration"]
    bins = told["after"]["bins"]
    caption = f"Reliability on {found['n_rows']:,} rows: on the dotted line, probabilities keep their word."
    own_ece = (found["own"] or {}).get("ece")
    lines = [
        f"Expected calibration error {number(told['after']['ece'])}, log loss {number(told['after']['log_loss'])}."
    ]
    if own_ece is not None:
        lines[0] = f"{lines[0][:-1]}; the error was {number(own_ece)} on the model's own test rows."
    if again is not None:
        lines.append(
            f"{again['n_positive']:,} rows are {found['positive_class']}, {again['n_expected']:,.1f} were expected "
            f"from the probabilities. Intercept {number(again['intercept']['value'], '+.2f')} "
            f"({_between(again['intercept'], '+.2f')}; 0 is right, above it probabilities are too low)."
        )
        if again["slope"] is None:
            lines.append("Slope: not to be told, since probabilities part the classes without fault, or are all one.")
        else:
            lines.append(
                f"Slope {number(again['slope']['value'], '.2f')} ({_between(again['slope'], '.2f')}; 1 is right, below "
                "it probabilities are too near 0 and 1)."
            )
    lines += _safeguards(told)
    return Section(
        "calibration", "Calibration", [reliability_figure("reliability", [("here", bins)], caption), Points(lines)]
    )


def _safeguards(told: Facts) -> list[str]:
    lines, sets, rule, novelty = [], told["conformal"], told["abstain"], told["novelty"]
    if sets:
        lines.append(
            f"Prediction sets of {100 * sets['coverage']:g} % hold the truth of {share_said(sets['covered'])} of rows, "
            f"with {sets['mean_size']['mean']:.2f} classes on average."
        )
    if rule:
        right = "" if rule["accuracy"] is None else f", of which {share_said(rule['accuracy'])} rightly"
        lines.append(f"The rule of abstaining answers {share_said(rule['answered'])} of rows{right}.")
    if novelty:
        expected = 100 * novelty["expected_share"]
        lines.append(
            f"{share_said(novelty['novel'])} of rows are unlike the training rows; {expected:.1f} % were expected."
        )
    return lines


def _rows(found: Facts) -> Section:
    """What the rows are, and how they differ from those of the training."""
    lines = [f"{found['n_rows']:,} rows" + _of_groups(found) + "."]
    if found["n_without_truth"]:
        lines.append(f"{found['n_without_truth']:,} rows more have no {found['target']} and were left out.")
    if "classes" in found:
        before = found["trained_on"] or {}
        counts = [
            f"{label} {n:,}" + (f" ({before[label]:,})" if label in before else "")
            for label, n in found["classes"].items()
        ]
        told = " (in brackets those of the model's own data)" if before else ""
        lines.append(f"Rows of each class{told}: {', '.join(counts)}.")
    lines += [
        f"{n:,} rows have a value in {name} that the model does not know."
        for name, n in found["unknown_categories"].items()
    ]
    moved = found["columns"]
    blocks: list[Block] = [Points(lines)]
    if moved is None:
        return Section(
            "rows",
            "The rows",
            [*blocks, Text("The model's file keeps no drift baseline: nothing says how far columns have moved.")],
        )
    shown: Sequence[Facts] = moved["columns"][:_MOST_COLUMNS]
    more = (
        f"; the {_MOST_COLUMNS} farthest of {len(moved['columns']):,}" if len(moved["columns"]) > _MOST_COLUMNS else ""
    )
    table = Table(
        f"How far columns have moved since the training, the farthest first{more}",
        ["column", "PSI", "KS", "missing before", "missing here", "verdict"],
        [
            [
                str(one["name"]),
                number(one["psi"]),
                number(one["ks"]),
                f"{100 * one['missing_before']:.1f} %",
                f"{100 * one['missing_now']:.1f} %",
                str(one["verdict"]),
            ]
            for one in shown
        ],
    )
    return Section("rows", "The rows", [*blocks, Text(str(moved["message"])), table])


def _of_groups(found: Facts) -> str:
    return "" if found["n_groups"] is None else f" of {found['n_groups']:,} groups, which intervals count"


def _method(found: Facts, digest: str) -> list[str]:
    lines = [
        "Nothing was fitted to these rows, and none is in this page.",
        "Intervals: of shares Wilson's, of the AUC of two classes DeLong's, of means Student's, else from resamples of "
        "rows" + (" in whole groups." if found["n_groups"] is not None else "; each row counts for itself."),
        "The accuracy is held against that on the model's own test rows by Newcombe's interval of a difference. That "
        "those may hang together, and that several sentences stand here, is not reckoned with.",
    ]
    return lines + ([f"Model digest: {digest}."] if digest else [])
