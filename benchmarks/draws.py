"""What paired trainings on random draws of labelled rows tell about a gain of AUC, in two designs.

*These patients*: each draw takes a random set of labelled rows out of one fixed table, and tests on all of its other
rows. Given the table, draws are independent of each other, and the paired t test over them is exact up to normality.
It speaks of these patients only: of which of them are labelled, not of others.

*New patients*: training sets that have no row in common, all tested on the same rows, which no training set has.
Training sets are what radiology calls readers, test rows are its cases, and both are random: the analysis is that of
Obuchowski and Rockette for two modalities. With d_r the difference of AUC of reader r, s^2 its variance over R readers
and C the mean covariance of d_r and d_q, r != q, by DeLong's components over cases, the variance of the mean is
s^2 / R + max(C, 0), with (s^2 / R + max(C, 0))^2 / ((s^2 / R)^2 / (R - 1)) degrees of freedom.

Source: Obuchowski and Rockette, Communications in Statistics 24 (1995) 285; Hillis, Statistics in Medicine 26 (2007)
596 (degrees of freedom); DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837 (components).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["Gain", "components", "disjoint_sets", "drawn", "new_patients", "outcome_of", "these_patients"]

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Gain:
    """A mean difference with its interval.

    Attributes:
        mean: over draws.
        low: end of the interval.
        high: other end.
        n: draws, or readers.
    """

    mean: float
    low: float
    high: float
    n: int


def drawn(labels: NDArray[np.str_], n_labels: int, rng: np.random.Generator) -> Places:
    """Places of a random set of rows, each class in proportion, at least two of each."""
    found = []
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        found.append(rng.permutation(places)[: _share(len(places), len(labels), n_labels)])
    return np.concatenate(found)


def disjoint_sets(
    labels: NDArray[np.str_], n_labels: int, share: float, rng: np.random.Generator
) -> tuple[list[Places], Places]:
    """Training sets without a common row, and the rows that test all of them.

    Args:
        labels: of all rows.
        n_labels: rows of a set, each class in proportion, at least two of each.
        share: of the rows that are kept for training sets; the others test.
        rng: draws.
    """
    pools, cases = [], []
    for label in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == label))
        cut = round(share * len(places))
        size = _share(len(places), len(labels), n_labels)
        pools.append([places[start : start + size] for start in range(0, cut - size + 1, size)])
        cases.append(places[cut:])
    n_sets = min(len(pool) for pool in pools)
    return [np.concatenate([pool[i] for pool in pools]) for i in range(n_sets)], np.concatenate(cases)


def _share(n_class: int, n_rows: int, n_labels: int) -> int:
    return max(2, round(n_labels * n_class / n_rows))


def these_patients(differences: Sequence[float] | Floats, confidence: float) -> Gain:
    """The mean of independent draws from one table, with Student's interval."""
    values = np.asarray(differences, dtype=np.float64)
    n = len(values)
    return _student(float(values.mean()), float(values.var(ddof=1) / n), n - 1, confidence, n)


def new_patients(tuned: Floats, plain: Floats, truth: NDArray[np.bool_], confidence: float) -> Gain:
    """The mean over readers that have no training row in common, for other training rows and other cases.

    Args:
        tuned: scores ``(n_readers, n_cases)`` of the fine-tuned models.
        plain: those of the models trained from scratch, reader by reader on the same rows.
        truth: whether a case is positive, ``(n_cases,)``.
        confidence: of the interval.
    """
    n = len(tuned)
    parts = [(components(a, truth), components(b, truth)) for a, b in zip(tuned, plain, strict=True)]
    differences = np.array([a[0].mean() - b[0].mean() for a, b in parts])
    positive = np.array([a[0] - b[0] for a, b in parts])  # (n_readers, n_positive)
    negative = np.array([a[1] - b[1] for a, b in parts])  # (n_readers, n_negative)
    covariance = np.cov(positive) / positive.shape[1] + np.cov(negative) / negative.shape[1]  # of cases, (n, n)
    common = (covariance.sum() - np.trace(covariance)) / (n * (n - 1))
    between = differences.var(ddof=1) / n
    variance = between + max(float(common), 0.0)
    freedom = variance**2 / (between**2 / (n - 1)) if between > 0 else np.inf
    return _student(float(differences.mean()), variance, freedom, confidence, n)


def components(scores: Floats, truth: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """DeLong's: for each positive case the share of negatives below it, for each negative that of positives above."""
    above = scores[truth][:, None] - scores[~truth][None, :]  # (n_positive, n_negative)
    wins = (above > 0) + 0.5 * (above == 0)
    return wins.mean(axis=1), wins.mean(axis=0)


def outcome_of(gain: Gain, margin: float) -> str:
    """What the interval decides about a gain."""
    if gain.low > 0.0:
        return "gain"
    if gain.high < 0.0:
        return "loss"
    if gain.high < margin:
        return "no gain that matters"
    return "undecided"


def _student(mean: float, variance: float, freedom: float, confidence: float, n: int) -> Gain:
    half = float(stats.t.ppf(0.5 + confidence / 2.0, freedom) * np.sqrt(variance))
    return Gain(mean, mean - half, mean + half, n)
