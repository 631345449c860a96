"""Comparison statistics: known numbers, error rates by simulation, and a verdict that says no more than they do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from superpose.learning.verdicts import Comparison, compare, mean_interval, verdict

EXPERIMENT = {"metric": "accuracy", "test_over_train": 0.25, "confidence": 0.95}


def test_interval_and_p_value_are_those_of_the_corrected_t_test_worked_by_hand() -> None:
    hybrid, other = [0.95, 0.96, 0.97, 0.96, 0.98], [0.93, 0.95, 0.94, 0.95, 0.95]
    (found,) = compare(hybrid, {"baseline": other}, **EXPERIMENT)
    differences = np.subtract(hybrid, other)
    error = math.sqrt((1 / 5 + 0.25) * differences.var(ddof=1))
    reach = stats.t(4).ppf(0.975) * error
    assert found.mean_difference == pytest.approx(0.02)
    assert (found.low, found.high) == pytest.approx((0.02 - reach, 0.02 + reach))
    assert found.p_value == pytest.approx(2 * stats.t(4).sf(0.02 / error))
    assert found.decides
    assert found.outcome == "better"
    (stricter,) = compare(hybrid, {"baseline": other}, metric="accuracy", test_over_train=0.25, confidence=0.99)
    assert stricter.outcome == "undecided"


def test_without_overlap_one_comparison_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    hybrid, other = rng.random(8), rng.random(8)
    (found,) = compare(hybrid, {"frozen": other}, metric="auc", test_over_train=0.0, confidence=0.9)
    assert found.p_value == pytest.approx(stats.ttest_rel(hybrid, other).pvalue)
    low, high = stats.ttest_rel(hybrid, other).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_p_value_and_interval_agree_and_shrink_with_the_number_of_comparisons() -> None:
    rng = np.random.default_rng(1)
    for shift in np.linspace(0, 0.1, 60):
        hybrid = rng.normal(0.9, 0.01, 6)
        others = {name: hybrid - shift + rng.normal(0, 0.02, 6) for name in ("classical_twin", "frozen", "baseline")}
        three = compare(hybrid, others, **EXPERIMENT)
        for row in three:
            (alone,) = compare(hybrid, {row.against: others[row.against]}, **EXPERIMENT)
            assert row.decides == (not row.low <= 0 <= row.high)
            assert row.p_value == pytest.approx(min(1.0, 3 * alone.p_value))
            assert row.low < alone.low < alone.high < row.high


def test_lower_is_better_for_the_brier_score() -> None:
    hybrid, other = [0.05, 0.051, 0.049, 0.05, 0.0505], [0.2, 0.21, 0.19, 0.2, 0.205]
    (found,) = compare(hybrid, {"baseline": other}, metric="brier", test_over_train=0.25, confidence=0.95)
    assert found.mean_difference < 0
    assert found.outcome == "better"


def test_equal_scores_and_constant_differences_do_not_decide() -> None:
    same = [0.9, 0.95, 0.9, 0.92, 0.9]
    (equal,) = compare(same, {"frozen": same}, **EXPERIMENT)
    assert (equal.p_value, equal.decides, equal.low, equal.high) == (1.0, False, 0.0, 0.0)
    (constant,) = compare([0.9] * 5, {"frozen": [0.8] * 5}, **EXPERIMENT)
    assert not constant.decides
    assert constant.low < 0 < constant.high  # what does not decide leaves zero in
    assert constant.p_value == pytest.approx(1 / 16)


def test_false_decisions_stay_within_the_stated_error_when_nothing_differs() -> None:
    """Independent splits, no difference: at 95 % at most 1 in 20 experiments may decide; 400 runs, seed 2.

    With an error rate of exactly 0.05 the count exceeds 33 with probability 0.002.
    """
    rng = np.random.default_rng(2)
    decided = 0
    for _ in range(400):
        hybrid = rng.normal(0.9, 0.02, 5)
        others = {
            name: rng.normal(0.9, 0.02, 5) for name in ("classical_twin", "no_entanglement", "frozen", "baseline")
        }
        rows = compare(hybrid, others, metric="accuracy", test_over_train=0.0, confidence=0.95)
        decided += any(row.decides for row in rows)
    assert decided <= 33


def test_mean_interval_stays_within_what_a_metric_can_be() -> None:
    mean, low, high = mean_interval([0.99, 1.0, 1.0, 0.9, 1.0], 0.25, 0.95)
    assert mean == pytest.approx(0.978)
    assert 0.0 <= low < mean < high == 1.0


def row(against: str, outcome: str, metric: str = "accuracy") -> Comparison:
    """A comparison with this outcome."""
    mean = {"better": 0.05, "worse": -0.05, "undecided": 0.004}[outcome]
    decides = outcome != "undecided"
    return Comparison(against, metric, mean, mean - 0.02, mean + 0.02, 0.001 if decides else 0.7, decides)


def outcomes(twin: str, entangled: str, frozen: str, baseline: str) -> list[Comparison]:
    """Comparisons with these outcomes."""
    names = ("classical_twin", "no_entanglement", "frozen", "baseline")
    return [row(name, outcome) for name, outcome in zip(names, (twin, entangled, frozen, baseline), strict=True)]


def test_an_interval_stays_within_what_a_difference_can_be() -> None:
    few, other = [0.70, 0.90], [0.95, 0.80]
    (found,) = compare(few, {"frozen": other}, metric="auc", test_over_train=0.25, confidence=0.95)
    assert (found.low, found.high) == (-1.0, 1.0)
    assert found.outcome == "undecided"
    (number,) = compare(few, {"frozen": other}, metric="mase", test_over_train=0.25, confidence=0.95)
    assert number.low < -1.0 < 1.0 < number.high
    assert number.p_value == found.p_value


def test_nothing_decided_is_undecided_and_names_everyone_compared() -> None:
    said = verdict(outcomes("undecided", "undecided", "undecided", "undecided"), 5, 0.95)
    assert said.startswith("Undecided: over 5 paired splits at 95 % confidence")
    for name in ("classical twin", "without entanglement", "frozen", "logistic regression"):
        assert name in said


@pytest.mark.parametrize(
    ("rows", "begins"),
    [
        (outcomes("better", "better", "better", "better"), "The quantum circuit helps here"),
        (
            outcomes("better", "undecided", "better", "better"),
            "The hybrid model beats its classical twin but not every",
        ),
        (
            outcomes("better", "better", "better", "undecided"),
            "The hybrid model beats its classical twin but not every",
        ),
        (outcomes("better", "better", "better", "worse"), "Prefer the classical baseline"),
        (outcomes("undecided", "undecided", "undecided", "worse"), "Prefer the classical baseline"),
        (outcomes("worse", "undecided", "better", "better"), "The quantum circuit hurts here"),
        (outcomes("worse", "worse", "worse", "worse"), "The quantum circuit hurts here"),
        (outcomes("undecided", "worse", "undecided", "undecided"), "A simpler circuit does better"),
        (outcomes("undecided", "undecided", "better", "undecided"), "Whether the quantum circuit helps is undecided"),
        (outcomes("undecided", "undecided", "undecided", "better"), "Whether the quantum circuit helps is undecided"),
    ],
)
def test_the_verdict_claims_help_only_when_every_comparison_says_so(rows: list[Comparison], begins: str) -> None:
    said = verdict(rows, 5, 0.95)
    assert said.startswith(begins)
    assert said.count(".") - said.count("0.") == 1, "one sentence"
    undecided = [r for r in rows if not r.decides]
    assert ("undecided against" in said) == bool(undecided)


def test_a_verdict_without_comparisons_says_so() -> None:
    assert verdict([], 5, 0.95).startswith("Undecided: the hybrid model was trained without controls")


def test_a_baseline_without_privacy_is_said_to_be_favoured_beside_private_training() -> None:
    hybrid = [0.90, 0.91, 0.92, 0.90, 0.91]
    rows = compare(hybrid, {name: hybrid for name in ("classical_twin", "baseline")}, **EXPERIMENT)
    said = " The tuned logistic regression was trained without privacy: that favours it."
    assert verdict(rows, 5, 0.95, private=True) == verdict(rows, 5, 0.95) + said
    assert verdict(rows[:1], 5, 0.95, private=True) == verdict(rows[:1], 5, 0.95)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_the_nearest_comparison_has_the_least_p_value_though_intervals_are_cut(scale: float) -> None:
    """Over two splits intervals reach from -1 to 1 whatever the spread; and of p values of 1 the effect decides."""
    hybrid = np.array([0.5, 0.6])
    others = {
        "frozen": hybrid + scale * np.array([0.10, 0.30]),
        "classical_twin": hybrid + scale * np.array([0.15, 0.21]),
        "baseline": hybrid + scale * np.array([0.10, 0.40]),
    }
    rows = compare(hybrid, others, **EXPERIMENT)
    assert [row.outcome for row in rows] == ["undecided"] * 3
    assert f"nearest: {-0.18 * scale:+.3f} against the classical twin" in verdict(rows, 2, 0.95)
    assert "against the same circuit with frozen" in verdict([rows[0], rows[2]], 2, 0.95)


def test_classes_of_which_no_case_was_recognised_are_named() -> None:
    rows = compare([0.97] * 5, {"frozen": [0.97] * 5}, **EXPERIMENT)
    assert verdict(rows, 5, 0.95, missed=["ill"]) == (
        verdict(rows, 5, 0.95) + " The hybrid model recognised no test case of class ill."
    )
    many = verdict([], 5, 0.95, missed=["x" * 50, *"abcdef"])
    assert many.endswith(f"of classes {'x' * 37}..., a, b, c, d and 2 more.")
