"""The demand template's report on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from superpose.cli.output import console, paragraph, show, table

__all__ = ["print_demand"]

_SHOWN: Final = ("mase", "mae", "rmse", "smape", "pinball", "coverage")
_MOST: Final = 24
"""Lines of the forecast that are shown."""
_HEADS: Final = {"coverage": "coverage", "pinball": "pinball", "smape": "sMAPE"}
"""How those of them are written that are no abbreviation in capitals."""


def print_demand(report: Mapping[str, Any], place: Path, page: Path | None) -> None:
    """Figures of every model, the verdict, and the hybrid model's and the baseline's forecasts.

    Args:
        report: of `superpose.learning.templates.demand.train_demand`.
        place: the run's directory.
        page: the report as a page, if it was written.
    """
    out, data = console(), report["data"]
    tests = {row["against"]: row for row in report["diebold_mariano"]}
    rows = [
        (row["label"], *(_figure(row["metrics"][name]) for name in _SHOWN), _test(tests.get(name)))
        for name, row in report["variants"].items()
    ]
    n_test = report["configuration"]["origins"]["test"]
    header = (f"{n_test} test origins", *(_HEADS.get(name, name.upper()) for name in _SHOWN))
    show(out, table((*header, "Diebold-Mariano"), rows, right=header[1:]))
    if tests:
        paragraph(
            out,
            "Diebold and Mariano's test over test periods, with Holm's correction, tells what the hybrid model is "
            f"beside each. It is a second opinion; the verdict goes by origins.{_few(n_test)}",
        )
    for sentence in report["verdict"].split(". "):
        paragraph(out, sentence.removesuffix(".") + ".")
    forecast = report["forecast"]
    if forecast["made"]:
        keys = ("quantity", "low", "high")
        lines = [
            (row["variant"], row["series"] or "-", row["period"], *(f"{row[key]:.4g}" for key in keys))
            for row in forecast["rows"]
        ]
        title = ("forecast", "series", "period", "quantity", f"{100 * forecast['level']:g} % from", "to")
        show(out, table(title, lines[:_MOST], right=title[3:]))
        if len(lines) > _MOST:
            paragraph(out, f"{len(lines) - _MOST} more lines are in the report.")
        if "of" in forecast:  # runs of older releases do not say
            paragraph(out, forecast["of"])
    else:
        paragraph(out, f"No forecast: {forecast['why']}.")
    series = f"{data['n_series']} series" if data["n_series"] > 1 else "one series"
    paragraph(out, f"{data['name']}: {series}, {data['n_periods']} {data['frequency']} periods to {data['last']}.")
    for name, why in report["left_out"].items():
        paragraph(out, f"Left out: {name}, {why}.")
    if page is not None:
        paragraph(out, f"{page} shows it on one page.")
    paragraph(out, f"{place / 'report.json'} has everything, {place / report['model']['file']} is the model.")


def _few(n_origins: int) -> str:
    """That Diebold and Mariano's test is not believed where it is of few origins."""
    from superpose.learning.verdicts import FEWEST_ORIGINS

    if n_origins >= FEWEST_ORIGINS:
        return ""
    return f" Of fewer than {FEWEST_ORIGINS} origins it says undecided: its p values come out too small."


def _figure(measure: Mapping[str, Any]) -> str:
    return f"{measure['mean']:.3g}"


def _test(row: Mapping[str, Any] | None) -> str:
    """What Diebold and Mariano's test says of the hybrid model against this one."""
    return "" if row is None else f"{row['said']} (p {row['p_holm']:.2g})"
