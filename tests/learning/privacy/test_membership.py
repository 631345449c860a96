"""The attack that measures leaks: known cases, scikit-learn's AUC, and a model that learnt its rows by heart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve
from statsmodels.stats.nonparametric import rank_compare_2indep

from superpose.learning.privacy.membership import auc_interval, membership_bound, membership_report, row_losses


def test_losses_are_cross_entropies() -> None:
    losses = row_losses(np.array([[0.25, 0.75], [1.0, 0.0]]), np.array([1, 1]))
    np.testing.assert_allclose(losses, [-math.log(0.75), -math.log(1e-12)])


@pytest.mark.parametrize("seed", range(4))
def test_auc_is_scikit_learns_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trained, unseen = rng.integers(0, 9, 40).astype(float), rng.integers(2, 11, 60).astype(float)
    auc, low, high = auc_interval(trained, unseen, 0.95)
    wanted = roc_auc_score([1] * 40 + [0] * 60, -np.concatenate([trained, unseen]))
    assert auc == pytest.approx(wanted, abs=1e-12) and low < auc < high


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_is_that_of_statsmodels(seed: int) -> None:
    """Brunner and Munzel's variance of the same share by the same placements, with normal quantiles."""
    rng = np.random.default_rng(seed)
    trained, unseen = rng.integers(0, 9, 40).astype(float), rng.integers(1, 10, 60).astype(float)
    reference = rank_compare_2indep(unseen, trained, use_t=False)
    auc, low, high = auc_interval(trained, unseen, 0.9)
    assert auc == pytest.approx(reference.prob1)
    assert (low, high) == pytest.approx(reference.conf_int(alpha=0.1))


def test_the_report_has_the_figures_of_scipy_and_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    trained, unseen = rng.exponential(0.92, 200), rng.exponential(1.0, 300)
    report = membership_report(trained, unseen)
    assert report is not None
    permuted = stats.permutation_test(
        (trained, unseen), lambda a, b: stats.mannwhitneyu(a, b).statistic, vectorized=False, alternative="less",
        n_resamples=400, random_state=np.random.default_rng(4),
    )  # fmt: skip
    assert report["p"] == pytest.approx(stats.mannwhitneyu(unseen, trained, alternative="greater").pvalue)
    assert report["p"] == pytest.approx(permuted.pvalue, abs=0.06)  # three deviations of 400 draws at most
    assert report["advantage"] == pytest.approx(stats.ks_2samp(trained, unseen, alternative="greater").statistic)
    truth = np.repeat([1, 0], [200, 300])
    false, true, _ = roc_curve(truth, -np.concatenate([trained, unseen]), drop_intermediate=False)
    for alarm in report["true_alarms"]:
        assert alarm["share"] == pytest.approx(true[false <= alarm["false_alarms"] + 1e-12].max())
        bounds = stats.binomtest(round(200 * alarm["share"]), 200).proportion_ci(0.95, method="wilson")
        assert (alarm["low"], alarm["high"]) == pytest.approx((bounds.low, bounds.high))


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng, true = np.random.default_rng(7), 0.7602  # of normals one standard deviation apart: Phi(1 / sqrt 2)
    n_covered = 0
    for _ in range(400):
        _, low, high = auc_interval(rng.normal(size=50), rng.normal(1.0, size=70), 0.9)
        n_covered += low <= true <= high
    assert 0.85 < n_covered / 400 < 0.95


def test_a_model_that_knows_nothing_and_one_that_knows_all() -> None:
    rng = np.random.default_rng(1)
    same = membership_report(rng.exponential(size=400), rng.exponential(size=400))
    assert same is not None and same["low"] < 0.5 < same["high"] and same["p"] > 0.01 and same["bound"] is None
    heart = membership_report(np.zeros(200) + 1e-6, rng.exponential(size=200) + 1e-3)
    assert heart is not None and heart["auc"] == 1.0 and heart["advantage"] == 1.0
    first = heart["true_alarms"][0]
    assert (first["false_alarms"], first["share"], first["high"]) == (0.01, 1.0, 1.0) and 0.97 < first["low"] < 1.0
    assert membership_report(np.zeros(19), np.zeros(500)) is None


def test_false_alarms_stay_within_the_allowed_share() -> None:
    rng = np.random.default_rng(1)
    unseen = rng.exponential(size=1_000)
    report = membership_report(unseen.copy(), unseen)
    assert report is not None
    assert [alarm["share"] for alarm in report["true_alarms"]] == [0.01, 0.05]  # the same losses: as many true as false


@pytest.mark.parametrize(
    ("epsilon", "delta", "wanted"),
    [(0.0, 0.0, 0.0), (1.0, 0.0, math.tanh(0.5)), (0.0, 0.1, 0.1), (2_000.0, 0.0, 1.0), (50.0, 0.1, 1.0)],
)
def test_the_bound_of_private_training(epsilon: float, delta: float, wanted: float) -> None:
    assert membership_bound(epsilon, delta) == pytest.approx(wanted, abs=1e-12)
    if epsilon < 500:  # the theorem as it is written
        stated = (math.exp(epsilon) - 1 + 2 * delta) / (math.exp(epsilon) + 1)
        assert membership_bound(epsilon, delta) == pytest.approx(min(1.0, stated))
