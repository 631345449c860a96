"""Drift: how far a table's columns have moved from those that a model was trained on, by PSI and KS.

A baseline keeps shares of rows between quantiles and shares of frequent categories, never rows. With shares ``p`` then
and ``q`` now, the population stability index is ``PSI = sum((q - p) * ln(q / p))`` over at most ten ranges, or the
categories, and the missing values; the Kolmogorov-Smirnov distance is the largest difference of the two distribution
functions at the baseline's quantiles. Without drift, ``PSI / (1/n + 1/m)`` is about chi-square with one degree of
freedom less than there are shares, so a small table has a large PSI by chance alone; a column counts as moved only
where the index or the distance is large and chance explains it badly: by Pearson's test of two samples on the same
shares, and by the distribution of Kolmogorov, each at ``ALPHA`` over twice the number of columns.

Source: B. Yurdakul, "Statistical properties of the population stability index", Western Michigan University, 2018.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from superpose.datasets.table import Table
from superpose.errors import FeatureMismatchError

__all__ = ["ColumnDrift", "DriftReport", "DriftVerdict", "compare_drift", "drift_baseline"]

DriftVerdict = Literal["stable", "shifted", "drifted"]
Values = npt.NDArray[Any]

PSI_SHIFT, PSI_DRIFT, KS_SHIFT = 0.1, 0.25, 0.1
ALPHA = 0.01
_MAX_BINS = 20
_WIDE, _WIDE_BINS = 100, 10
_ROWS_PER_BIN = 10
_MIN_CATEGORY_ROWS = 5
_MAX_CATEGORIES = 50
_MAX_COLUMNS = 2_000
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """How far one column has moved.

    Attributes:
        name: the column.
        kind: "number" or "category".
        psi: population stability index, missing values included.
        ks: Kolmogorov-Smirnov distance of the values that are there, 0 .. 1; None for categories.
        p_value: how likely chance alone makes the larger of the two signals.
        missing_before: share of missing values in the baseline.
        missing_now: the same in the table.
        unknown_now: share of rows with a category that the baseline does not list by name.
        verdict: "stable", "shifted" or "drifted".
    """

    name: str
    kind: str
    psi: float
    ks: float | None
    p_value: float
    missing_before: float
    missing_now: float
    unknown_now: float
    verdict: DriftVerdict


@dataclass(frozen=True, slots=True)
class DriftReport:
    """A table held against a baseline.

    Attributes:
        n_rows: rows of the table.
        n_baseline_rows: rows behind the baseline.
        columns: one entry per column of the baseline, in order.
        verdict: the worst of the columns.
        message: the verdict in a sentence.
        thresholds: from where on a column is shifted or drifted.
    """

    n_rows: int
    n_baseline_rows: int
    columns: tuple[ColumnDrift, ...]
    verdict: DriftVerdict
    message: str
    thresholds: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "n_rows": self.n_rows,
            "n_baseline_rows": self.n_baseline_rows,
            "verdict": self.verdict,
            "message": self.message,
            "thresholds": dict(self.thresholds),
            "columns": [asdict(column) for column in self.columns],
        }


def drift_baseline(table: Table, rows: npt.NDArray[np.int64] | None = None) -> dict[str, Any]:
    """The baseline of a table's feature columns as JSON values: shares of rows, no rows.

    Number columns are parted at quantiles into at most 20 ranges (10 where the table has more than 100 columns), each
    of at least ten rows; quantiles are kept to six digits. Categories of fewer than five rows are counted together.

    Args:
        table: the training data.
        rows: places of the rows to describe; all by default.
    """
    places = np.arange(table.n_rows) if rows is None else rows
    most = _WIDE_BINS if table.n_features > _WIDE else _MAX_BINS
    n_bins = max(2, min(most, len(places) // _ROWS_PER_BIN))
    described = []
    for column in table.columns[:_MAX_COLUMNS]:
        values = table.features[column.name].to_numpy()[places]
        facts = _number_baseline(values, n_bins) if column.kind == "number" else _category_baseline(values)
        described.append({"name": column.name, "kind": column.kind, **facts})
    return {"version": 1, "n_rows": len(places), "columns": described}


def compare_drift(baseline: Mapping[str, Any], columns: Mapping[str, Values]) -> DriftReport:
    """How far columns have moved from a baseline.

    Args:
        baseline: from ``drift_baseline``.
        columns: float64 or object arrays (n_rows,) by name, as the readers give them; others than the baseline's are
            left alone.

    Raises:
        FeatureMismatchError: a column is absent, or holds text where the baseline has numbers; names it.
    """
    wanted = baseline["columns"]
    absent = [column["name"] for column in wanted if column["name"] not in columns]
    if absent:
        shown = ", ".join(map(repr, absent[:5])) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
        raise FeatureMismatchError(f"the table lacks {shown}, which the model was trained on", columns=absent[:50])
    n_before, n_now = int(baseline["n_rows"]), len(next(iter(columns.values())))
    found = tuple(_compared(column, columns[column["name"]], n_before, len(wanted)) for column in wanted)
    return DriftReport(
        n_rows=n_now,
        n_baseline_rows=n_before,
        columns=found,
        verdict=_worst(found),
        message=_message(found, n_now),
        thresholds={"psi_shift": PSI_SHIFT, "psi_drift": PSI_DRIFT, "ks_shift": KS_SHIFT, "alpha": ALPHA},
    )


def _number_baseline(values: npt.NDArray[np.float64], n_bins: int) -> dict[str, Any]:
    present = values[~np.isnan(values)]
    quantiles = np.quantile(present, np.arange(1, n_bins) / n_bins) if len(present) else np.empty(0)
    edges = sorted({float(f"{edge:.{_DIGITS}g}") for edge in quantiles})
    return {
        "edges": edges,
        "shares": _rounded(_bin_counts(present, edges) / max(1, len(values))),
        "missing": round((len(values) - len(present)) / max(1, len(values)), _DIGITS),
    }


def _category_baseline(values: Values) -> dict[str, Any]:
    counts = Counter(word for word in values if word is not None)
    named = [(word, n) for word, n in counts.most_common(_MAX_CATEGORIES) if n >= _MIN_CATEGORY_ROWS]
    n_rows = max(1, len(values))
    return {
        "shares": {word: round(n / n_rows, _DIGITS) for word, n in sorted(named)},
        "other": round((counts.total() - sum(n for _, n in named)) / n_rows, _DIGITS),
        "missing": round((len(values) - counts.total()) / n_rows, _DIGITS),
    }


def _bin_counts(values: npt.NDArray[np.float64], edges: Sequence[float]) -> npt.NDArray[np.float64]:
    """Values up to the first edge, between edges (the right one included), and beyond the last; ``(n_edges + 1,)``."""
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="left")
    return np.bincount(places, minlength=len(edges) + 1).astype(np.float64)


def _rounded(shares: npt.NDArray[np.float64]) -> list[float]:
    return [round(float(share), _DIGITS) for share in shares]


def _compared(before: Mapping[str, Any], values: Values, n_before: int, n_columns: int) -> ColumnDrift:
    if before["kind"] == "number":
        then, now, ks, missing_now = _number_shares(before, values)
        unknown = 0.0
    else:
        then, now, unknown, missing_now = _category_shares(before, values)
        ks = None
    psi, psi_chance = _psi(then, now, n_before, len(values))
    ks_chance = 1.0 if ks is None else _ks_chance(ks, n_before, len(values))
    level = ALPHA / (2 * n_columns)  # two signals of every column, as many chances
    drifted = psi >= PSI_DRIFT and psi_chance < level
    shifted = (psi >= PSI_SHIFT and psi_chance < level) or (ks is not None and ks >= KS_SHIFT and ks_chance < level)
    return ColumnDrift(
        name=before["name"],
        kind=before["kind"],
        psi=psi,
        ks=ks,
        p_value=min(psi_chance, ks_chance),
        missing_before=float(before["missing"]),
        missing_now=missing_now,
        unknown_now=unknown,
        verdict="drifted" if drifted else "shifted" if shifted else "stable",
    )


def _number_shares(before: Mapping[str, Any], values: Values) -> tuple[Values, Values, float, float]:
    """Shares then and now in at most ten ranges with the missing values last, the KS distance, missing values now."""
    if values.dtype.kind != "f":
        if any(value is not None for value in values):
            raise FeatureMismatchError(
                f"column {before['name']!r} holds text, but the model was trained on numbers",
                column=before["name"],
            )
        values = np.full(len(values), np.nan)
    n_rows = max(1, len(values))
    present = values[~np.isnan(values)]
    then, now = np.asarray(before["shares"]), _bin_counts(present, before["edges"]) / n_rows
    ks = 0.0
    if then.sum() > 0 and now.sum() > 0:
        ks = float(np.abs(np.cumsum(then) / then.sum() - np.cumsum(now) / now.sum()).max())
    if len(then) > 10:
        pairs = np.arange(0, len(then), 2)
        then, now = np.add.reduceat(then, pairs), np.add.reduceat(now, pairs)
    missing = (n_rows - len(present)) / n_rows
    return np.append(then, before["missing"]), np.append(now, missing), ks, missing


def _category_shares(before: Mapping[str, Any], values: Values) -> tuple[Values, Values, float, float]:
    """Shares then and now of named categories, of all others and of missing values; the last two now."""
    words = _words(values)
    counts = Counter(word for word in words if word is not None)
    n_rows = max(1, len(words))
    named = list(before["shares"])
    now = [counts[word] / n_rows for word in named]
    other = (counts.total() - sum(counts[word] for word in named)) / n_rows
    missing = (n_rows - counts.total()) / n_rows
    then = [*before["shares"].values(), before["other"], before["missing"]]
    return np.array(then), np.array([*now, other, missing]), other, missing


def _words(values: Values) -> list[str | None]:
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [None if math.isnan(v) else str(int(v)) if v.is_integer() else repr(v) for v in values.tolist()]


def _psi(then: Values, now: Values, n_before: int, n_now: int) -> tuple[float, float]:
    """The index, and how likely chance alone makes it as large; a share of none counts as half a row."""
    from scipy.stats import chi2

    seen = (then > 0) | (now > 0)
    p = np.maximum(then[seen], 0.5 / max(1, n_before))
    q = np.maximum(now[seen], 0.5 / max(1, n_now))
    index = float(np.sum((q - p) * np.log(q / p)))
    if len(p) < 2 or not n_now or not n_before:
        return index, 1.0
    difference, spread = now[seen] - then[seen], then[seen] * n_before + now[seen] * n_now
    statistic = n_before * n_now * float(np.sum(difference**2 / spread))
    return index, float(chi2.sf(statistic, len(p) - 1))


def _ks_chance(distance: float, n_before: int, n_now: int) -> float:
    from scipy.stats import kstwobign

    if not n_before or not n_now:
        return 1.0
    return float(kstwobign.sf(distance * math.sqrt(n_before * n_now / (n_before + n_now))))


def _worst(columns: Sequence[ColumnDrift]) -> DriftVerdict:
    found = {column.verdict for column in columns}
    return "drifted" if "drifted" in found else "shifted" if "shifted" in found else "stable"


def _message(columns: Sequence[ColumnDrift], n_rows: int) -> str:
    moved = sorted((c for c in columns if c.verdict != "stable"), key=lambda c: -c.psi)
    if not moved:
        return f"None of {len(columns)} columns has moved beyond chance, in {n_rows:,} rows."
    n_drifted = sum(c.verdict == "drifted" for c in moved)
    names = ", ".join(f"{c.name} (PSI {c.psi:.2f})" for c in moved[:5]) + (", ..." if len(moved) > 5 else "")
    return (
        f"Of {len(columns)} columns, {n_drifted} have drifted and {len(moved) - n_drifted} have shifted, in {n_rows:,} "
        f"rows: {names}."
    )
