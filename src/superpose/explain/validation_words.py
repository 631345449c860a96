"""How a registered version did on rows of other sites, for its card and its report: one table and what it comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from superpose.learning.metrics import METRICS, NUMBER_METRICS, form_of, reading
from superpose.learning.validation_record import sentences_of

__all__ = ["VALIDATION_NOTE", "validation_points", "validation_table"]

VALIDATION_NOTE: Final = (
    "As recorded by who has the rows and held this version against them; the service has not seen a row. Nothing was "
    "fitted to them."
)
_TOLD: Final = ("accuracy", "sensitivity", "specificity")
"""Of a subgroup."""
_MOST_GROUPS: Final = 12

Facts = Mapping[str, Any]


def validation_table(records: Iterable[Facts]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a row for each record that counts, its figures with intervals.

    Args:
        records: of a version, oldest first, as `superpose.service.Validations` keeps them.
    """
    counted = [one for one in records if "withdrawn_at" not in one]
    there = {name for one in counted for name in one["metrics"]}
    names = [name for name in (*METRICS, *NUMBER_METRICS, "bias") if name in there]
    head = ["rows of", "rows", *map(_title, names)]
    again = any(one["recalibration"] for one in counted)
    head += ["calibration intercept", "calibration slope"] if again else []
    rows = []
    for one in counted:
        row = [one["site"], _n_rows(one), *(_metric(name, one["metrics"].get(name)) for name in names)]
        told = one["recalibration"] or {}
        row += [_figure(told.get(name), ".2f") for name in ("intercept", "slope")] if again else []
        rows.append(row)
    return head, rows


def validation_points(records: Iterable[Facts], manifest: Facts) -> list[str]:
    """What each record comes to, in sentences that are made of its figures.

    Args:
        records: as for `validation_table`.
        manifest: of the version's file.
    """
    lines: list[str] = []
    for one in records:
        recorded = f"{one['site']}, recorded {one['recorded_at'][:10]} by key {one['recorded_by']}"
        if "withdrawn_at" in one:
            lines.append(
                f"{recorded}: withdrawn {one['withdrawn_at'][:10]} by key {one['withdrawn_by']}. {one['reason']}"
            )
            continue
        said = [f"Intervals are {100 * one['confidence']:g} %.", *_left_out(one), *sentences_of(one, manifest)]
        lines.append(f"{recorded}: {' '.join(said)}")
        lines += _subgroups(one)
    return lines


def _title(metric: str) -> str:
    return "bias" if metric == "bias" else reading(metric)[1]


def _n_rows(record: Facts) -> str:
    return f"{record['n_rows']:,}" + ("" if record["n_groups"] is None else f" of {record['n_groups']:,} groups")


def _left_out(record: Facts) -> list[str]:
    n = record["n_without_truth"]
    said = "1 row more has" if n == 1 else f"{n:,} rows more have"
    return [f"{said} no {record['target']} and {'was' if n == 1 else 'were'} left out."] if n else []


def _metric(name: str, figure: Facts | None) -> str:
    told = (figure or {}).get
    return _figure(figure, form_of(name, told("value"), told("low"), told("high")))


def _figure(figure: Facts | None, form: str = ".3f") -> str:
    if figure is None or figure["value"] is None:
        return "–"
    ends = "" if figure["low"] is None else f" ({figure['low']:{form}} to {figure['high']:{form}})"
    return f"{figure['value']:{form}}{ends}"


def _subgroups(record: Facts) -> list[str]:
    """Metrics of subgroups, a line for each column."""
    columns: dict[str, list[Facts]] = {}
    for group in record["subgroups"]:
        columns.setdefault(group["column"], []).append(group)
    return [f"{record['site']}, by {column}: {_of_groups(groups)}." for column, groups in columns.items()]


def _of_groups(groups: Sequence[Facts]) -> str:
    told = []
    for group in groups[:_MOST_GROUPS]:
        figures = [f"{name} {_figure(group['metrics'][name])}" for name in _TOLD if group["metrics"].get(name)]
        told.append(f"{group['group']} ({group['n_rows']:,} rows): {', '.join(figures)}")
    more = [f"and {len(groups) - _MOST_GROUPS} more"] if len(groups) > _MOST_GROUPS else []
    return "; ".join([*told, *more])
