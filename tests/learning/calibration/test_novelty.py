"""The score of rows unlike the training rows: a Mahalanobis distance, with a threshold that rows like them keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA

from superpose.learning.calibration.asking import Asked, detailed
from superpose.learning.calibration.fitting import fit_novelty
from superpose.learning.calibration.novelty import MAX_DIRECTIONS, Novelty
from superpose.learning.calibration.safeguards import Safeguards


def test_with_few_columns_it_is_the_mahalanobis_distance() -> None:
    drawn = np.random.default_rng(0)
    train = drawn.normal(size=(400, 6)) @ drawn.normal(size=(6, 6)) + 3
    new = drawn.normal(size=(50, 6)) * 4
    score = fit_novelty(train, train[:100])
    reference = EmpiricalCovariance().fit(train).mahalanobis(new) * 399 / 400 / 6
    np.testing.assert_allclose(score.scores(new), reference, rtol=1e-9)
    assert score.scores(train).mean() == pytest.approx(399 / 400)


def test_with_many_columns_it_is_that_of_probabilistic_pca() -> None:
    drawn = np.random.default_rng(1)
    train = drawn.normal(size=(500, 60)) * np.linspace(0.5, 3, 60)
    new = drawn.normal(size=(20, 60))
    score = fit_novelty(train, train[:50])
    assert score.directions.shape == (MAX_DIRECTIONS, 60)
    pca = PCA(MAX_DIRECTIONS, svd_solver="full").fit(train)
    apart = new - pca.mean_
    reference = np.einsum("ij,jk,ik->i", apart, np.linalg.inv(pca.get_covariance()), apart) / 60
    np.testing.assert_allclose(score.scores(new), reference, rtol=1e-8)


def test_rows_like_the_training_rows_are_seldom_novel_and_others_are() -> None:
    """Of 10,000 rows the share above the threshold of 999 validation rows: 1 % expected; 2 % is out of reach."""
    drawn = np.random.default_rng(2)
    train, validation, new = (drawn.normal(size=(n, 8)) for n in (2_000, 999, 10_000))
    score = fit_novelty(train, validation)
    assert score.expected_share == pytest.approx(0.01)
    assert (score.scores(new) > score.threshold).sum() < binom.isf(1e-6, 10_000, 0.02)
    assert (score.scores(new + 5) > score.threshold).all()
    few = fit_novelty(train, validation[:20])
    assert few.expected_share == pytest.approx(1 / 21)
    assert few.threshold == few.scores(validation[:20]).max()


def test_rows_of_few_kinds_are_not_novel_alone_where_they_are_not_in_a_batch() -> None:
    """The threshold is the score of one kind of row, which a request of one row scored higher by its rounding: 13 % of
    the rows were called novel, of at most 1 %.
    """
    drawn = np.random.default_rng(5)
    train, validation, new = (drawn.integers(0, 2, size=(n, 3)) / np.sqrt([2, 3, 5]) for n in (300, 200, 300))
    score = fit_novelty(train, validation)
    found = score.scores(new)
    assert np.isclose(found, score.threshold, rtol=1e-12).mean() > 0.02
    for turn in (-1, 1):  # a unit in the last place is what the size of a batch makes of it
        guarded = Safeguards(novelty=replace(score, threshold=float(np.nextafter(found.max(), turn * np.inf))))
        told = detailed(guarded, Asked(novelty=True), np.full((len(new), 2), 0.5), ("a", "b"), new)
        assert told.novel is not None and not any(told.novel)


def test_columns_without_spread_few_rows_and_large_values_do_no_harm() -> None:
    drawn = np.random.default_rng(3)
    train = np.hstack([drawn.normal(size=(50, 2)), np.ones((50, 1))])
    score = fit_novelty(train, train[:10])
    assert np.isfinite(score.scores(train)).all()
    assert (score.scores(train + np.array([0, 0, 1.0])) > score.threshold).all()
    assert np.isfinite(score.scores(np.full((1, 3), 1e30))).all()
    constant = fit_novelty(np.ones((5, 3)), np.ones((5, 3)))
    np.testing.assert_array_equal(constant.scores(np.ones((2, 3))), 0.0)
    assert np.isfinite(fit_novelty(train[:2], train[:2]).scores(train)).all()
    description, arrays = score.to_parts()
    again = Novelty.from_parts(description, arrays)
    np.testing.assert_array_equal(again.scores(train), score.scores(train))
    assert again.threshold == score.threshold
    with pytest.raises(ValueError, match="must fit one another"):
        Novelty.from_parts(description, {**arrays, "novelty.mean": np.zeros(2)})
