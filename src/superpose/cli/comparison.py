"""The honest table: hybrid model, controls and baseline, side by side, and the verdict under it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from superpose.cli.output import console, paragraph, show

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["METRIC_TITLES", "comparison_table", "print_comparison", "rows_of"]

METRIC_TITLES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "brier": "Brier score (low is good)",
    "mase": "MASE (low is good)",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "smape": "sMAPE, %",
    "pinball": "pinball loss",
    "coverage": "coverage",
}
_HEADS: Final = {
    "hybrid": "hybrid\nmodel",
    "from_scratch": "trained\nfrom scratch",
    "classical_twin": "classical\ntwin",
    "no_entanglement": "no\nentanglement",
    "frozen": "frozen\nweights",
    "baseline": "logistic\nregression",
}


def rows_of(evaluation: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Name -> row of every model in an evaluation: hybrid, then the controls, the baseline, and what else was tried."""
    models = evaluation.get("models") or {}
    controls, others = models.get("controls") or {}, models.get("others") or {}
    named = {"hybrid": models.get("hybrid"), **controls, "baseline": models.get("baseline"), **others}
    order = [name for name in _HEADS if name in named]
    order += [name for name in named if name not in order]
    return {name: named[name] for name in order if isinstance(named[name], Mapping)}


def comparison_table(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """The table: a column per model; per metric its mean over the splits, and below it the confidence interval."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    made.add_column("", overflow="fold", min_width=len(METRIC_TITLES["balanced_accuracy"]))
    for name, row in rows.items():
        made.add_column(_head(name, row), no_wrap=True, style="bold" if name == "hybrid" else "")
    made.add_row("parameters", *(f"{row.get('n_params', '–')}" for row in rows.values()))
    for metric, title in METRIC_TITLES.items():
        cells = [row.get("metrics", {}).get(metric) for row in rows.values()]
        if any(isinstance(cell, Mapping) for cell in cells):
            made.add_row(title, *(cell_text(cell) for cell in cells))
    return made


def _head(name: str, row: Mapping[str, Any]) -> str:
    if "families" in row:
        return "strongest\nclassical"
    label = str(row.get("label", name))
    if name in _HEADS and (name != "baseline" or "label" not in row or "logistic" in label):
        return _HEADS[name]
    return textwrap.fill(label, 12)  # a template's baseline, and what else it tried


def cell_text(metric: object) -> str:
    """A mean with its interval below: ``0.972`` over ``.951–.993``."""
    if not isinstance(metric, Mapping) or not isinstance(metric.get("mean"), int | float):
        return "–"
    text = f"{metric['mean']:.3f}"
    low, high = metric.get("low"), metric.get("high")
    if isinstance(low, int | float) and isinstance(high, int | float):
        text += f"\n[dim]{_short(low)}–{_short(high)}[/]"
    return text


def _short(value: float) -> str:
    """A number in 0 .. 1 in four characters."""
    text = f"{value:.3f}"
    return text.removeprefix("0") if text.startswith("0.") else f"{value:.2f}"


def _parts(rows: Mapping[str, Mapping[str, Any]], out: Console, width: int) -> list[list[str]]:
    """The models in their order, in as few tables as a narrow terminal has room for."""
    parts: list[list[str]] = [[]]
    for name in rows:
        wider = [*parts[-1], name]
        if parts[-1] and out.measure(comparison_table({name: rows[name] for name in wider})).minimum > width:
            parts.append([name])
        else:
            parts[-1] = wider
    return parts


def print_comparison(evaluation: Mapping[str, Any], out: Console | None = None, *, indent: int = 0) -> None:
    """Print the table, what its numbers are, and the verdict; of a version that nothing judged, that."""
    from superpose.learning.card import caution, no_width

    out = out or console()
    rows = rows_of(evaluation)
    if not rows:
        paragraph(out, "Nothing is known about how well this model does: its file has no evaluation.", indent=indent)
        return
    for names in _parts(rows, out, out.width - indent):
        show(out, comparison_table({name: rows[name] for name in names}), indent=indent)
        out.print()
    confidence = evaluation.get("confidence")
    level = f"{100 * confidence:g} % " if isinstance(confidence, int | float) else ""
    n_splits = evaluation.get("n_splits", "all")
    n_seeds = evaluation.get("n_seeds", 1)
    seeds = f", {n_seeds} seeds each" if n_seeds > 1 else ""
    scope = (
        evaluation.get("means_over")
        or f"Test rows of {n_splits} paired splits{seeds}: the mean, and below it its {level}confidence interval."
    )
    paragraph(out, f"{scope} {no_width(evaluation, rows.values())}".rstrip(), indent=indent, style="dim")
    out.print()
    paragraph(out, str(evaluation.get("verdict", "")), indent=indent)
    if doubt := caution(evaluation):
        out.print()
        paragraph(out, doubt, indent=indent)
