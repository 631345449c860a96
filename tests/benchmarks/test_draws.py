"""The two designs of benchmarks/fine_tuning.py: intervals hold what they promise, sets have no row in common."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

draws = pytest.importorskip("draws", reason="the benchmarks are not beside this installation")


def test_training_sets_have_no_row_in_common_and_cases_are_apart() -> None:
    labels = np.array(["a"] * 30 + ["b"] * 70)
    sets, cases = draws.disjoint_sets(labels, 10, 0.5, np.random.default_rng(0))
    everything = np.concatenate([*sets, cases])
    assert len(sets) == 5
    assert len(np.unique(everything)) == len(everything) == 100
    assert all((labels[one] == "a").sum() == 3 and len(one) == 10 for one in sets)
    assert len(draws.drawn(labels, 3, np.random.default_rng(0))) == 4  # two of each class at least


def test_components_give_the_area_and_its_variance_of_delong() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(200) < 0.4
    scores = np.round(rng.normal(size=200) + truth, 1)  # with ties
    positive, negative = draws.components(scores, truth)
    assert positive.mean() == pytest.approx(roc_auc_score(truth, scores))
    assert negative.mean() == pytest.approx(roc_auc_score(truth, scores))


def test_draws_of_one_table_are_a_paired_t_test() -> None:
    values = np.random.default_rng(2).normal(0.3, 1.0, size=25)
    gain = draws.these_patients(values, 0.9)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert (gain.low, gain.high) == pytest.approx((expected.low, expected.high))


def test_readers_of_equal_scores_and_readers_without_common_noise_of_cases() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(4000) < 0.5
    plain = rng.normal(size=(6, 4000)) + truth
    tuned = rng.normal(size=(6, 4000)) + (1.0 + 0.3 * rng.normal(size=(6, 1))) * truth
    gain = draws.new_patients(tuned, plain, truth, 0.95)
    aucs = [[roc_auc_score(truth, row) for row in scores] for scores in (tuned, plain)]
    expected = stats.ttest_rel(*aucs).confidence_interval(0.95)
    assert (gain.low, gain.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_intervals_for_new_patients_miss_as_seldom_as_they_say() -> None:
    """No gain in truth; readers and cases both random. 95 % of 300: outside 270 .. 297 by chance once in 10 000."""
    rng, held = np.random.default_rng(4), 0
    for _ in range(300):
        truth = np.arange(80) < 30
        shared = rng.normal(size=(2, 80))  # what cases do to all readers of a kind
        readers = [
            rng.normal(0.0, 0.3, size=(5, 1)) * truth + shared[kind] + truth + 0.5 * rng.normal(size=(5, 80))
            for kind in (0, 1)
        ]
        gain = draws.new_patients(*readers, truth, 0.95)
        held += gain.low <= 0.0 <= gain.high
    assert 270 <= held <= 298


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.01, 0.3, "gain"),
        (-0.3, -0.01, "loss"),
        (-0.1, 0.01, "no gain that matters"),
        (-0.1, 0.1, "undecided"),
    ],
)
def test_what_an_interval_decides(low: float, high: float, outcome: str) -> None:
    assert draws.outcome_of(draws.Gain(0.0, low, high, 5), 0.02) == outcome
