"""Drift: how far a table's columns have moved from those that a model was trained on, by PSI and KS.

A baseline keeps shares of rows between quantiles and shares of frequent categories, never rows. With shares ``p`` then
and ``q`` now, the population stability index is ``PSI = sum((q - p) * ln(q / p))`` over at most ten ranges, or the
categories, and the missing values; the Kolmogorov-Smirnov distance is the largest difference of the two distribution
functions at the baseline's quantiles. Without drift, ``PSI / (1/n + 1/m)`` is about chi-square with one degree of
freedom less than there are shares, so a small table has a large PSI by chance alone; a column counts as moved only
where the index or the distance is large and chance explains it badly: by Pearson's test of two samples on the same
shares (of ranges the more careful of two forms of it; of rare ones by Fisher's), and by the distribution of Kolmogorov,
all of them together at ``ALPHA`` by Holm's correction. Where chance has a hand in which categories a baseline names,
Fisher's exact tests must say so as well. That is the level of one look; `drift_streams` has one for rows that are
looked at again and again.

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

from superpose.datasets.drift_comparisons import (
    FEWEST_NAMED,
    MOST_NAMED,
    chance_of_categories,
    chance_of_rare,
    names_hang_on_chance,
)
from superpose.datasets.drift_counts import ColumnCounts, DriftCounts, bin_counts
from superpose.datasets.table import Table
from superpose.errors import FeatureMismatchError

__all__ = [
    "ColumnDrift",
    "DriftReport",
    "DriftVerdict",
    "column_baseline",
    "compare_counts",
    "compare_drift",
    "drift_baseline",
    "drift_words",
]

DriftVerdict = Literal["stable", "shifted", "drifted"]
Values = npt.NDArray[Any]

PSI_SHIFT, PSI_DRIFT, KS_SHIFT = 0.1, 0.25, 0.1
ALPHA = 0.01
_MAX_BINS = 20
_WIDE, _WIDE_BINS = 100, 10
_ROWS_PER_BIN = 10
_MAX_COLUMNS = 2_000
_DIGITS = 6
_MOST_NAMED = 5  # columns that a sentence names


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """How far one column has moved.

    Attributes:
        name: the column.
        kind: "number" or "category".
        psi: population stability index, missing values included.
        ks: Kolmogorov-Smirnov distance of the values that are there, 0 .. 1; None for categories.
        p_value: how likely chance alone makes the larger of the two signals, before correction.
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
    of at least ten rows that have a value; quantiles are kept to six digits. Categories of fewer than five rows are
    counted together.

    Args:
        table: the training data.
        rows: places of the rows to describe; all by default.
    """
    places = np.arange(table.n_rows) if rows is None else rows
    return column_baseline({column.name: table.features[column.name].to_numpy()[places] for column in table.columns})


def column_baseline(columns: Mapping[str, Values]) -> dict[str, Any]:
    """The baseline of columns, as ``drift_baseline`` gives it.

    Args:
        columns: by name numbers, float64 ``(n_rows,)``, or categories, objects ``(n_rows,)`` with None for missing.
    """
    n_rows = max((len(values) for values in columns.values()), default=0)
    most = _WIDE_BINS if len(columns) > _WIDE else _MAX_BINS
    described = []
    for name, values in list(columns.items())[:_MAX_COLUMNS]:
        is_number = values.dtype.kind != "O"
        facts = _number_baseline(values, most) if is_number else _category_baseline(values)
        described.append({"name": name, "kind": "number" if is_number else "category", **facts})
    return {"version": 1, "n_rows": n_rows, "columns": described}


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
    return compare_counts(baseline, DriftCounts.of(baseline, columns))


def compare_counts(baseline: Mapping[str, Any], counts: DriftCounts) -> DriftReport:
    """How far rows that were counted have moved from a baseline; equal to `compare_drift` on those rows.

    Args:
        baseline: from ``drift_baseline``.
        counts: of the rows, by that baseline.
    """
    wanted = baseline["columns"]
    n_before, n_now = int(baseline["n_rows"]), counts.n_rows
    signals = [_signals(c, now, n_before, n_now) for c, now in zip(wanted, counts.columns, strict=True)]
    corrected = _holm([p for signal in signals for p in (signal.psi_chance, signal.ks_chance)])
    pairs = zip(corrected[::2], corrected[1::2], strict=True)
    found = tuple(
        _judged(column, signal, *chances) for column, signal, chances in zip(wanted, signals, pairs, strict=True)
    )
    return DriftReport(
        n_rows=n_now,
        n_baseline_rows=n_before,
        columns=found,
        verdict=_worst(found),
        message=_message(found, n_now),
        thresholds={"psi_shift": PSI_SHIFT, "psi_drift": PSI_DRIFT, "ks_shift": KS_SHIFT, "alpha": ALPHA},
    )


def _number_baseline(values: npt.NDArray[np.float64], most_bins: int) -> dict[str, Any]:
    present = values[~np.isnan(values)]
    n_bins = max(2, min(most_bins, len(present) // _ROWS_PER_BIN))
    quantiles = np.quantile(present, np.arange(1, n_bins) / n_bins) if len(present) else np.empty(0)
    edges = sorted({float(f"{edge:.{_DIGITS}g}") for edge in quantiles})
    return {
        "edges": edges,
        "shares": _rounded(bin_counts(present, edges) / max(1, len(values))),
        "missing": round((len(values) - len(present)) / max(1, len(values)), _DIGITS),
    }


def _category_baseline(values: Values) -> dict[str, Any]:
    counts = Counter(word for word in values if word is not None)
    named = [(word, n) for word, n in counts.most_common(MOST_NAMED) if n >= FEWEST_NAMED]
    n_rows = max(1, len(values))
    return {
        "shares": {word: round(n / n_rows, _DIGITS) for word, n in sorted(named)},
        "other": round((counts.total() - sum(n for _, n in named)) / n_rows, _DIGITS),
        "missing": round((len(values) - counts.total()) / n_rows, _DIGITS),
    }


def _rounded(shares: npt.NDArray[np.float64]) -> list[float]:
    return [round(float(share), _DIGITS) for share in shares]


@dataclass(frozen=True, slots=True)
class _Signals:
    """A column's index and distance, how likely chance alone makes them, and shares of the rows now."""

    psi: float
    psi_chance: float
    ks: float | None
    ks_chance: float
    missing_now: float
    unknown_now: float


def _signals(before: Mapping[str, Any], now: ColumnCounts, n_before: int, n_now: int) -> _Signals:
    n_rows = max(1, n_now)
    shares, missing = now.present / n_rows, now.missing / n_rows
    ks, ks_chance, unknown = None, 1.0, 0.0
    if before["kind"] == "number":
        then = np.asarray(before["shares"])
        ks = _distance(then, shares)
        ks_chance = _ks_chance(ks, n_before * float(then.sum()), float(now.present.sum()))
        if len(then) > 10:
            pairs = np.arange(0, len(then), 2)
            then, shares = np.add.reduceat(then, pairs), np.add.reduceat(shares, pairs)
    else:
        then, unknown = np.array([*before["shares"].values(), before["other"]]), float(shares[-1])
    then, shares = np.append(then, before["missing"]), np.append(shares, missing)
    index, chance = _psi(then, shares, n_before, n_now, by_quantiles=before["kind"] == "number")
    if before["kind"] != "number" and names_hang_on_chance(before, n_before):
        chance = max(chance, chance_of_categories(before, now, n_before, n_now))
    return _Signals(index, chance, ks, ks_chance, missing, unknown)


def _distance(then: Values, now: Values) -> float:
    """The Kolmogorov-Smirnov distance at the baseline's quantiles, of the values that are there."""
    if then.sum() <= 0 or now.sum() <= 0:
        return 0.0
    return float(np.abs(np.cumsum(then) / then.sum() - np.cumsum(now) / now.sum()).max())


def _judged(before: Mapping[str, Any], found: _Signals, psi_chance: float, ks_chance: float) -> ColumnDrift:
    """A column's verdict, by chances that are corrected for the number of columns."""
    moved, ks = psi_chance < ALPHA, found.ks
    apart = ks is not None and ks >= KS_SHIFT and ks_chance < ALPHA
    drifted, shifted = moved and found.psi >= PSI_DRIFT, apart or (moved and found.psi >= PSI_SHIFT)
    return ColumnDrift(
        name=before["name"],
        kind=before["kind"],
        psi=found.psi,
        ks=ks,
        p_value=min(found.psi_chance, found.ks_chance),
        missing_before=float(before["missing"]),
        missing_now=found.missing_now,
        unknown_now=found.unknown_now,
        verdict="drifted" if drifted else "shifted" if shifted else "stable",
    )


def _holm(chances: Sequence[float]) -> list[float]:
    """Chances corrected for their number, step by step from the smallest.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    order = np.argsort(chances)
    steps = np.asarray(chances)[order] * np.arange(len(chances), 0, -1)
    corrected = np.empty(len(chances))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(p) for p in corrected]


def _psi(then: Values, now: Values, n_before: int, n_now: int, *, by_quantiles: bool) -> tuple[float, float]:
    """The index, and how likely chance alone makes it as large; a share of none counts as half a row.

    Ranges between the baseline's own quantiles hold equal shares of it by construction, and rows of the population by a
    distribution with long tails towards none, which Pearson's statistic takes for drift (with ten rows a range up to
    twenty times as often as its chance of 0.0001 says). Over the baseline's shares in place of the pooled ones it errs
    the other way, so the smaller of the two counts. Shares of which, by the baseline, a table has fewer than two rows
    are one share in either statistic, which would make drift of a single row, and tested by themselves
    (`chance_of_rare`).
    """
    seen = (then > 0) | (now > 0)
    p = np.maximum(then[seen], 0.5 / max(1, n_before))
    q = np.maximum(now[seen], 0.5 / max(1, n_now))
    index = float(np.sum((q - p) * np.log(q / p)))
    if len(p) < 2 or not n_now or not n_before:
        return index, 1.0
    before, after = then[seen] * n_before, now[seen] * n_now
    rare = _rare(before, n_before, n_now)
    if not rare.any():
        return index, _pearson(before, after, by_quantiles=by_quantiles)
    frequent = _pearson(_gathered(before, rare), _gathered(after, rare), by_quantiles=by_quantiles)
    return index, min(1.0, 2.0 * min(frequent, chance_of_rare(before, after, rare)))


def _rare(before: Values, n_before: float, n_now: float) -> npt.NDArray[np.bool_]:
    """Of which counts fewer than two rows are to be expected; by the baseline alone, so that no table chooses."""
    return np.asarray(before * min(1.0, n_now / n_before) < 2.0)


def _gathered(counts: Values, rare: npt.NDArray[np.bool_]) -> Values:
    """Counts with the rare ones as one."""
    return np.append(counts[~rare], counts[rare].sum())


def _pearson(before: Values, now: Values, *, by_quantiles: bool) -> float:
    """How likely chance parts two lists of counts so far; ones that are too rare by then are left out."""
    from scipy.special import chdtrc

    enough = ~_rare(before, before.sum(), now.sum())
    before, now = before[enough], now[enough]
    n_before, n_now = before.sum(), now.sum()
    if len(before) < 2 or not n_before or not n_now:
        return 1.0
    p, q = before / n_before, now / n_now
    statistic = n_before * n_now * float(np.sum((q - p) ** 2 / (before + now)))
    if by_quantiles and (p > 0).all():
        statistic = min(statistic, n_before * n_now / (n_before + n_now) * float(np.sum((q - p) ** 2 / p)))
    return float(chdtrc(len(p) - 1, statistic))


def _ks_chance(distance: float, n_before: float, n_now: float) -> float:
    """How likely chance parts so many values, the missing ones not among them, so far."""
    from scipy.special import kolmogorov

    if n_before <= 0 or n_now <= 0:
        return 1.0
    return float(kolmogorov(distance * math.sqrt(n_before * n_now / (n_before + n_now))))


def _worst(columns: Sequence[ColumnDrift]) -> DriftVerdict:
    found = {column.verdict for column in columns}
    return "drifted" if "drifted" in found else "shifted" if "shifted" in found else "stable"


def _message(columns: Sequence[ColumnDrift], n_rows: int) -> str:
    moved = sorted((c for c in columns if c.verdict != "stable"), key=lambda c: -c.psi)
    drifted = sum(c.verdict == "drifted" for c in moved)
    return drift_words(len(columns), drifted, len(moved) - drifted, [(c.name, c.psi) for c in moved], n_rows)


def drift_words(n_columns: int, drifted: int, shifted: int, farthest: Sequence[tuple[str, float]], n_rows: int) -> str:
    """A comparison with a baseline in a sentence.

    Args:
        n_columns: that were compared.
        drifted, shifted: how many of them have moved, much and a little.
        farthest: name and population stability index of those that have moved farthest, the farthest first.
        n_rows: that were held against the baseline.
    """
    if not drifted + shifted:
        return f"None of {n_columns} columns has moved beyond chance, in {n_rows:,} rows."
    counts = {"drifted": drifted, "shifted": shifted}
    told = " and ".join(f"{n} {'has' if n == 1 else 'have'} {word}" for word, n in counts.items() if n)
    names = ", ".join(f"{name} (PSI {psi:.2f})" for name, psi in farthest[:_MOST_NAMED])
    more = drifted + shifted - len(farthest[:_MOST_NAMED])
    return f"Of {n_columns} columns, {told}, in {n_rows:,} rows: {names}{f' and {more} more' if more else ''}."
