"""Every statistic against statsmodels, SciPy or a simulation with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import power_ztost_prop
from statsmodels.stats.weightstats import ttost_paired

from superpose.learning.metrics import METRICS
from superpose.learning.verdicts import PairedCases, SeenCases, compare, compare_cases, verdict
from superpose.learning.verdicts.cases import cases_to_call_equal, cases_to_decide, mcnemar
from superpose.learning.verdicts.splits import holm, paired_test, standardised, wilcoxon


def right_or_wrong(rng: np.random.Generator, n: int, shares: tuple[float, float, float]) -> PairedCases:
    """Cases of which a share both get right, the hybrid alone, the other alone; the rest both wrong."""
    kind = rng.choice(4, size=n, p=[*shares, 1.0 - sum(shares)])
    truth = rng.integers(2, size=n)

    def said(right: np.ndarray) -> np.ndarray:
        sure = np.where(right, 0.9, 0.1)
        return np.where(truth[:, None] == np.arange(2), sure[:, None], 1.0 - sure[:, None])

    return PairedCases(truth, said(kind <= 1), said((kind == 0) | (kind == 2)))


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_that_of_statsmodels(seed: int) -> None:
    p_values = np.random.default_rng(seed).random(6) ** 3
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([]) == []


@pytest.mark.parametrize(("first", "second"), [(0, 0), (5, 0), (12, 4), (30, 31), (3, 90)])
def test_mcnemar_is_that_of_statsmodels(first: int, second: int) -> None:
    reference = reference_mcnemar([[100, first], [second, 7]], exact=True)
    assert mcnemar(first, second) == pytest.approx(min(1.0, reference.pvalue))


def test_equivalence_without_overlap_is_the_paired_tost_of_statsmodels() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.9, 0.01, 10), rng.normal(0.9, 0.01, 10)
    p_value, _, _ = ttost_paired(first, second, -0.02, 0.02)
    assert paired_test(first - second, 0.0).p_equal(0.02) == pytest.approx(p_value)


@pytest.mark.parametrize("overlap", [0.1, 0.25, 1.0])
def test_the_correction_for_overlap_is_the_ordinary_test_of_differences_drawn_out_about_their_mean(
    overlap: float,
) -> None:
    """Drawn out by ``sqrt(1 + J * overlap)``, their variance over J is ``(1/J + overlap) * s**2``."""
    differences = np.random.default_rng(11).normal(0.006, 0.01, 10)
    drawn_out = differences.mean() + np.sqrt(1 + 10 * overlap) * (differences - differences.mean())
    found = paired_test(differences, overlap)
    reference = stats.ttest_1samp(drawn_out, 0.0)
    assert found.error == pytest.approx(stats.sem(drawn_out))
    assert found.p_value == pytest.approx(reference.pvalue)
    bounds = reference.confidence_interval(0.9)
    assert (found.mean - found.reach(0.1), found.mean + found.reach(0.1)) == pytest.approx(bounds)
    p_equal, _, _ = ttost_paired(drawn_out, np.zeros(10), -0.02, 0.02)
    assert found.p_equal(0.02) == pytest.approx(p_equal)


def test_several_comparisons_share_their_error_as_in_statsmodels() -> None:
    rng = np.random.default_rng(12)
    hybrid = rng.normal(0.9, 0.01, 8)
    others = {
        name: hybrid - shift + rng.normal(0, 0.01, 8) for name, shift in zip("abc", (0.0, 0.01, 0.03), strict=True)
    }
    rows = compare(hybrid, others, metric="accuracy", test_over_train=0.0, confidence=0.95)
    single = [stats.ttest_rel(hybrid, values).pvalue for values in others.values()]
    decides, p_values, _, _ = multipletests(single, 0.05, method="bonferroni")
    assert [row.p_value for row in rows] == pytest.approx(p_values)
    assert [row.decides for row in rows] == decides.tolist()
    assert {row.decides for row in rows} == {True, False}
    ranks = [stats.wilcoxon(hybrid, values).pvalue for values in others.values()]
    assert [row.wilcoxon_p for row in rows] == pytest.approx(multipletests(ranks, method="holm")[1])


def test_wilcoxon_of_the_depression_scores_of_hollander_and_wolfe() -> None:
    """Nonparametric Statistical Methods (1973), page 29: V = 40 of nine patients, one-sided p = 0.01953."""
    before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    assert wilcoxon(np.subtract(before, after)) == pytest.approx(2 * 10 / 512)


def test_wilcoxon_and_effect_size_of_known_cases() -> None:
    differences = [0.01, 0.02, 0.03, 0.04, 0.05]  # all of one sign: 2 of 32 arrangements are as extreme
    assert wilcoxon(differences) == pytest.approx(2 / 32)
    assert wilcoxon([0.0] * 5) == 1.0
    assert standardised(differences) == pytest.approx(0.03 / np.std(differences, ddof=1))
    assert standardised([0.1] * 5) is None


@pytest.mark.parametrize("seed", range(4))
def test_wilcoxon_of_shares_is_scipys_of_the_counts(seed: int) -> None:
    """Of 114 cases each: equal differences of counts are ties, and shares of them must not be parted by rounding."""
    first, second = np.random.default_rng(seed).integers(104, 112, size=(2, 10))
    by_counts = stats.wilcoxon(first - second).pvalue
    assert wilcoxon(first / 114 - second / 114) == pytest.approx(by_counts)
    over_seeds = np.array([[0.9, 0.8, 0.7], [0.6, 0.5, 0.4], [0.3, 0.2, 0.1]])
    nothing = over_seeds.mean(axis=1) - over_seeds[:, ::-1].mean(axis=1)
    assert wilcoxon([*nothing, 0.01, 0.02, 0.03]) == wilcoxon([0.01, 0.02, 0.03])


def test_a_difference_that_is_not_known_decides_nothing() -> None:
    found = paired_test([0.1, np.nan, 0.2], 0.25)
    assert found.p_value == 1.0 and not found.p_equal(0.02) < 1.0


def test_the_number_of_cases_named_decides_with_the_chance_stated() -> None:
    """400 experiments of that size: the share that decides at 5 % lies in 0.8 +- 0.06 (three standard deviations)."""
    wanted = cases_to_decide(80, 50, 1000, 0.05)  # 8 % against 5 % of the cases
    assert wanted is not None
    rng = np.random.default_rng(4)
    drawn = rng.multinomial(wanted, [0.08, 0.05, 0.87], size=400)
    decided = np.mean([mcnemar(int(first), int(second)) < 0.05 for first, second, _ in drawn])
    assert 0.72 < decided < 0.86  # the exact test is a little stricter than the formula
    assert cases_to_decide(7, 7, 100, 0.05) is None


def test_the_number_of_cases_is_that_of_a_published_example_and_has_its_exact_power() -> None:
    """Connor 1987 as calculators work it: 45 % against 5 % discordant pairs take 23 (powerandsamplesize.com).

    The power by the binomial distribution of the test that the formula is of, summed over all outcomes.
    """
    assert cases_to_decide(45, 5, 100, 0.05) == cases_to_decide(5, 45, 100, 0.05) == 23
    wanted = cases_to_decide(8, 4, 100, 0.05)
    assert wanted is not None
    discordant = np.arange(1, wanted + 1)[:, None]
    first = np.arange(wanted + 1)[None, :]
    chance = stats.binom.pmf(discordant, wanted, 0.12) * stats.binom.pmf(first, discordant, 2 / 3)
    decides = np.abs(2 * first - discordant) > stats.norm.ppf(0.975) * np.sqrt(discordant)
    assert float(np.sum(chance * decides)) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(("discordant", "margin", "allowed_error"), [(0.1, 0.02, 0.05), (0.2, 0.05, 0.0125)])
def test_the_number_of_cases_for_equality_has_the_power_that_statsmodels_gives(
    discordant: float, margin: float, allowed_error: float
) -> None:
    """A share p with ``p * (1 - p) = discordant`` varies as the difference of two models that are equal."""
    share = (1 - np.sqrt(1 - 4 * discordant)) / 2
    wanted = cases_to_call_equal(discordant, margin, allowed_error)

    def power(n_cases: int) -> float:
        found = power_ztost_prop(
            share - margin, share + margin, n_cases, share, alpha=allowed_error, variance_prop=share, discrete=False
        )
        return float(found[0])

    assert power(wanted - 1) < 0.8 <= power(wanted)


@pytest.mark.parametrize(
    ("discordant", "margin", "allowed_error"),
    [(0.0, 0.02, 0.0125), (0.0005, 0.05, 0.05), (0.0064, 0.02, 0.0125), (0.01, 0.05, 0.0125), (0.1, 0.02, 0.05)],
)
def test_models_that_hardly_differ_need_cases_too(discordant: float, margin: float, allowed_error: float) -> None:
    """The power of Tango's two score tests, summed over all outcomes; counts are whole, so it moves in steps."""
    n_cases = cases_to_call_equal(discordant, margin, allowed_error)
    assert (1.0 - margin) ** n_cases < allowed_error  # else not even cases that are all alike would rule it out
    most = int(n_cases * discordant + 8 * np.sqrt(n_cases * discordant) + 2)
    first, second = np.meshgrid(np.arange(most), np.arange(most), indexing="ij")
    drawn = np.stack([first, second, n_cases - first - second], axis=-1)
    chance = stats.multinomial.pmf(drawn, n_cases, [discordant / 2, discordant / 2, 1 - discordant])

    def beyond(difference: float) -> np.ndarray:
        """Standard errors by which the difference seen lies above one of this size."""
        linear = -first - second + (2 * n_cases - first + second) * difference
        root = np.sqrt(linear**2 + 8 * n_cases * second * difference * (1 - difference))
        share = (root - linear) / (4 * n_cases)
        error = np.sqrt(n_cases * (2 * share + difference * (1 - difference)))
        return (first - second - n_cases * difference) / error

    reach = stats.norm.ppf(1 - allowed_error)
    with np.errstate(invalid="ignore"):
        shown = (beyond(-margin) > reach) & (beyond(margin) < -reach)
    assert float(np.sum(chance * shown)) == pytest.approx(0.85, abs=0.16)


def test_the_number_of_cases_named_shows_equality_with_the_chance_stated() -> None:
    wanted = cases_to_call_equal(0.1, 0.02, 0.05)
    rng = np.random.default_rng(5)
    drawn = rng.multinomial(wanted, [0.05, 0.05, 0.9], size=1000)
    difference = (drawn[:, 0] - drawn[:, 1]) / wanted
    error = np.sqrt((drawn[:, 0] + drawn[:, 1]) / wanted - difference**2) / np.sqrt(wanted)
    shown = np.mean(np.abs(difference) + stats.norm.ppf(0.95) * error < 0.02)
    assert 0.76 < shown < 0.84


def test_the_bootstrap_interval_of_an_accuracy_is_nearly_that_of_paired_proportions() -> None:
    rng = np.random.default_rng(6)
    cases = right_or_wrong(rng, 2000, (0.8, 0.07, 0.05))
    found = compare_cases(cases, METRICS["accuracy"].compute, margin=0.02, allowed_error=0.05, seed=1)
    first, second = found.only_hybrid_right / 2000, found.only_other_right / 2000
    assert found.difference == pytest.approx(first - second)
    reach = 1.96 * np.sqrt((first + second - (first - second) ** 2) / 2000)
    assert found.low == pytest.approx(found.difference - reach, abs=0.0015)
    assert found.high == pytest.approx(found.difference + reach, abs=0.0015)


@pytest.mark.parametrize("metric", ["accuracy", "auc", "brier"])
def test_the_bootstrap_interval_is_that_of_scipy(metric: str) -> None:
    """Both draw at random: with 2,000 and 1,000 resamples a bound is known to some 3 % of the width."""
    rng = np.random.default_rng(13)
    truth = rng.integers(2, size=300)
    first, second = (np.clip(0.5 * truth + spread * rng.random(300), 0.0, 1.0) for spread in (0.7, 0.9))
    measure = METRICS[metric].compute
    cases = PairedCases(truth, np.stack([1 - first, first], axis=1), np.stack([1 - second, second], axis=1))

    def difference(rows: np.ndarray) -> float:
        return measure(truth[rows], cases.hybrid[rows], 1) - measure(truth[rows], cases.other[rows], 1)

    found = compare_cases(cases, lambda t, p: measure(t, p, 1), margin=0.02, allowed_error=0.1, seed=1)
    reference = stats.bootstrap(
        (np.arange(300),), difference, vectorized=False, n_resamples=1000, confidence_level=0.9,
        method="percentile", random_state=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    assert found.low is not None and found.high is not None
    wide = reference.high - reference.low
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.1 * wide)


def test_cases_of_a_group_are_drawn_together() -> None:
    """Each case tripled: alone the interval would shrink by the root of three, drawn together it stays."""
    rng = np.random.default_rng(7)
    once = right_or_wrong(rng, 500, (0.8, 0.07, 0.05))
    tripled = PairedCases(
        np.repeat(once.truth, 3), np.repeat(once.hybrid, 3, axis=0), np.repeat(once.other, 3, axis=0),
        np.repeat(rng.permutation(500), 3),
    )  # fmt: skip

    def width(cases: PairedCases) -> float:
        found = compare_cases(cases, METRICS["auc"].compute, margin=0.02, allowed_error=0.05, seed=1)
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert width(tripled) == pytest.approx(width(once), rel=0.1)
    assert width(PairedCases(tripled.truth, tripled.hybrid, tripled.other)) < 0.7 * width(once)


def test_a_metric_that_a_resample_cannot_have_gets_no_interval() -> None:
    truth = np.array([0] * 9 + [1])
    said = np.column_stack([np.linspace(0, 1, 10), np.linspace(1, 0, 10)])
    found = compare_cases(
        PairedCases(truth, said, said[::-1]), METRICS["auc"].compute, margin=0.02, allowed_error=0.05, seed=0
    )
    assert (found.low, found.high) == (None, None)


def test_splits_that_hardly_differ_are_equal_and_a_certain_trifle_is_too() -> None:
    rng = np.random.default_rng(8)
    hybrid = rng.normal(0.9, 0.02, 10)
    close = {"classical_twin": hybrid - 0.004 + rng.normal(0, 0.001, 10)}
    (found,) = compare(hybrid, close, metric="accuracy", test_over_train=0.25, confidence=0.95, margin=0.02)
    assert found.decides
    assert found.outcome == "equal"
    said = verdict([found], 10, 0.95)
    assert said.startswith("The quantum circuit makes no difference that matters here")
    assert "equal within 0.02" in said
    (strict,) = compare(hybrid, close, metric="accuracy", test_over_train=0.25, confidence=0.95, margin=0.003)
    assert strict.outcome == "better"


def test_equality_is_claimed_no_more_often_than_stated() -> None:
    """A difference just at the margin: at most 1 in 20 experiments may call it equal; 400 runs."""
    rng = np.random.default_rng(9)
    claimed = 0
    for _ in range(400):
        hybrid = rng.normal(0.9, 0.02, 10)
        twin = {"classical_twin": hybrid - 0.02 + rng.normal(0, 0.01, 10)}
        (found,) = compare(hybrid, twin, metric="accuracy", test_over_train=0.0, confidence=0.95)
        claimed += found.is_equal
    assert claimed <= 33


def test_an_undecided_verdict_tells_how_many_cases_it_would_take() -> None:
    rng = np.random.default_rng(10)
    cases = right_or_wrong(rng, 500, (0.88, 0.03, 0.02))
    seen = SeenCases(cases.truth, {"hybrid": cases.hybrid, "classical_twin": cases.other})
    scores = rng.normal(0.9, 0.02, 5)
    rows = compare(
        scores,
        {"classical_twin": scores + rng.normal(0, 0.02, 5)},
        metric="accuracy",
        test_over_train=0.25,
        confidence=0.95,
        cases=seen,
    )
    assert rows[0].cases is not None
    said = verdict(rows, 5, 0.95)
    assert said.startswith("Undecided")
    assert "500 test cases were seen" in said
    needed = rows[0].cases.to_decide
    assert needed is not None
    assert needed > 500
    assert "so many were seen" not in said
    assert rows[0].mcnemar_p == pytest.approx(mcnemar(rows[0].cases.only_hybrid_right, rows[0].cases.only_other_right))


@pytest.mark.parametrize(("n_cases", "plenty"), [(600, True), (60, False)])
def test_an_undecided_verdict_says_where_cases_were_enough_and_splits_were_not(n_cases: int, plenty: bool) -> None:
    """Models that never differ: 600 cases would show them equal, but splits that are all alike show nothing."""
    cases = right_or_wrong(np.random.default_rng(11), n_cases, (0.9, 0.0, 0.0))
    seen = SeenCases(cases.truth, {"hybrid": cases.hybrid, "classical_twin": cases.hybrid})
    (row,) = compare(
        [0.9] * 5, {"classical_twin": [0.9] * 5}, metric="accuracy", test_over_train=0.25, confidence=0.95, cases=seen
    )
    assert row.cases is not None and row.cases.to_decide is None
    assert (row.cases.to_call_equal <= n_cases) == plenty
    assert ("Where so many were seen, it is the splits that leave it open" in verdict([row], 5, 0.95)) == plenty
