"""The attack that measures leaks: known cases, scikit-learn's AUC, and a model that learnt its rows by heart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.nonparametric import rank_compare_2indep
from statsmodels.stats.proportion import proportion_confint

from superpose.learning.areas import auc_interval
from superpose.learning.privacy.membership import membership_bound, membership_report, row_losses


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


def on_log_odds(share: float, reach: float) -> tuple[float, float]:
    """An interval of a share that reaches so far to both sides, laid about its log odds (SciPy's logistic curve)."""
    middle = stats.logistic.ppf(share)
    far = reach / stats.logistic.pdf(middle)
    return stats.logistic.cdf(middle - far), stats.logistic.cdf(middle + far)


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_is_that_of_statsmodels(seed: int) -> None:
    """Brunner and Munzel's variance of the same share by the same placements, with normal quantiles of its log odds."""
    rng = np.random.default_rng(seed)
    trained, unseen = rng.integers(0, 9, 40).astype(float), rng.integers(1, 10 + 4 * seed, 60).astype(float)
    reference = rank_compare_2indep(unseen, trained, use_t=False)
    auc, low, high = auc_interval(trained, unseen, 0.9)
    assert auc == pytest.approx(reference.prob1)
    assert (low, high) == pytest.approx(on_log_odds(auc, np.diff(reference.conf_int(alpha=0.1))[0] / 2))


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
        share = true[false <= alarm["false_alarms"] + 1e-12].max()
        assert alarm["share"] == pytest.approx(share)
        bounds = stats.binomtest(round(200 * share), 200).proportion_ci(0.95, method="wilson")
        threshold = stats.quantile_test(unseen, p=alarm["false_alarms"]).confidence_interval(0.95)
        low, high = np.mean(trained < threshold.low), np.mean(trained <= threshold.high)  # NaN: as low as may be
        wanted = (
            share - math.hypot(share - bounds.low, share - low),
            share + math.hypot(bounds.high - share, high - share),
        )
        assert (alarm["low"], alarm["high"]) == pytest.approx((max(0.0, wanted[0]), wanted[1]))


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng, true = np.random.default_rng(7), 0.7602  # of normals one standard deviation apart: Phi(1 / sqrt 2)
    n_covered = 0
    for _ in range(400):
        _, low, high = auc_interval(rng.normal(size=50), rng.normal(1.0, size=70), 0.9)
        n_covered += low <= true <= high
    assert 0.85 < n_covered / 400 < 0.95


@pytest.mark.parametrize(("true", "n_trained", "n_unseen"), [(0.995, 96, 30), (0.97, 50, 50), (0.9, 200, 50)])
def test_it_covers_near_one_too(true: float, n_trained: int, n_unseen: int) -> None:
    """Symmetric about the chance itself it held 0.995 in 81 of 100 cases of 96 and 30 rows, and 0.97 of 50 in 88."""
    rng, apart = np.random.default_rng(7), stats.norm.ppf(true) * math.sqrt(2)
    found = [auc_interval(rng.normal(size=n_trained), rng.normal(apart, size=n_unseen), 0.95) for _ in range(600)]
    covered = sum(low <= true <= high for _, low, high in found)
    assert covered >= stats.binom.ppf(0.001, 600, 0.94)
    assert all(0.0 < low <= auc <= high <= 1.0 for auc, low, high in found)


@pytest.mark.parametrize(("n_trained", "n_unseen", "apart"), [(196, 61, 0.0), (454, 140, 0.5), (800, 800, 2.0)])
def test_intervals_of_true_alarms_allow_for_the_threshold_of_few_unseen_rows(
    n_trained: int, n_unseen: int, apart: float
) -> None:
    """Wilson's intervals, of training rows alone, held in 53 to 77 of 100 cases."""
    rng, n_covered = np.random.default_rng(5), {0.01: 0, 0.05: 0}
    for _ in range(150):
        report = membership_report(rng.normal(-apart, size=n_trained), rng.normal(size=n_unseen))
        assert report is not None
        for alarm in report["true_alarms"]:
            true = stats.norm.cdf(stats.norm.ppf(alarm["false_alarms"]) + apart)
            n_covered[alarm["false_alarms"]] += alarm["low"] <= true <= alarm["high"]
    assert min(n_covered.values()) >= stats.binom.ppf(0.001, 150, 0.95)


def test_a_model_that_knows_nothing_and_one_that_knows_all() -> None:
    rng = np.random.default_rng(1)
    same = membership_report(rng.exponential(size=400), rng.exponential(size=400))
    assert same is not None and same["low"] < 0.5 < same["high"] and same["p"] > 0.01 and same["bound"] is None
    heart = membership_report(np.zeros(200) + 1e-6, rng.exponential(size=200) + 1e-3)
    assert heart is not None and heart["auc"] == 1.0 and heart["advantage"] == 1.0
    first, second = heart["true_alarms"]
    assert (first["false_alarms"], first["share"], first["high"]) == (0.01, 1.0, 1.0)
    assert first["low"] == 0.0 and 0.97 < second["low"] < 1.0  # 200 unseen rows tell nothing of what is below 1 %
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


def grouped_losses(
    n_groups: int, seed: int, alike: float = 0.8
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Losses of training and unseen rows with nothing between them, of groups whose rows are alike, and the groups."""
    rng = np.random.default_rng(seed)
    groups = [np.repeat(np.arange(n_groups) + base, rng.integers(1, 9, n_groups)) for base in (0, 10_000)]
    shared = rng.normal(size=(2, n_groups))
    losses = [
        alike**0.5 * own[members - base] + (1 - alike) ** 0.5 * rng.normal(size=len(members))
        for own, members, base in zip(shared, groups, (0, 10_000), strict=True)
    ]
    return (losses[0], losses[1]), (groups[0], groups[1])


@pytest.mark.parametrize("seed", range(4))
def test_the_variance_over_groups_is_statsmodels_cluster_variance_of_placements(seed: int) -> None:
    """Obuchowski's is, where no group is on both sides, the sum of two: each that of a mean in clusters."""
    (trained, unseen), groups = grouped_losses(30, seed)
    placements = [
        (unseen[None, :] > trained[:, None]).mean(axis=1),
        (unseen[:, None] > trained[None, :]).mean(axis=1),
    ]
    variances = [
        OLS(own, np.ones(len(own))).fit(cov_type="cluster", cov_kwds={"groups": members}).bse[0] ** 2
        * (len(own) - 1) / len(own)  # the factor (n - 1) / (n - k) of statsmodels taken back out
        for own, members in zip(placements, groups, strict=True)
    ]  # fmt: skip
    auc, low, high = auc_interval(trained, unseen, 0.95, groups)
    assert auc == pytest.approx(roc_auc_score([1] * len(trained) + [0] * len(unseen), -np.append(trained, unseen)))
    freedom = sum(variances) ** 2 / sum(variance**2 / 29 for variance in variances)  # Welch and Satterthwaite's
    wanted = on_log_odds(auc, stats.t.ppf(0.975, freedom) * math.sqrt(sum(variances)))
    assert (low, high) == pytest.approx(wanted, rel=0.01)


def test_copies_of_a_row_count_once_and_rows_of_their_own_as_without_groups() -> None:
    rng = np.random.default_rng(5)
    trained, unseen = rng.normal(size=40), rng.normal(0.3, size=60)
    once = auc_interval(trained, unseen, 0.95)
    own = (np.arange(40), np.arange(40, 100))
    found = auc_interval(trained, unseen, 0.95, own)
    assert found[0] == once[0]
    assert 1.0 < (found[2] - found[1]) / (once[2] - once[1]) < stats.t.ppf(0.975, 39) / stats.norm.ppf(0.975)
    often = tuple(np.repeat(members, 7) for members in own)
    assert auc_interval(np.repeat(trained, 7), np.repeat(unseen, 7), 0.95, often) == pytest.approx(found)
    assert auc_interval(np.repeat(trained, 7), np.repeat(unseen, 7), 0.95)[1] > once[1]


def test_a_group_on_both_sides_takes_away_what_it_has_in_both() -> None:
    """The resampling of whole groups shows the same variance, which that of two samples apart would not."""
    rng = np.random.default_rng(8)
    members = np.repeat(np.arange(150), 4)
    losses = np.repeat(rng.normal(size=150), 4) + 0.5 * rng.normal(size=600)
    first = np.arange(600) % 4 < 2
    found = auc_interval(losses[first], losses[~first], 0.95, (members[first], members[~first]))
    drawn = []
    for _ in range(400):
        chosen = (rng.integers(150, size=150)[:, None] * 4 + np.arange(4)).ravel()
        own, side = losses[chosen], first[chosen]
        drawn.append(auc_interval(own[side], own[~side], 0.95)[0])
    assert (found[2] - found[1]) / 2 / stats.t.ppf(0.975, 298) == pytest.approx(np.std(drawn), rel=0.2)
    apart = auc_interval(losses[first], losses[~first], 0.95, (members[first], members[~first] + 1_000))
    assert apart[2] - apart[1] > 1.5 * (found[2] - found[1])


def test_it_errs_as_often_as_it_says_of_groups_where_rows_alone_err_far_more_often() -> None:
    seen = [grouped_losses(40, seed) for seed in range(400)]
    counted = [membership_report(*losses, groups=groups) for losses, groups in seen]
    alone = [membership_report(*losses) for losses, _ in seen]
    wrong = [sum(one is not None and one["p"] < 0.05 for one in found) for found in (counted, alone)]
    assert wrong[0] <= stats.binom.ppf(0.999, 400, 0.06)
    assert wrong[1] > 60
    held = sum(one is not None and one["low"] <= 0.5 <= one["high"] for one in counted)
    assert held >= stats.binom.ppf(0.001, 400, 0.94)


def test_few_groups_are_not_taken_for_many() -> None:
    """A test part of two or three patients is common in small studies: normal quantiles promised far too much there."""

    def drawn(seed: int, n_trained: int, n_unseen: int) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        own = [np.arange(n).repeat(10) for n in (n_trained, n_unseen)]
        losses = [rng.normal(size=members[-1] + 1)[members] + 0.3 * rng.normal(size=len(members)) for members in own]
        report = membership_report(losses[0], losses[1], groups=(own[0], own[1] + 100))
        assert report is not None
        return report

    for sizes in ((6, 2), (12, 3)):
        reports = [drawn(seed, *sizes) for seed in range(400)]
        held = sum(one["low"] <= 0.5 <= one["high"] for one in reports)
        assert held >= stats.binom.ppf(0.001, 400, 0.9), sizes  # 0.80 and 0.86 with normal quantiles
    assert min(drawn(seed, 2, 2)["p"] for seed in range(100)) == pytest.approx(1 / 6)  # of 6 ways to deal 4 patients


def test_groups_that_come_apart_wholly_prove_no_more_than_their_number() -> None:
    trained, unseen = np.zeros(40), np.ones(30)
    report = membership_report(trained, unseen, groups=(np.arange(40) % 4, 10 + np.arange(30) % 3))
    assert report is not None
    assert (report["auc"], report["high"]) == (1.0, 1.0)
    assert report["low"] == pytest.approx(proportion_confint(3, 3, method="wilson")[0])
    assert report["p"] == pytest.approx(1 / 35)
    nothing = membership_report(trained, trained[:30], groups=(np.arange(40) % 4, 10 + np.arange(30) % 3))
    assert nothing is not None
    assert nothing["p"] == 1.0
    assert nothing["low"] < 0.5 < nothing["high"]


def test_rows_that_come_apart_wholly_have_an_interval_too() -> None:
    """DeLong's variance is 0 there, of 20 training rows as of 20,000."""
    auc, low, high = auc_interval(np.zeros(40), np.ones(20), 0.95)
    assert (auc, high) == (1.0, 1.0)
    assert low == pytest.approx(proportion_confint(20, 20, method="wilson")[0])


def test_groups_are_counted_and_one_of_them_tells_nothing() -> None:
    (trained, unseen), groups = grouped_losses(30, 1)
    report = membership_report(trained, unseen, groups=groups)
    assert report is not None and report["n_groups"] == [30, 30]
    assert report["true_alarms"][0]["high"] > membership_report(trained, unseen)["true_alarms"][0]["high"]  # type: ignore[index]
    assert membership_report(trained, unseen, groups=(np.zeros(len(trained), dtype=int), groups[1])) is None
