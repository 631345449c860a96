"""Rows of one patient: kept together by whatever calibrates, and counted once in what is promised of new patients."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import proportion_confint

from superpose.datasets import Table
from superpose.errors import SpecError
from superpose.explain import model_card
from superpose.explain.calibration_section import groups_said
from superpose.explain.group_words import groups_lines
from superpose.explain.model_section import escaped
from superpose.learning import Predictor, TrainingSpec, admit, run_experiment
from superpose.learning.calibration.conformal import ConformalSets
from superpose.learning.calibration.fitting import check_interval_rows, check_rows, chosen_method, fit_novelty, halves
from superpose.learning.calibration.intervals import NumberInterval
from superpose.learning.calibration.ranks import bound_of
from superpose.learning.calibration.report import fit_safeguards
from superpose.learning.calibration.spec import CalibrationSpec
from superpose.learning.shares import interval_of_mean, interval_of_share, wilson_interval
from superpose.learning.splitting import groups_of, splits_of

from .test_maps import overconfident

Floats = NDArray[np.float64]


def sized(n_groups: int, seed: int, most: int = 9) -> NDArray[np.int64]:
    """Groups of 1 to ``most`` rows, in mixed order."""
    rng = np.random.default_rng(seed)
    return rng.permutation(np.repeat(np.arange(n_groups) * 7, rng.integers(1, most + 1, n_groups)))


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_is_numpys_weighted_quantile_and_that_of_rows_where_each_is_a_group(share: float, seed: int) -> None:
    """The quantile of the weighted scores and of an infinite one that has the weight of the new group."""
    groups = sized(40, seed)
    scores = np.random.default_rng([seed, 1]).normal(size=len(groups))
    own = 1.0 / np.unique(groups, return_counts=True)[1][np.unique(groups, return_inverse=True)[1]] / 41
    expected = np.quantile(
        np.append(scores, np.inf), share, weights=np.append(own, 1 / 41), method="inverted_cdf"
    )  # fmt: skip
    bound, promised = bound_of(scores, share, groups)
    assert bound == expected
    assert share <= promised <= 40 / 41
    assert promised == pytest.approx(own[scores <= bound].sum())
    rank = int(np.ceil((len(scores) + 1) * share - 1e-9))
    alone = (float(np.sort(scores)[rank - 1]), rank / (len(scores) + 1))
    assert bound_of(scores, share) == alone
    assert bound_of(scores, share, np.arange(len(scores))[::-1]) == pytest.approx(alone)


def visits(n_patients: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Half the patients are easy and come 15 times, half are hard and come once or twice; rows of one are alike."""
    hard = rng.random(n_patients) < 0.5
    groups = np.repeat(np.arange(n_patients), np.where(hard, rng.integers(1, 3, n_patients), 15))
    right = np.clip(np.where(hard, 0.3, 0.9) + 0.2 * rng.random(n_patients) - 0.1, 0.0, 1.0)[groups]
    return np.stack([right, (1 - right) * 0.6, (1 - right) * 0.4], axis=1), np.zeros(len(groups), np.int64), groups


def test_sets_hold_the_true_class_of_a_new_patients_row_as_often_as_promised_and_rows_alone_do_not() -> None:
    """A row at random of a new patient, in 2,000 trials of 30 patients. Fails by chance once in 10**6."""
    rng, n_trials, coverage, covered, alone = np.random.default_rng(3), 2_000, 0.8, 0, 0
    for _ in range(n_trials):
        rows, truth, groups = visits(31, rng)
        held, (new, *_) = groups < 30, np.flatnonzero(groups == 30)
        for known in (groups[held], None):
            found = ConformalSets.from_rows("lac", coverage, rows[held], truth[held], known)
            is_in = bool(found.sets(rows[[new]])[0, 0])
            covered, alone = (covered, alone + is_in) if known is None else (covered + is_in, alone)
    assert covered >= binom.ppf(1e-6, n_trials, coverage)
    assert alone < binom.ppf(1e-6, n_trials, coverage)


def test_intervals_of_numbers_hold_those_of_a_new_patient_as_often_as_promised_and_rows_alone_do_not() -> None:
    rng, n_trials, coverage, covered, alone = np.random.default_rng(4), 2_000, 0.8, 0, 0
    for _ in range(n_trials):
        hard = rng.random(31) < 0.5
        groups = np.repeat(np.arange(31), np.where(hard, 1, 15))
        residuals = (np.where(hard, 5.0, 1.0) * rng.normal(size=31))[groups]
        held, new = groups < 30, residuals[-1]
        by_group = NumberInterval.from_residuals(coverage, residuals[held], groups[held])
        by_row = NumberInterval.from_residuals(coverage, residuals[held])
        covered += by_group.below <= new <= by_group.above
        alone += by_row.below <= new <= by_row.above
        assert NumberInterval.from_dict(by_group.to_dict()) == by_group
    assert (by_group.n_groups, by_row.n_groups) == (30, None)
    assert "n_groups" not in by_row.to_dict()
    assert covered >= binom.ppf(1e-6, n_trials, coverage)
    assert alone < binom.ppf(1e-6, n_trials, coverage)


def test_too_few_groups_are_refused_however_many_rows_they_have() -> None:
    groups, rows = np.repeat(np.arange(8), 50), np.full((400, 2), 0.5)
    assert ConformalSets.from_rows("lac", 0.9, rows, np.zeros(400, int)).n_groups is None
    with pytest.raises(ValueError, match="at least 9 groups of rows, got 8"):
        ConformalSets.from_rows("lac", 0.9, rows, np.zeros(400, int), groups)
    with pytest.raises(ValueError, match="at least 9 groups of rows, got 8"):
        NumberInterval.from_residuals(0.8, np.zeros(400), groups)
    asked = CalibrationSpec.from_dict({"method": "temperature", "conformal": {"coverage": 0.9}})
    check_rows(asked, 400)
    told = r"at least 20 groups \(patients\) of validation rows, .* leaves 8 with 400 rows"
    with pytest.raises(SpecError, match=told) as caught:
        check_rows(asked, 400, groups)
    assert caught.value.field == "calibration.method"
    check_interval_rows(0.8, 400)
    with pytest.raises(SpecError, match=r"at least 9 groups .* leaves 8 with 400 rows"):
        check_interval_rows(0.8, 400, groups)


@pytest.mark.parametrize("seed", range(3))
def test_halves_part_no_group_and_share_groups_and_classes_out(seed: int) -> None:
    groups = sized(61, seed)
    ill = np.random.default_rng(seed).random(61) < 0.3
    truth = ill[groups // 7].astype(int)
    first, second = halves(truth, seed, groups)
    assert sorted([*first, *second]) == list(range(len(groups)))
    assert not set(groups[first]) & set(groups[second])
    assert (len(set(groups[first])), len(set(groups[second]))) == (30, 31)
    n_ill = [len(set(groups[part][truth[part] == 1])) for part in (first, second)]
    assert abs(n_ill[0] - n_ill[1]) <= 1
    alone = halves(truth, seed)
    for ours, expected in zip(halves(truth, seed, np.arange(len(groups))), alone, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_curve_that_knows_patients_by_heart_is_not_chosen_for_it() -> None:
    """Ten rows alike of each of 60 patients: folds of rows let isotonic curves remember, folds of patients do not."""
    once, truth = overconfident(60, 2, 1.0, 5)
    rows, classes, groups = (np.repeat(one, 10, axis=0) for one in (once, truth, np.arange(60)))
    assert chosen_method(rows, classes, 0)[0] == "isotonic"
    method, losses = chosen_method(rows, classes, 0, groups)
    assert method != "isotonic"
    assert set(losses) == {"none", "temperature"}  # 48 patients are too few for isotonic, however many rows
    more, truth = overconfident(100, 2, 1.0, 5)
    rows, classes, groups = (np.repeat(one, 10, axis=0) for one in (more, truth, np.arange(100)))
    method, losses = chosen_method(rows, classes, 0, groups)
    assert set(losses) == {"none", "temperature", "isotonic"}
    assert losses["isotonic"] > chosen_method(rows, classes, 0)[1]["isotonic"] + 0.01
    assert losses["isotonic"] > losses["none"]


def test_what_is_fitted_on_one_half_of_the_groups_makes_sets_from_the_other() -> None:
    groups = sized(60, 1)
    rows, truth = overconfident(len(groups), 3, 2.0, 6)
    spec = CalibrationSpec.from_dict({"method": "temperature", "conformal": {"coverage": 0.8}})
    encoded = np.random.default_rng(0).normal(size=(len(groups), 2))
    asked: dict[str, Any] = {"probabilities": rows, "truth": truth, "novelty": fit_novelty(encoded, encoded), "seed": 2}
    found = fit_safeguards(spec, **asked, groups=groups)
    first, second = halves(truth, 2, groups)
    assert found.facts["groups"] == {"validation": 60, "calibration": 30, "conformal": 30}
    assert (found.facts["calibration"], found.facts["conformal"]) == (len(first), len(second))
    assert found.calibration is not None
    answered = found.calibration.apply(rows[second])
    assert found.sets == ConformalSets.from_rows("lac", 0.8, answered, truth[second], groups[second])
    assert ConformalSets.from_dict(found.sets.to_dict()) == found.sets
    assert fit_safeguards(spec, **asked).facts["groups"] is None


def test_novelty_counts_patients() -> None:
    """One patient of 20, seen a hundred times, is the least usual: of new patients one in 21 is expected to be so."""
    rng = np.random.default_rng(7)
    train = rng.normal(size=(300, 2))
    groups = np.concatenate([np.arange(19), np.full(100, 19)])
    held = np.concatenate([rng.normal(size=(19, 2)), np.full((100, 2), 4.0) + 0.01 * rng.normal(size=(100, 2))])
    score = fit_novelty(train, held, groups)
    assert score.threshold == pytest.approx(score.scores(held).max())
    assert (score.n_rows, score.expected_share) == (20, pytest.approx(1 / 21))
    assert fit_novelty(train, held).expected_share < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_intervals_over_groups_are_those_of_statsmodels_cluster_variance(seed: int) -> None:
    groups = sized(25, seed)
    rng = np.random.default_rng(seed)
    right = rng.random(len(groups)) < rng.beta(2, 1, 25)[groups // 7]
    fitted = OLS(right.astype(float), np.ones(len(right))).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )  # fmt: skip
    assert interval_of_mean(right.astype(float), 0.9, groups) == pytest.approx(fitted.conf_int(0.1)[0])
    alone = OLS(right.astype(float), np.ones(len(right))).fit()
    assert interval_of_mean(right.astype(float), 0.9) == pytest.approx(alone.conf_int(0.1)[0])
    n, student = len(right), alone.conf_int(0.1)[0] - right.mean()
    reach = fitted.conf_int(0.1)[0] - right.mean()
    effective = n * (student[1] / reach[1]) ** 2  # variance and quantile at once
    assert effective < n
    expected = proportion_confint(right.mean() * effective, effective, alpha=0.1, method="wilson")
    assert interval_of_share(right, 0.9, groups) == pytest.approx(expected)
    assert interval_of_share(right, 0.9) == pytest.approx(wilson_interval(int(right.sum()), n, 0.9))
    assert interval_of_share(right, 0.9, rng.permutation(n)) == pytest.approx(interval_of_share(right, 0.9))


def test_an_interval_over_patients_holds_the_share_as_often_as_it_says_and_one_over_rows_does_not() -> None:
    """Patients of 8 rows that are alike; 1,000 draws: 95 % of the intervals hold 0.7, to four standard errors."""
    rng, groups = np.random.default_rng(8), np.repeat(np.arange(40), 8)
    held = np.zeros(2)
    for _ in range(1_000):
        right = rng.random(320) < rng.beta(1.4, 0.6, 40)[groups]
        for place, known in enumerate((groups, None)):
            low, high = interval_of_share(right, 0.95, known)
            held[place] += low <= 0.7 <= high
    assert 0.922 < held[0] / 1_000 < 0.978
    assert held[1] / 1_000 < 0.8


def test_a_share_without_variance_counts_groups() -> None:
    groups = np.repeat(np.arange(6), 20)
    assert interval_of_share(np.ones(120, bool), 0.95, groups) == pytest.approx(wilson_interval(6, 6, 0.95))
    assert interval_of_mean(np.ones(3), 0.95, np.zeros(3, int)) == (-np.inf, np.inf)


def table(*, patients: bool = True) -> Table:
    """Ninety patients of three or four visits; what is measured tells the outcome, and who it is tells the rest."""
    rng = np.random.default_rng(9)
    who = rng.permutation(np.repeat(np.arange(90), rng.integers(3, 5, 90)))
    dose, luck = rng.normal(size=len(who)), rng.normal(size=90)[who]
    columns: dict[str, Any] = {"dose": dose, "age": rng.normal(50, 10, len(who))}
    if patients:
        columns["patient"] = np.array([f"p{one}" for one in who], dtype=object)
    outcome = np.where(dose + 0.8 * luck > 0.2, "ill", "well").astype(object)
    return Table.from_columns("visits", columns, "outcome", outcome)


def spec_of(**sections: Any) -> TrainingSpec:
    return TrainingSpec.from_dict(
        {
            "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
            "training": {"epochs": 2, "batch_size": 64},
            "evaluation": {
                "n_splits": 2,
                "validation_fraction": 0.3,
                "controls": [],
                "baseline": "logistic_regression",
            },
            "calibration": {"method": "temperature", "conformal": {"coverage": 0.8}},
            **sections,
        }
    )


GROUPED = {"split": {"kind": "grouped", "column": "patient"}}
EXCLUDED = {"preprocessing": {"exclude": ["patient"]}}


def test_groups_are_known_by_the_splits_column_or_by_a_column_patient() -> None:
    visits = table()
    who = visits.features["patient"].to_numpy()
    for asked, kept in (
        (GROUPED, True),
        ({"split": {"kind": "k_fold", "column": "patient"}}, True),
        (EXCLUDED, False),
        ({**EXCLUDED, "split": {"kind": "k_fold"}}, False),
    ):
        found = groups_of(spec_of(**asked), visits)
        assert found is not None
        assert (found.column, found.kept_together) == ("patient", kept)
        assert len(set(zip(who, found.members.tolist(), strict=True))) == len(set(who)) == len(set(found.members))
    assert groups_of(spec_of(), table(patients=False)) is None
    gaps = Table.from_columns(
        "gaps", {"patient": np.array(["a", None, "a", None, "b"], dtype=object), "x": np.arange(5.0)}, "y",
        np.array(["u", "v", "u", "v", "u"], dtype=object),
    )  # fmt: skip
    found = groups_of(spec_of(), gaps)
    assert found is not None
    assert found.members[0] == found.members[2]
    assert len(set(found.members)) == 4
    same = Table.from_columns(
        "same", {"patient": np.array(["a"] * 4, dtype=object), "x": np.arange(4.0)}, "y",
        np.array(["u", "v", "u", "v"], dtype=object),
    )  # fmt: skip
    assert groups_of(spec_of(), same) is None


def test_too_few_patients_are_refused_before_training() -> None:
    few = spec_of(**GROUPED, evaluation={"n_splits": 2, "validation_fraction": 0.1})
    admit(spec_of(**GROUPED), table())
    with pytest.raises(SpecError, match=r"at least 20 groups \(patients\) of validation rows"):
        admit(few, table())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (GROUPED, "promise of the prediction sets is for a row picked at random from those of a new group"),
        (EXCLUDED, r"have training rows too: for groups that training did not see nothing is promised"),
        ({}, r"Which rows belong together \(to one patient\) was not known"),
    ],
)
def test_an_experiment_keeps_patients_together_and_says_so(asked: dict[str, Any], said: str, tmp_path: Path) -> None:
    known, spec = bool(asked), spec_of(**asked)
    visits = table(patients=known)
    result = run_experiment(spec, visits, tmp_path)
    found, split = result.evaluation["calibration"], splits_of(spec, visits)[0]
    manifest = Predictor.load(result.model_path).manifest
    card = model_card(manifest)
    assert re.search(said, card)
    assert groups_said(found)[0] in card
    for line in groups_lines(result.evaluation):
        assert escaped(line) in card
    (comparison,), baseline = result.evaluation["comparisons"], result.evaluation["models"]["baseline"]
    assert baseline["folds"] == [{"n": 4, "of": "groups" if known else "rows"}] * 2
    assert ("groups to decide" in card) == known
    if not known:
        assert result.evaluation["groups"] is None
        assert comparison["cases"]["n_groups"] is None
        assert "Which cases belong together" in card
        assert found["n_groups"] is None
        assert found["rows"]["groups"] is None
        assert "n_groups" not in found["conformal"]
        return
    who = visits.features["patient"].to_numpy()
    held, test = who[split.validation], who[split.test]
    facts = found["rows"]["groups"]
    assert facts["calibration"] + facts["conformal"] == facts["validation"] == len(set(held))
    assert facts["also_in_training"] == len(set(held) & set(who[split.train]))
    assert (facts["also_in_training"] == 0) == (asked is GROUPED)
    assert found["n_groups"] == len(set(test))
    assert found["conformal"]["n_groups"] == facts["conformal"]
    assert f"{found['rows']['calibration']} validation rows of {facts['calibration']} groups" in card
    assert comparison["cases"]["n_groups"] == result.evaluation["groups"]["n_groups_of_cases"]
    assert "4 folds of whole groups" in card
    assert ("does not keep the 90 groups" in card) == (asked is EXCLUDED)
    assert result.evaluation["groups"]["column"] == "patient"
    assert result.evaluation["groups"]["n_groups"] == 90
    assert result.evaluation["groups"]["kept_together"] == (asked is GROUPED)


def test_files_of_releases_before_say_nothing_of_groups() -> None:
    assert groups_said({"rows": {"calibration": 10}, "conformal": None}) == []
