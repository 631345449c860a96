"""Cases of one patient: drawn, tested and counted together, against SciPy, statsmodels and patients drawn alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from superpose.explain.group_words import counted_in, groups_lines
from superpose.explain.plain_words import verdict_words
from superpose.learning.metrics import METRICS
from superpose.learning.verdicts import PairedCases, SeenCases, compare, compare_cases, verdict
from superpose.learning.verdicts.cases import (
    cases_to_call_equal,
    cases_to_decide,
    groups_to_call_equal,
    groups_to_decide,
    mcnemar_of_groups,
)


def drawn(rng: np.random.Generator, n_groups: int, better: float = 0.0, most: int = 8) -> np.ndarray:
    """Differences of groups in which one model is better throughout, the first one more often by ``better``."""
    sizes = rng.integers(1, most + 1, n_groups)
    return sizes * rng.choice([1, -1, 0], size=n_groups, p=[0.25 + better / 2, 0.25 - better / 2, 0.5])


def cases_of(differences: np.ndarray, *, together: bool = True, n_more: int = 1) -> PairedCases:
    """Cases with these differences of groups; the models are both right in ``n_more`` of each group beside."""
    groups = np.repeat(np.arange(len(differences)), np.abs(differences) + n_more)
    first, second = np.ones(len(groups), bool), np.ones(len(groups), bool)
    start = 0
    for one in differences:
        (second if one > 0 else first)[start : start + abs(one)] = False
        start += abs(one) + n_more
    truth = np.zeros(len(groups), dtype=np.int64)

    def said(right: np.ndarray) -> np.ndarray:
        sure = np.where(right, 0.9, 0.1)
        return np.stack([sure, 1.0 - sure], axis=1)

    return PairedCases(truth, said(first), said(second), groups if together else None)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (5, 0), (12, 4), (30, 31), (3, 90)])
@pytest.mark.parametrize("size", [1, 3])
def test_of_groups_of_one_size_it_is_mcnemars_test_of_the_groups(first: int, second: int, size: int) -> None:
    differences = np.repeat([size, -size, 0], [first, second, 20])
    reference = reference_mcnemar([[100, first], [second, 7]], exact=True)
    assert mcnemar_of_groups(differences) == pytest.approx(min(1.0, reference.pvalue))


@pytest.mark.parametrize("seed", range(5))
def test_it_is_scipys_permutation_test_of_the_pairs(seed: int) -> None:
    """All signs of twelve groups; SciPy's two-sided p is twice the smaller tail, which is symmetric here."""
    differences = np.random.default_rng(seed).integers(-4, 5, 12)
    reference = stats.permutation_test(
        (differences, np.zeros(12)), lambda x, y, axis: np.sum(x - y, axis=axis), permutation_type="samples",
        n_resamples=np.inf, vectorized=True,
    )  # fmt: skip
    assert mcnemar_of_groups(differences) == pytest.approx(min(1.0, reference.pvalue))


def test_it_is_obuchowskis_where_groups_are_many_and_exact_and_normal_meet() -> None:
    """Her statistic, (K - 1)/K times the sum squared over the sum of squares, against chi-squared on one degree."""
    differences = drawn(np.random.default_rng(1), 3_000, 0.025)
    statistic = 2_999 / 3_000 * differences.sum() ** 2 / np.square(differences).sum()
    expected = stats.chi2.sf(statistic, 1)
    assert 1e-4 < expected < 0.2
    assert mcnemar_of_groups(differences) == pytest.approx(expected, rel=0.03)
    many = drawn(np.random.default_rng(2), 40_000, 0.01)
    statistic = 39_999 / 40_000 * many.sum() ** 2 / np.square(many).sum()
    assert mcnemar_of_groups(many) == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-9)


def test_it_errs_as_often_as_it_says_where_the_ordinary_test_errs_far_more_often() -> None:
    """1,000 draws of 40 patients whose cases are alike, of equal models, at 5 %; to four standard errors."""
    rng, wrong, alone = np.random.default_rng(3), 0, 0
    for _ in range(1_000):
        differences = drawn(rng, 40)
        first, second = differences[differences > 0].sum(), -differences[differences < 0].sum()
        wrong += mcnemar_of_groups(differences) < 0.05
        alone += first + second > 0 and stats.binomtest(int(first), int(first + second), 0.5).pvalue < 0.05
    assert wrong <= 50 + 4 * math.sqrt(1_000 * 0.05 * 0.95)
    assert alone > 200


@pytest.mark.parametrize(("first", "second"), [(80, 50), (5, 45), (7, 7)])
def test_of_groups_of_one_case_numbers_needed_are_those_of_cases(first: int, second: int) -> None:
    differences = np.repeat([1, -1, 0], [first, second, 300 - first - second])
    assert groups_to_decide(differences, 0.05) == cases_to_decide(first, second, 300, 0.05)
    equal = cases_to_call_equal((first + second) / 300, 0.02, 0.05)
    assert groups_to_call_equal(differences, 300, 0.02, 0.05) == equal
    assert groups_to_call_equal(np.zeros(300, int), 300, 0.02, 0.05) == cases_to_call_equal(0.0, 0.02, 0.05)


def test_so_many_groups_decide_and_show_equality_with_the_chance_stated() -> None:
    """400 studies of groups like those; 0.8 to some four standard errors, the exact test being a little stricter."""
    rng = np.random.default_rng(4)
    like = drawn(rng, 20_000, 0.15)
    needed = groups_to_decide(like, 0.05)
    assert needed is not None
    decided = np.mean([mcnemar_of_groups(drawn(rng, needed, 0.15)) < 0.05 for _ in range(400)])
    assert 0.71 < decided < 0.88
    level = drawn(rng, 20_000)
    margin, n_cases = 0.05, 3 * len(level) + int(np.abs(level).sum())  # three more cases in each group
    needed = groups_to_call_equal(level, n_cases, margin, 0.05)
    shown = 0
    for _ in range(400):
        found = drawn(rng, needed)
        n = 3 * needed + int(np.abs(found).sum())
        error = math.sqrt(float(np.square(found).sum())) / n
        shown += abs(found.sum() / n) + stats.norm.ppf(0.95) * error < margin
    assert 0.71 < shown / 400 < 0.88


def test_a_comparison_minds_groups_in_every_figure_and_says_so() -> None:
    differences = drawn(np.random.default_rng(5), 60, 0.2)
    cases = cases_of(differences)
    measure = METRICS["accuracy"].compute
    found = compare_cases(cases, measure, margin=0.02, allowed_error=0.05, seed=1)
    np.testing.assert_array_equal(cases.of_groups, differences)
    assert found.n_groups == 60
    assert found.mcnemar_p == mcnemar_of_groups(differences)
    assert found.to_decide == groups_to_decide(differences, 0.05)
    assert found.to_call_equal == groups_to_call_equal(differences, len(cases.truth), 0.02, 0.05)
    alone = compare_cases(cases_of(differences, together=False), measure, margin=0.02, allowed_error=0.05, seed=1)
    assert alone.n_groups is None
    assert alone.mcnemar_p < found.mcnemar_p
    assert (alone.only_hybrid_right, alone.difference) == (found.only_hybrid_right, found.difference)
    assert found.high is not None and found.low is not None and alone.high is not None and alone.low is not None
    assert found.high - found.low > 1.3 * (alone.high - alone.low)


@pytest.mark.parametrize("together", [True, False])
def test_words_say_what_is_counted(together: bool) -> None:
    cases = cases_of(drawn(np.random.default_rng(6), 60, 0.1), together=together)
    seen = SeenCases(cases.truth, {"hybrid": cases.hybrid, "classical_twin": cases.other}, cases.groups)
    scores = np.random.default_rng(7).normal(0.9, 0.02, 5)
    rows = compare(
        scores, {"classical_twin": scores + np.array([0.03, -0.03, 0.02, -0.02, 0.0])}, metric="accuracy",
        test_over_train=0.25, confidence=0.95, cases=seen,
    )  # fmt: skip
    said, told = verdict(rows, 5, 0.95), [row.to_dict() for row in rows]
    assert f"{len(cases.truth):,} test cases{' of 60 groups' if together else ''} were seen" in said
    assert ("groups like theirs" in said) == together
    assert counted_in(told) == ("groups" if together else "cases")
    (plain,) = [one for one in verdict_words(told) if "could tell" in one]
    assert ("groups of cases (patients) could tell" in plain) == together
    known = {"column": "patient_id", "n_groups": 300, "n_groups_of_cases": 60, "kept_together": False}
    folds = [{"n": 4, "of": "groups"}, {"n": 3, "of": "groups"}]
    models = {"baseline": {"folds": folds}}
    lines = groups_lines({"groups": known if together else None, "comparisons": told, "models": models})
    if not together:
        assert lines == [lines[0]]
        assert "was not known" in lines[0]
        return
    assert "of 60 groups (column patient_id)" in lines[0]
    assert "does not keep the 300 groups" in lines[1]
    assert lines[2] == "The baseline was tuned in 3 to 4 folds of whole groups."
    assert groups_lines({"comparisons": told}) == []
