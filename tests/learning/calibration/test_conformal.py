"""Prediction sets: the coverage that they promise, over many draws, and sets worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import betabinom, binom

from superpose.learning.calibration.conformal import SCORES, ConformalSets, fewest_rows

from .test_maps import overconfident

Floats = NDArray[np.float64]


@pytest.mark.parametrize("method", list(SCORES))
@pytest.mark.parametrize(("coverage", "n_rows"), [(0.9, 9), (0.9, 50), (0.8, 199)])
def test_sets_hold_the_true_class_as_often_as_promised(method: str, coverage: float, n_rows: int) -> None:
    """Each trial draws new held-out rows and one new row; the model is wrongly sure. Fails by chance once in 10**6."""
    n_trials, covered = 2_000, 0
    probabilities, truth = overconfident(n_trials * (n_rows + 1), 4, 3.0, 11)
    for trial in range(n_trials):
        part = slice(trial * (n_rows + 1), (trial + 1) * (n_rows + 1))
        rows, classes = probabilities[part], truth[part]
        found = ConformalSets.from_rows(method, coverage, rows[:-1], classes[:-1])
        covered += bool(found.sets(rows[-1:])[0, classes[-1]])
    assert covered >= binom.ppf(1e-6, n_trials, coverage)


def test_lac_covers_no_more_than_it_must() -> None:
    """Scores without ties: coverage over 1,000 new rows is beta-binomial, whose far quantiles bound it."""
    n, n_new, coverage = 200, 1_000, 0.9
    rank = int(np.ceil((n + 1) * coverage))
    low, high = betabinom.ppf([1e-6, 1 - 1e-6], n_new, rank, n + 1 - rank)
    probabilities, truth = overconfident(n + n_new, 5, 0.5, 12)
    found = ConformalSets.from_rows("lac", coverage, probabilities[:n], truth[:n])
    members = found.sets(probabilities[n:])[np.arange(n_new), truth[n:]]
    assert low <= members.sum() <= high


def test_sets_by_hand() -> None:
    rows = np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2], [0.1, 0.3, 0.6]])
    np.testing.assert_allclose(SCORES["lac"](rows), 1 - rows)
    np.testing.assert_allclose(SCORES["aps"](rows), [[0.7, 0.9, 1.0], [0.8, 0.8, 1.0], [1.0, 0.9, 0.6]])
    lac = ConformalSets("lac", 0.9, 0.65, 20)
    assert lac.sets(rows).tolist() == [[True, False, False], [True, True, False], [False, False, True]]
    aps = ConformalSets("aps", 0.9, 0.9, 20)
    assert aps.sets(rows).tolist() == [[True, True, False], [True, True, False], [False, True, True]]
    strict = ConformalSets("aps", 0.9, 0.1, 20)
    assert strict.sets(rows).sum(axis=1).tolist() == [1, 1, 1]
    assert ConformalSets.from_dict(lac.to_dict()) == lac


@pytest.mark.parametrize("method", list(SCORES))
@pytest.mark.parametrize("parted", [1e-15, 3e-7])  # the rounding of float64, and of a user's module in float32
def test_rows_at_the_threshold_stay_in_when_their_probabilities_are_rounded_otherwise(
    method: str, parted: float
) -> None:
    """Rows of categories alone are of few kinds, and the threshold is the score of one: the same rows, computed beside
    others, scored above it by rounding, and sets held the true class for 86 % of them where 90 % were promised.
    """
    odds = np.log([[0.55, 0.25, 0.2], [0.2, 0.5, 0.3], [0.3, 0.1, 0.6]])
    kinds = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    drawn = np.random.default_rng(4)
    place = drawn.integers(3, size=400)
    truth = (drawn.random((400, 1)) > kinds[place].cumsum(axis=1)).sum(axis=1)
    found = ConformalSets.from_rows(method, 0.6, kinds[place], truth)
    for turn in (-parted, parted):
        other = np.exp(odds * (1.0 + turn))
        other /= other.sum(axis=1, keepdims=True)
        np.testing.assert_array_equal(found.sets(other), found.sets(kinds))
    assert found.sets(kinds).sum() < 9


def test_the_threshold_is_the_finite_sample_quantile() -> None:
    """MAPIE's and every textbook's: the ceil((n + 1) * coverage)-th smallest score, here the 10th of 10 of 0.9."""
    truth = np.zeros(10, dtype=int)
    rows = np.stack([p := np.linspace(0.05, 0.95, 10), 1 - p], axis=1)
    assert ConformalSets.from_rows("lac", 0.9, rows, truth).threshold == pytest.approx(0.95)
    assert ConformalSets.from_rows("lac", 0.8, rows, truth).threshold == pytest.approx(0.85)
    for n, coverage in ((99, 0.95), (19, 0.9), (49, 0.5)):
        more = np.stack([p := np.linspace(0.01, 0.99, n), 1 - p], axis=1)
        found = ConformalSets.from_rows("lac", coverage, more, np.zeros(n, dtype=int))
        expected = np.quantile(1 - p, np.ceil((n + 1) * coverage) / n, method="inverted_cdf")
        assert found.threshold == pytest.approx(expected)


@pytest.mark.parametrize(("coverage", "needed"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99), (0.999, 999)])
def test_too_few_rows_are_refused_with_the_number_that_is_needed(coverage: float, needed: int) -> None:
    assert fewest_rows(coverage) == needed
    rows = np.full((needed, 2), 0.5)
    assert ConformalSets.from_rows("lac", coverage, rows, np.zeros(needed, dtype=int)).n_rows == needed
    with pytest.raises(ValueError, match=f"at least {needed} rows, got {needed - 1}"):
        ConformalSets.from_rows("lac", coverage, rows[:-1], np.zeros(needed - 1, dtype=int))
