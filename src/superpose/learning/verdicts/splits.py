"""Statistics of paired differences over splits of one data set.

Splits overlap, so their scores are not independent and the ordinary t test claims too much. The corrected resampled t
test adds the overlap to the variance of a mean over J splits::

    var(mean) = (1/J + n_test/n_train) * s**2,        t = mean / sqrt(var(mean)) on J - 1 degrees of freedom

with s**2 the sample variance over splits.

Source: Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003), sec. 3 and 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

__all__ = ["PairedTest", "holm", "paired_test", "standardised", "wilcoxon"]

_NO_SPREAD = 1e-12
"""Differences that vary by less are taken for equal: their spread cannot be estimated."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedTest:
    """The corrected resampled t test of a mean difference.

    Attributes:
        mean: mean difference over the splits.
        error: its standard error, overlap included; 0 where all differences are equal.
        n_splits: number of differences, at least two.
    """

    mean: float
    error: float
    n_splits: int

    @property
    def p_value(self) -> float:
        """Two-sided; where all differences are equal, t has no meaning and the sign test, 2**(1-J), takes its place.

        1 where a difference is not known (nan).
        """
        if not math.isfinite(self.error):
            return 1.0
        if self.error > _NO_SPREAD:
            return 2.0 * float(stdtr(self.n_splits - 1, -abs(self.mean) / self.error))
        return 1.0 if abs(self.mean) <= _NO_SPREAD else 2.0 ** (1 - self.n_splits)

    def reach(self, allowed_error: float) -> float:
        """Half the width of the interval that leaves the true difference out with probability ``allowed_error``.

        Where all differences are equal: 0 if the sign test decides or nothing differs, else 1, for a difference of
        metrics lies in -1 .. 1 and no more is known.
        """
        if self.error > _NO_SPREAD:
            return float(stdtrit(self.n_splits - 1, 1.0 - allowed_error / 2.0)) * self.error
        return 0.0 if self.p_value in (1.0,) or self.p_value < allowed_error else 1.0

    def p_equal(self, margin: float) -> float:
        """P value of "the true difference is ``margin`` or more, in either direction": two one-sided tests.

        1 where all differences are equal, for the spread is not known.

        Source: Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657.
        """
        if self.error <= _NO_SPREAD:
            return 1.0
        return float(stdtr(self.n_splits - 1, (abs(self.mean) - margin) / self.error))


def paired_test(differences: Sequence[float] | Floats, test_over_train: float) -> PairedTest:
    """The test of differences, one per split.

    Args:
        differences: one per split, at least two.
        test_over_train: rows in a test part over rows that the model saw in training.
    """
    values = np.asarray(differences, dtype=np.float64)
    error = math.sqrt((1.0 / values.size + test_over_train) * float(values.var(ddof=1)))
    return PairedTest(float(values.mean()), error, int(values.size))


def standardised(differences: Sequence[float] | Floats) -> float | None:
    """Effect size of paired differences: mean over standard deviation (Cohen's d_z); None where they do not vary.

    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences" (1988), sec. 2.3.5.
    """
    values = np.asarray(differences, dtype=np.float64)
    spread = float(values.std(ddof=1))
    return float(values.mean()) / spread if spread > _NO_SPREAD else None


def wilcoxon(differences: Sequence[float] | Floats) -> float:
    """Two-sided p value of Wilcoxon's signed-rank test; 1 where nothing differs.

    Differences are ranked as they are without the rounding of floating point: scores of equally many right cases differ
    by equal amounts, which are ties, or by nothing.

    It takes splits for independent, so with overlapping ones it claims too much: a second opinion, never the verdict.
    """
    from scipy import stats  # half a second, which is not spent to import this package

    values = _counted(differences)
    if not np.any(values):
        return 1.0
    return float(stats.wilcoxon(values, zero_method="wilcox", method="auto").pvalue)


def _counted(differences: Sequence[float] | Floats) -> Floats:
    """Differences without what rounding left of scores up to 1, or as large as they are."""
    values = np.asarray(differences, dtype=np.float64)
    unit = _NO_SPREAD * max(1.0, float(np.max(np.abs(values))))
    return np.rint(values / unit) * unit


def holm(p_values: Sequence[float]) -> list[float]:
    """P values such that rejecting those below an error rate keeps that rate over all of them.

    Source: Holm, Scand. J. Statist. 6 (1979) 65.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
