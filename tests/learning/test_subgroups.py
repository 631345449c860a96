"""Metrics by subgroup: shares, intervals and gaps against hand counts and statsmodels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import permutation_test
from sklearn.metrics import confusion_matrix, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from superpose.datasets import Table
from superpose.datasets.readers import table_from_frame
from superpose.errors import SpecError
from superpose.explain import ReportFacts, model_card, training_report
from superpose.explain.promotion import check_promotion
from superpose.learning import Predictor, TrainingSpec, admit, run_experiment
from superpose.learning.shares import wilson_interval
from superpose.learning.splitting import splits_of
from superpose.learning.subgroups import subgroup_report
from superpose.learning.verdicts import SeenCases


def table_of(n: int) -> Table:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": np.where(np.arange(n) % 10 == 0, np.nan, rng.normal(50, 10, n)),
            "sex": np.where(np.arange(n) % 4 == 0, "f", "m"),
            "outcome": np.where(rng.random(n) < 0.5, "ill", "well"),
        }
    )
    return table_from_frame(frame, name="people", target="outcome")


@pytest.mark.parametrize(("good", "n"), [(0, 5), (3, 7), (50, 50), (180, 400)])
def test_wilson_intervals_are_those_of_statsmodels(good: int, n: int) -> None:
    assert wilson_interval(good, n, 0.9) == pytest.approx(proportion_confint(good, n, alpha=0.1, method="wilson"))


def test_groups_are_counted_by_hand() -> None:
    """Of 200 people the model is always right about men; of women it takes all for well."""
    table = table_of(200)
    truth = np.array([table.classes.index(label) for label in table.target])
    ill = table.classes.index("ill")
    women = (table.features["sex"] == "f").to_numpy()
    said = np.where(women, 1 - ill, truth)
    cases = SeenCases(truth, {"hybrid": np.eye(2)[said]}, positive=ill, places=np.arange(200))
    (by_sex,) = subgroup_report(["sex"], table, cases, 0.95)
    groups = {group["group"]: group for group in by_sex["groups"]}
    assert list(groups) == ["m", "f"]  # the most frequent first
    assert groups["m"]["metrics"]["accuracy"] == groups["m"]["metrics"]["sensitivity"] == 1.0
    assert groups["f"]["n_cases"] == 50
    assert groups["f"]["metrics"]["selection_rate"] == groups["f"]["metrics"]["sensitivity"] == 0.0
    assert groups["f"]["metrics"]["accuracy"] == pytest.approx(np.mean(truth[women] != ill))
    assert by_sex["gaps"]["sensitivity"] == 1.0
    assert by_sex["gaps"]["selection_rate"] == pytest.approx(np.mean(truth[~women] == ill))
    assert by_sex["gaps"]["accuracy"] == pytest.approx(np.mean(truth[women] == ill))


def test_numbers_are_cut_into_quarters_and_small_groups_make_no_gap() -> None:
    table = table_of(44)
    truth = np.array([table.classes.index(label) for label in table.target])
    cases = SeenCases(truth, {"hybrid": np.eye(2)[truth]}, places=np.arange(44))
    (by_age,) = subgroup_report(["age"], table, cases, 0.95)
    assert [group["n_cases"] for group in by_age["groups"]] == [10, 10, 9, 10, 5]
    assert by_age["groups"][0]["group"].startswith("up to ")
    assert by_age["groups"][-1]["group"] == "(missing)"
    assert by_age["gaps"]["accuracy"] == 0.0
    few = SeenCases(truth[:8], {"hybrid": np.eye(2)[truth[:8]]}, places=np.arange(8))
    assert subgroup_report(["sex"], table, few, 0.95)[0]["gaps"]["accuracy"] is None


def report_of(values: np.ndarray) -> dict[str, Any]:
    """The report by one column of 40 cases, of which the model gets the first 20 wrong."""
    frame = pd.DataFrame({"at": values, "outcome": ["ill", "well"] * 20})
    table = table_from_frame(frame, name="people", target="outcome")
    truth = np.array([table.classes.index(label) for label in table.target])
    said = np.where(np.arange(40) < 20, 1 - truth, truth)
    cases = SeenCases(truth, {"hybrid": np.eye(2)[said]}, places=np.arange(40))
    (found,) = subgroup_report(["at"], table, cases, 0.95)
    return found


def test_quarters_that_six_digits_do_not_tell_apart_stay_four_groups() -> None:
    """Seconds since 1970: all quarters of an hour begin with the same six digits."""
    found = report_of(1_764_000_000.0 + 10.0 * np.arange(40) + 0.5)
    assert [group["n_cases"] for group in found["groups"]] == [10, 10, 10, 10]
    assert len({group["group"] for group in found["groups"]}) == 4
    assert found["gaps"]["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        ([0] * 8 + [1] * 32, {"0": 8, "1": 32}),  # a code of which the lower value is rare
        ([0] * 32 + [1] * 8, {"0": 32, "1": 8}),
        ([1] * 3 + [2] * 4 + [4] * 32 + [np.nan], {"1": 3, "2": 4, "4": 32, "(missing)": 1}),
        ([1, 2, 3, 4, 5, 5, 6, 6] + [9] * 32, {"up to 6": 8, "above 6": 32}),  # all quarters end at the greatest
        ([7] * 40, {"7": 40}),
    ],
)
def test_numbers_of_few_values_are_groups_by_value_and_none_swallows_the_rest(
    values: list[float], groups: dict[str, int]
) -> None:
    found = report_of(np.array(values, dtype=np.float64))
    assert {group["group"]: group["n_cases"] for group in found["groups"]} == groups
    assert (found["gaps"]["accuracy"] is None) == (sum(n >= 10 for n in groups.values()) < 2)


def test_a_category_called_other_and_a_column_without_values_make_each_case_count_once() -> None:
    found = report_of(np.array(["(other)", "ward"] * 20, dtype=object))
    assert [(group["group"], group["n_cases"]) for group in found["groups"]] == [("(other)", 20), ("ward", 20)]
    table = table_of(40)
    table.features["age"] = np.nan
    truth = np.array([table.classes.index(label) for label in table.target])
    cases = SeenCases(truth, {"hybrid": np.eye(2)[truth]}, places=np.arange(40))
    (by_age,) = subgroup_report(["age"], table, cases, 0.95)
    assert [(group["group"], group["n_cases"]) for group in by_age["groups"]] == [("(missing)", 40)]


def test_an_experiment_tells_its_subgroups_and_the_card_shows_them(tmp_path: Path) -> None:
    table = table_of(160)
    spec = TrainingSpec.from_dict(
        {
            "training": {"epochs": 2},
            "preprocessing": {"exclude": ["sex"]},
            "evaluation": {"n_splits": 2, "controls": [], "baseline": "none", "subgroups": ["sex", "age"]},
        }
    )
    result = run_experiment(spec, table, tmp_path)
    assert [one["column"] for one in result.evaluation["subgroups"]] == ["sex", "age"]
    for one in result.evaluation["subgroups"]:
        assert sum(group["n_cases"] for group in one["groups"]) >= 32  # the test rows of two splits, each once
    manifest = Predictor.load(result.model_path).manifest
    card = model_card(manifest)
    assert "## Subgroups" in card
    assert "By sex:" in card
    assert "equal opportunity" in card
    assert "nor was fairness beyond the subgroups above" in card and "nothing is compared" not in card
    sex = manifest["evaluation"]["subgroups"][0]
    alone = {**sex, "groups": sex["groups"][:1], "gaps": dict.fromkeys(sex["gaps"])}
    card = model_card({**manifest, "evaluation": {**manifest["evaluation"], "subgroups": [alone]}})
    assert "All test cases are in one group, so that nothing is compared." in card
    assert "Fairness between groups was not examined" in card
    with pytest.raises(SpecError, match=r"evaluation.subgroups.*'ward' is not a column"):
        admit(TrainingSpec.from_dict({"evaluation": {"subgroups": ["ward"]}}), table)


def test_slices_are_of_the_model_as_it_answers_where_calibration_moves_its_labels(tmp_path: Path) -> None:
    """Weights of classes call many ill whom isotonic calibration calls well again: the card said a sensitivity of 0.89
    and 0.75 by sex, of a model that found 0.31 and none.
    """
    rng = np.random.default_rng(0)
    sex, age = rng.choice(["f", "m"], 500), rng.normal(50, 10, 500)
    risk = 1 / (1 + np.exp(3.2 - 0.15 * (age - 50) - 0.8 * (sex == "m")))
    frame = pd.DataFrame({"age": age, "sex": sex, "outcome": np.where(rng.random(500) < risk, "ill", "well")})
    table = table_from_frame(frame, name="people", target="outcome")
    document = {
        "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
        "training": {"epochs": 8, "class_weights": "balanced", "learning_rate": 0.1},
        "calibration": {"method": "isotonic"},
        "evaluation": {
            "n_splits": 2, "controls": [], "baseline": "none", "subgroups": ["sex"], "positive_class": "ill"
        },
    }  # fmt: skip
    spec = TrainingSpec.from_dict(document)
    result = run_experiment(spec, table, tmp_path)
    predictor = Predictor.load(result.model_path)
    test = splits_of(spec, table)[0].test
    rows, truth = table.features.iloc[test], table.target.to_numpy()[test]
    said = np.array(predictor.predict(rows))
    (by_sex,) = result.evaluation["model_subgroups"]
    for group in by_sex["groups"]:
        own = (rows["sex"] == group["group"]).to_numpy()
        assert group["n_cases"] == own.sum()
        assert group["metrics"]["selection_rate"] == pytest.approx(np.mean(said[own] == "ill"))
        assert group["metrics"]["sensitivity"] == pytest.approx(np.mean(said[own & (truth == "ill")] == "ill"))
    of_splits = {group["group"]: group["metrics"] for group in result.evaluation["subgroups"][0]["groups"]}
    assert all(of_splits[one["group"]]["selection_rate"] > 2 * np.mean(said == "ill") for one in by_sex["groups"])
    own = result.evaluation["model_cases"]["models"]["hybrid"]
    np.testing.assert_array_equal(own["confusion"], confusion_matrix(truth, said, labels=list(table.classes)))
    shares = predictor.predict_proba(rows)[:, list(table.classes).index("ill")]
    assert own["roc"][0]["auc"] == pytest.approx(roc_auc_score(truth == "ill", shares))
    manifest = predictor.manifest
    card, report = model_card(manifest), training_report(ReportFacts(manifest=manifest)).decode()
    assert card.index("**This very model**, as it answers") < card.index("before calibration. Test cases counted once")
    assert "on the test rows of its own split, as it answers: calibrated, which no other row is" in card
    assert "By sex, this very model as it answers" in report and "calibrated, which no other row is" in report
    right = int(np.sum(said == truth))
    assert f"registered model as it answers, after calibration: {right} of {len(said)} cases" in report
    assert "in the first split that tests it, before calibration" in report
    few = {"column": "sex", "groups": [dict(group, n_cases=9) for group in by_sex["groups"]], "gaps": by_sex["gaps"]}
    evaluation = {**manifest["evaluation"], "model_subgroups": [few]}
    asked = {one.name: one for one in check_promotion({**manifest, "evaluation": evaluation}, {}, {}).requirements}
    assert not asked["subgroups"].met and "fewer than two groups have 10 test cases" in asked["subgroups"].how


@pytest.mark.parametrize("alike", [False, True])
def test_beside_gaps_stands_what_chance_makes_of_them(alike: bool) -> None:
    """SciPy's permutation test deals cases, or whole patients of five, out to the groups anew."""
    rng = np.random.default_rng(3)
    table = table_of(400)
    women = (table.features["sex"] == "f").to_numpy()
    place = np.empty(400, dtype=np.int64)
    for own in (women, ~women):
        place[own] = np.arange(own.sum())
    patients = np.where(women, 1_000, 0) + place // 5
    right = (rng.random(2_000) < 0.8)[patients] if alike else rng.random(400) < 0.8
    truth = np.array([table.classes.index(label) for label in table.target])
    said = np.eye(2)[np.where(right, truth, 1 - truth)]
    cases = SeenCases(truth, {"hybrid": said}, groups=patients if alike else None, places=np.arange(400))
    (by_sex,) = subgroup_report(["sex"], table, cases, 0.95)
    assert by_sex["gaps"]["accuracy"] == pytest.approx(abs(right[women].mean() - right[~women].mean()))
    unit = 5 if alike else 1
    dealt = permutation_test(
        (right[women][::unit], right[~women][::unit]),
        lambda a, b, axis: np.abs(a.mean(axis=axis) - b.mean(axis=axis)),
        vectorized=True, n_resamples=5_000, random_state=rng,
    )  # fmt: skip
    expected = np.quantile(dealt.null_distribution, 0.95)
    found = by_sex["gaps_by_chance"]["accuracy"]
    assert 0.85 * expected < found < 1.3 * expected  # of patients it is rather too large; of their rows alone half
    few = subgroup_report(["sex"], table, replace(cases, places=np.arange(400)[::-1]), 0.5)[0]["gaps_by_chance"]
    assert few["accuracy"] < found
