"""Notebook displays: small, escaped HTML tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

__all__ = ["comparison_html", "fields_html", "metric_text", "table_html"]

_CELL = "text-align:left;padding:2px 12px 2px 0"
_METRICS = ("accuracy", "balanced_accuracy", "auc", "sensitivity", "specificity", "brier")
_MAX_TEXT = 120


def plain(value: object) -> str:
    """A value as short text: times in ISO form, long collections cut."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return _cut(", ".join(f"{key}: {plain(item)}" for key, item in value.items()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _cut(", ".join(plain(item) for item in value))
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"


def table_html(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table; every text in it is escaped."""
    head = "".join(f'<th style="{_CELL}">{escape(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(plain(cell))}</td>' for cell in row) + "</tr>" for row in rows
    )
    title = f'<caption style="{_CELL};font-weight:bold">{escape(caption)}</caption>' if caption else ""
    return f"<table>{title}" + (f"<thead><tr>{head}</tr></thead>" if header else "") + f"<tbody>{body}</tbody></table>"


def fields_html(title: str, members: Mapping[str, object]) -> str:
    """A two-column table of names and values."""
    return table_html((), list(members.items()), title)


def metric_text(metric: object) -> str:
    """``mean [low, high]`` of a metric with its interval, or the plain number."""
    if isinstance(metric, Mapping) and isinstance(metric.get("mean"), int | float):
        text = f"{metric['mean']:.3f}"
        low, high = metric.get("low"), metric.get("high")
        return (
            f"{text} [{low:.3f}, {high:.3f}]"
            if isinstance(low, int | float) and isinstance(high, int | float)
            else text
        )
    return f"{metric:.3f}" if isinstance(metric, int | float) else "–"


def comparison_html(evaluation: Mapping[str, Any]) -> str:
    """The table of an evaluation: hybrid model, its controls and the baseline; empty where there is none."""
    models = evaluation.get("models")
    if not isinstance(models, Mapping):
        return ""
    controls = models.get("controls") or {}
    rows = [models.get("hybrid"), *(controls[name] for name in controls), models.get("baseline")]
    hybrid = (models.get("hybrid") or {}).get("metrics") or {}
    names = [name for name in _METRICS if name in hybrid] or list(hybrid) or list(_METRICS)
    lines = [
        (row.get("label", "–"), row.get("n_params"), *(metric_text(row.get("metrics", {}).get(m)) for m in names))
        for row in rows
        if isinstance(row, Mapping)
    ]
    header = ("model", "parameters", *(name.replace("_", " ") for name in names))
    verdict = f"<p>{escape(str(evaluation['verdict']))}</p>" if evaluation.get("verdict") else ""
    return table_html(header, lines) + verdict
