"""The score of pictures unlike the training pictures: too much or too little variation in any band of directions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import binom
from sklearn.decomposition import PCA

from superpose.learning.calibration import fitting
from superpose.learning.calibration.bands import BandNovelty
from superpose.learning.calibration.fitting import fit_band_novelty
from superpose.learning.calibration.safeguards import Safeguards

SIDE = 12


def pictures(n: int, seed: int) -> NDArray[np.float64]:
    """A bright disc that moves a little, under smooth variation of some strength and grain."""
    drawn = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    moved = drawn.normal(scale=0.8, size=(2, n, 1, 1))
    discs = 0.7 / (1.0 + np.exp(np.hypot(y - moved[0], x - moved[1]) - 4))
    smooth = gaussian_filter(drawn.normal(size=(n, SIDE, SIDE)), (0, 1, 1)) * drawn.uniform(0.2, 0.4, (n, 1, 1))
    grain = 0.02 * drawn.normal(size=(n, SIDE, SIDE))
    return np.clip(0.15 + discs + smooth + grain, 0, 1).reshape(n, -1)


@pytest.fixture(scope="module")
def score() -> BandNovelty:
    order = np.arange(1_200)
    return fit_band_novelty(pictures(1_200, 0), pictures(400, 1), (order[::2], order[1::2]))


def test_it_is_what_principal_components_of_one_half_and_the_spread_of_the_other_say(score: BandNovelty) -> None:
    train, new = pictures(1_200, 0), pictures(50, 2)
    assert score.ends == (16, 64, 144)
    pca = PCA(svd_solver="full").fit(train[1::2])
    kept = fit_band_novelty(train[:400], train[400:500], (np.arange(200), np.arange(200, 400)))
    assert kept.ends == (16, 50)
    pca = PCA(svd_solver="full").fit(train[200:400])

    def energies(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = pca.transform(rows) ** 2
        scaled = parts[:, :50] / pca.explained_variance_[:50]
        rest = parts[:, 50:].sum(axis=1) / pca.explained_variance_[50:].sum()
        return np.log(np.column_stack([scaled[:, :16].mean(axis=1), scaled[:, 16:].mean(axis=1), rest]))

    usual = energies(train[:200])
    expected = np.max(np.abs(energies(new) - usual.mean(axis=0)) / usual.std(axis=0), axis=1)
    np.testing.assert_allclose(kept.scores(new), expected, rtol=1e-6)
    assert kept.threshold == np.sort(kept.scores(train[400:500]))[99]  # ceil(101 * 0.99) - 1


def test_pictures_like_the_training_pictures_are_seldom_novel(score: BandNovelty) -> None:
    assert score.expected_share == pytest.approx(1 - 397 / 401)
    new = pictures(3_000, 3)
    assert (score.scores(new) > score.threshold).sum() < binom.isf(1e-6, 3_000, 0.025)


def test_what_lacks_detail_and_what_is_inverted_is_novel(score: BandNovelty) -> None:
    """A Mahalanobis distance takes a blank picture for the most usual of all."""
    new = pictures(100, 4)
    for blank in (0.0, 0.5, 1.0):
        assert score.scores(np.full((1, SIDE**2), blank)) > score.threshold
    blurred = gaussian_filter(new.reshape(-1, SIDE, SIDE), (0, 1.5, 1.5)).reshape(100, -1)
    noisy = new + 0.15 * np.random.default_rng(5).normal(size=new.shape)
    for changed in (1.0 - new, blurred, noisy):
        assert (score.scores(changed) > score.threshold).mean() > 0.9


def test_patients_count_once(score: BandNovelty) -> None:
    held, order = pictures(300, 6), np.arange(400)
    groups = np.repeat(np.arange(30), 10)
    found = fit_band_novelty(pictures(400, 0), held, (order[:200], order[200:]), groups)
    assert found.n_rows == 30 and found.expected_share == pytest.approx(1 / 31)
    assert found.threshold == found.scores(held).max()


def test_constant_pictures_few_of_them_and_large_values_do_no_harm(
    score: BandNovelty, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = fit_band_novelty(np.ones((8, 9)), np.ones((2, 9)), (np.arange(4), np.arange(4, 8)))
    np.testing.assert_array_equal(flat.scores(np.ones((2, 9))), 0.0)
    assert (flat.scores(np.zeros((1, 9))) > flat.threshold).all()
    few = pictures(2, 0)
    alone = fit_band_novelty(few, few, (np.zeros(0, dtype=np.intp), np.arange(2)))  # one patient: nothing to halve
    assert np.isfinite(alone.scores(few)).all()
    assert np.isfinite(score.scores(np.full((1, SIDE**2), 1e30))).all()
    assert score.scores(np.zeros((0, SIDE**2))).shape == (0,)
    monkeypatch.setattr(fitting, "_MAX_BAND_NUMBERS", 30 * SIDE**2)
    order = np.arange(400)
    assert fit_band_novelty(pictures(400, 0), few, (order[::2], order[1::2])).ends == (16, 30)


def test_a_file_keeps_it_and_one_that_does_not_fit_is_refused(score: BandNovelty) -> None:
    description, arrays = Safeguards(novelty=score).to_parts()
    again = Safeguards.from_parts(description, arrays).novelty
    new = pictures(20, 7)
    assert again is not None and again.threshold == score.threshold
    np.testing.assert_array_equal(again.scores(new), score.scores(new))
    own = description["novelty"]
    with pytest.raises(ValueError, match="must fit one another"):
        Safeguards.from_parts({**description, "novelty": {**own, "ends": [16, 64]}}, arrays)
    with pytest.raises(ValueError, match="must fit one another"):
        replace(score, spreads=np.zeros(4))
    with pytest.raises(ValueError, match="'stars', this release knows 'mahalanobis' and 'bands'"):
        Safeguards.from_parts({**description, "novelty": {**own, "score": "stars"}}, arrays)


def test_where_all_directions_are_kept_rounding_is_no_band(score: BandNovelty) -> None:
    assert len(score.directions) == score.n_columns
    rest = score.energies(np.vstack([pictures(20, 8), 40.0 * pictures(20, 9)]))[:, -1]
    assert (rest == rest[0]).all() and score.centres[-1] == pytest.approx(rest[0])
