"""Which columns of a stream have moved beyond chance, however often its windows are looked at: what alarms may rest on.

A baseline of few rows is itself a matter of chance, the same chance at every look, so a level that holds for one look
does not hold for a month of them. Here a share of the population lies, by its rows in the baseline, below a bound of
Clopper and Pearson; how many rows of a window fall there under the largest such share is binomial. The bound is wrong
once or never, however many looks there are; a window may mislead at each. So ``_OF_BASELINE`` of the level goes to the
bound, divided among all comparisons, and the rest to windows, divided among all comparisons and looks, which costs
little, as the chance of a window falls fast with the share. Together chance raises an alarm with probability
``FALSE_ALARMS`` at most, whatever the distributions and however columns hang together.

Ranges lie between quantiles of the baseline itself. The share of the population up to its ``r``-th smallest row of
``n`` has a beta distribution of ``r`` and ``n + 1 - r``, whatever the distribution: the one of the same bounds.

Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial";
David and Nagaraja 2003, "Order statistics", section 2.3.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.datasets.drift_comparisons import Comparisons
from superpose.datasets.drift_counts import DriftCounts

__all__ = ["FALSE_ALARMS", "OVER_ROWS", "beyond_chance", "more_than_chance"]

FALSE_ALARMS = 0.01
"""How likely rows that do not move are to raise an alarm at all, at most."""

OVER_ROWS = 1_000_000_000
"""Rows of a stream over which that holds."""

_OF_BASELINE = 0.9


def more_than_chance(
    before: npt.ArrayLike, n_before: int, now: npt.ArrayLike, n_now: int, *, n_comparisons: int, n_looks: int
) -> npt.NDArray[np.bool_]:
    """Whether more rows of a window are of some kind than chance explains; ``(n,)``.

    Args:
        before: rows of the kind in the baseline, at most ``n_before``; ``(n,)``.
        n_before: rows of the baseline.
        now: the same in the window; ``(n,)``.
        n_now: rows of the window.
        n_comparisons: kinds of rows that are compared in the stream, both ways.
        n_looks: windows of the stream.
    """
    from scipy.special import bdtrc, betainccinv

    seen, found = np.asarray(before, dtype=np.float64), np.asarray(now, dtype=np.float64)
    level = FALSE_ALARMS / n_comparisons
    possible = (seen < n_before) & (found > 0)
    largest = betainccinv(seen + 1, np.where(possible, n_before - seen, 1.0), _OF_BASELINE * level)
    chance = bdtrc(np.maximum(found - 1, 0.0), n_now, largest)
    return np.asarray(possible & (chance < (1 - _OF_BASELINE) * level / n_looks))


def beyond_chance(baseline: Mapping[str, Any], window: DriftCounts, names: Collection[str], n_looks: int) -> set[str]:
    """Those of some columns that have moved beyond chance, at this look or any other.

    Args:
        baseline: from ``drift_baseline``.
        window: counts of the newest rows, by that baseline.
        names: of the columns to judge; the level is divided among the comparisons of all columns all the same.
        n_looks: windows of the stream.
    """
    n_before, n_now, moved = int(baseline["n_rows"]), window.n_rows, set()
    columns = [(column, Comparisons.of(column, n_before)) for column in baseline["columns"]]
    n_comparisons = sum(compared.number for _, compared in columns)
    for (column, compared), counted in zip(columns, window.columns, strict=True):
        if column["name"] not in names:
            continue
        now = Comparisons.now(column, counted)
        pairs = ((compared.most, now), (n_before - compared.fewest, n_now - now))
        if any(
            more_than_chance(seen, n_before, found, n_now, n_comparisons=n_comparisons, n_looks=n_looks).any()
            for seen, found in pairs
        ):
            moved.add(column["name"])
    return moved
