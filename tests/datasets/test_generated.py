"""Data made by rule: what each definition promises."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from superpose.datasets.generated import (
    DATA_FAMILIES,
    DigitImages,
    bars_and_stripes,
    digit_pair_parts,
    digit_pair_pca_parts,
    generate,
    hidden_manifold,
    hyperplanes_parity,
    linearly_separable,
    shipped_digits,
    split_parts,
    two_curves,
)
from superpose.errors import RequestError


def test_the_ten_families_are_160_data_sets_of_two_classes() -> None:
    assert len(DATA_FAMILIES) == 10
    assert sum(len(family.settings) for family in DATA_FAMILIES.values()) == 160
    for name, family in DATA_FAMILIES.items():
        parts = generate(name, family.settings[2], seed=1)
        for rows, labels in ((parts.train, parts.train_labels), (parts.test, parts.test_labels)):
            assert rows.dtype == np.float64
            assert labels.dtype == np.int64
            assert rows.shape[0] == labels.shape[0]
            assert set(labels.tolist()) == {-1, 1}
            assert np.isfinite(rows).all()
        if family.varied == "features":
            assert parts.train.shape[1] == family.settings[2]
        if family.image_height is not None:
            assert parts.train.shape[1] == family.image_height(family.settings[2]) ** 2


@pytest.mark.parametrize("name", DATA_FAMILIES)
def test_a_seed_decides_everything_and_another_one_changes_it(name: str) -> None:
    one, again, other = (generate(name, 4, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.train, again.train)
    assert np.array_equal(one.test_labels, again.test_labels)
    assert not np.array_equal(one.train, other.train)


@pytest.mark.parametrize("n_features", [2, 5, 20])
def test_linearly_separable_keeps_its_margin_in_the_cube(n_features: int) -> None:
    rows, labels = linearly_separable(400, n_features)
    sums = rows.sum(axis=1)
    assert np.abs(rows).max() <= 1.0
    assert np.abs(sums).min() > 0.02 * n_features
    assert np.array_equal(labels, np.where(sums > 0, -1, 1))
    assert LogisticRegression(C=1e6, max_iter=2000).fit(rows, labels).score(rows, labels) == 1.0


def test_hidden_manifold_is_balanced_bounded_and_of_the_dimension_it_says() -> None:
    rows, labels = hidden_manifold(300, 12, manifold_dimension=3, seed=2)
    assert labels.sum() == 0
    assert np.abs(rows).max() < 1.0
    flat = np.arctanh(rows)  # undone, an affine image of three dimensions
    spread = np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False)
    assert spread[2] > 1.0
    assert spread[3] < 1e-6 * spread[0]


def test_hyperplanes_are_balanced_standardised_and_lie_in_their_few_dimensions() -> None:
    rows, labels = hyperplanes_parity(300, 10, n_hyperplanes=4, seed=5)
    assert labels.sum() == 0
    np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(rows.std(axis=0), 1.0)
    assert np.linalg.matrix_rank(rows, tol=1e-8) == 3


def test_one_hyperplane_is_a_matter_for_a_linear_classifier() -> None:
    rows, labels = hyperplanes_parity(300, 6, n_hyperplanes=1, seed=1)
    assert LogisticRegression(C=1e6, max_iter=5000).fit(rows, labels).score(rows, labels) > 0.99


def test_two_curves_are_one_curve_twice() -> None:
    rows, labels = two_curves(400, 2, degree=1, offset=0.4, noise=0.0, seed=3)
    assert labels.sum() == 0
    np.testing.assert_allclose(rows.std(axis=0), 1.0)
    # Of degree 1, a curve in the plane is an arc of an ellipse: both satisfy the same conic but for the offset.
    for label in (-1, 1):
        x, y = rows[labels == label].T
        conic = np.stack([x * x, x * y, y * y, x, y, np.ones_like(x)], axis=1)
        values = np.linalg.svd(conic, compute_uv=False)
        assert values[-1] < 1e-8 * values[0]
    far, far_labels = two_curves(400, 4, offset=5.0, seed=3)
    assert SVC().fit(far, far_labels).score(far, far_labels) == 1.0


def test_bars_and_stripes_without_noise_are_bars_and_stripes() -> None:
    rows, labels = bars_and_stripes(500, 3, 4, noise=0.0, seed=1)
    pictures = rows.reshape(-1, 3, 4)
    assert set(np.unique(rows)) == {-1.0, 1.0}
    assert all((picture == picture[:, :1]).all() for picture in pictures[labels == 1])
    assert all((picture == picture[:1]).all() for picture in pictures[labels == -1])
    assert 200 < (labels == 1).sum() < 300  # binomial: outside has a probability below 1e-5
    noisy, _ = bars_and_stripes(500, 3, 4, seed=1)
    assert abs((noisy - rows).std() - 0.5) < 0.02


def test_digits_are_standardised_and_rotated_by_the_training_part_alone() -> None:
    digits = shipped_digits()
    pictures = digit_pair_parts(digits, 4, seed=2)
    assert len(pictures.train) + len(pictures.test) == np.isin(digits.digits, (3, 5)).sum()
    np.testing.assert_allclose(pictures.train.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(pictures.train.std(axis=0), 1.0)
    assert np.abs(pictures.test.mean(axis=0)).max() > 1e-3
    parts = digit_pair_pca_parts(digits, 5, seed=2)
    covariance = parts.train.T @ parts.train
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-6 * covariance.max())
    assert (np.diff(np.diag(covariance)) < 0).all()
    few = digit_pair_pca_parts(digits, 5, n_rows=250, seed=2)
    assert few.train.shape == few.test.shape == (250, 5)
    assert {tuple(row) for row in few.test.tolist()} <= {tuple(row) for row in parts.test.tolist()}


def test_resizing_keeps_a_plain_picture_plain() -> None:
    images = np.repeat(np.arange(10.0), 6)[:, None, None] * np.ones((60, 28, 28))
    source = DigitImages("plain", images, np.tile(np.arange(3, 6), 20))
    parts = digit_pair_parts(source, 4, pair=(3, 4))
    assert np.ptp(parts.train, axis=1).max() < 1e-12


def test_parts_are_the_rows_once_each() -> None:
    rows = np.arange(20.0)[:, None]
    labels = np.where(np.arange(20) % 2 == 0, 1, -1).astype(np.int64)
    parts = split_parts(rows, labels, test_fraction=0.25, seed=9)
    assert sorted(np.concatenate([parts.train, parts.test])[:, 0].tolist()) == list(range(20))
    assert len(parts.test) == 5
    assert np.array_equal(parts.test_labels == 1, parts.test[:, 0] % 2 == 0)


def test_what_cannot_be_made_is_refused_with_the_argument() -> None:
    for make, field in (
        (lambda: generate("spirals", 2), "family"),
        (lambda: hidden_manifold(11, 3), "n_rows"),
        (lambda: two_curves(10, 3, noise=-1.0), "noise"),
        (lambda: bars_and_stripes(10, 0), "height"),
        (lambda: linearly_separable(10, 2, margin=2.0), "margin"),
        (lambda: digit_pair_parts(shipped_digits(), 8, pair=(3, 11)), "pair"),
        (lambda: digit_pair_pca_parts(shipped_digits(), 65), "n_features"),
        (lambda: split_parts(np.zeros((3, 1)), np.ones(3, dtype=np.int64), test_fraction=1.0), "test_fraction"),
    ):
        with pytest.raises(RequestError, match=field if field != "pair" else "digit 11") as caught:
            make()
        assert caught.value.details["field"] == field
