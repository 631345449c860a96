"""Two models on the same rows: intervals against statsmodels and SciPy and by how often they hold, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, norm, ttest_rel
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from superpose import HybridClassifier
from superpose.datasets import builtin_table
from superpose.errors import DatasetTargetError, ModelPredictsNumbersError, SpecError
from superpose.explain import external_report
from superpose.learning import HybridRegressor, Predictor
from superpose.learning.areas import auc_difference
from superpose.learning.external_validation import external_validation
from superpose.learning.paired_validation import paired_validation
from superpose.learning.paired_words import paired_summary
from superpose.learning.shares import difference_of_paired_shares, effect_of_groups, paired_shares_are_near


def pairs(rng: np.random.Generator, n: int, shares: tuple[float, float], alike: float) -> tuple[np.ndarray, np.ndarray]:
    """Of n cases which the first is right on and which the second, with these shares, alike by a common cause."""
    common = rng.normal(size=n)
    return tuple(  # type: ignore[return-value]  # two of them
        alike**0.5 * common + (1.0 - alike) ** 0.5 * rng.normal(size=n) < norm.ppf(share) for share in shares
    )


def test_a_difference_of_paired_shares_is_made_of_wilsons_intervals_and_their_correlation() -> None:
    counts = {(True, True): 36, (True, False): 12, (False, True): 2, (False, False): 7}
    cases = np.array([one for one, n in counts.items() for _ in range(n)])
    difference, low, high = difference_of_paired_shares(cases[:, 0], cases[:, 1], 0.95)
    n, first, second = 57, 48 / 57, 38 / 57
    (low_1, high_1), (low_2, high_2) = (proportion_confint(k, n, method="wilson") for k in (48, 38))
    phi = (36 * 7 - 12 * 2 - n / 2) / np.sqrt(48 * 9 * 38 * 19)
    assert difference == pytest.approx(10 / 57)
    down, up = first - low_1, high_2 - second
    assert difference - low == pytest.approx(np.sqrt(down**2 - 2 * phi * down * up + up**2))
    down, up = second - low_2, high_1 - first
    assert high - difference == pytest.approx(np.sqrt(down**2 - 2 * phi * down * up + up**2))
    never = difference_of_paired_shares(np.ones(40, bool), np.ones(40, bool), 0.95)
    assert never == pytest.approx((0.0, proportion_confint(40, 40, method="wilson")[0] - 1.0, -never[1]))


@pytest.mark.parametrize(("shares", "n"), [((0.9, 0.8), 60), ((0.95, 0.95), 100), ((0.7, 0.6), 40)])
def test_it_holds_as_often_as_it_says(shares: tuple[float, float], n: int) -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(1_000):
        _, low, high = difference_of_paired_shares(*pairs(rng, n, shares, 0.6), 0.95)
        held += low <= shares[0] - shares[1] <= high
    assert 0.935 < held / 1_000 < 0.99


def test_of_cases_that_hang_together_it_is_as_wide_as_of_so_many_groups() -> None:
    rng = np.random.default_rng(1)
    first, second = pairs(rng, 80, (0.85, 0.75), 0.5)
    once = difference_of_paired_shares(first, second, 0.95)
    often = np.repeat(np.arange(80), 5)
    found = difference_of_paired_shares(first[often], second[often], 0.95, often)
    assert found == pytest.approx(once, abs=0.01)
    alone = difference_of_paired_shares(first[often], second[often], 0.95)
    assert alone[2] - alone[1] < 0.6 * (once[2] - once[1])


def cases_of(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """So many cases that both, one alone, or neither is right on."""
    numbers = (both, first, second, neither)
    return np.repeat([True, True, False, False], numbers), np.repeat([True, False, True, False], numbers)


@pytest.mark.parametrize(("first", "second", "margin"), [(0, 5, 0.02), (3, 5, 0.02), (40, 42, 0.05), (1, 9, 0.1)])
def test_shares_are_near_where_tangos_score_tests_rule_the_margin_out(first: int, second: int, margin: float) -> None:
    """The share that one alone is right on, were the difference the margin, as the maximum of the likelihood."""
    n = 500
    scores = []
    for one, other in ((first, second), (second, first)):
        q = np.linspace(margin, 0.5, 200_001)[1:]  # that the other alone is right on
        likelihood = other * np.log(q) + one * np.log(q - margin) + (n - one - other) * np.log(1.0 + margin - 2.0 * q)
        best = q[likelihood.argmax()]
        scores.append((one - other + n * margin) / np.sqrt(n * (2.0 * best - margin - margin**2)))
    rejected = norm.sf(min(scores))  # by the test that rejects last
    cases = cases_of(400, first, second, n - 400 - first - second)
    assert paired_shares_are_near(*cases, margin, min(rejected * 1.001, 0.499))
    assert not paired_shares_are_near(*cases, margin, rejected * 0.999)


def test_groups_that_may_differ_wholly_are_worth_no_more_than_so_many_cases() -> None:
    same, often = np.ones(60, dtype=bool), np.repeat(np.arange(12), 5)
    assert effect_of_groups(same, same, often) == 5.0
    other = same & (often > 3)  # four groups differ wholly
    assert effect_of_groups(same, other, often) == 5.0
    spread = same & (np.arange(60) % 5 > 0)  # each in one of its cases
    assert effect_of_groups(same, spread, often) == pytest.approx((12 + 25) / (12 + 5))
    assert effect_of_groups(same, other, np.arange(60)) == 1.0


def test_a_difference_of_areas_is_delongs() -> None:
    """The variance of two correlated areas, from the covariance of the placements of both scores."""
    rng = np.random.default_rng(2)
    ill = np.arange(90) < 35
    common = rng.normal(size=90) + 1.2 * ill
    scores = [common + rng.normal(size=90) for _ in range(2)]
    sides = [(-one[ill], -one[~ill]) for one in scores]
    difference, low, high = auc_difference(sides[0], sides[1], 0.9)
    areas = [roc_auc_score(ill, one) for one in scores]
    assert difference == pytest.approx(areas[0] - areas[1])
    above = [np.greater.outer(one[ill], one[~ill]) for one in scores]
    of_ill, of_well = (np.cov([kernel.mean(axis=axis) for kernel in above]) for axis in (1, 0))
    covariance = of_ill / 35 + of_well / 55
    reach = norm.ppf(0.95) * np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert (low, high) == pytest.approx((difference - reach, difference + reach))
    same, *ends = auc_difference(sides[0], sides[0], 0.9)
    assert same == 0.0 and ends == [None, None]


def test_of_groups_its_variance_is_that_of_their_sums() -> None:
    """Of the influences of all cases, summed in each group; few groups have Student's quantiles."""
    rng = np.random.default_rng(3)
    members, ill = np.repeat(np.arange(50), 3), np.arange(150) % 5 < 2
    common = np.repeat(rng.normal(size=50), 3) + ill
    scores = [common + rng.normal(size=150) for _ in range(2)]
    found = auc_difference(*[(-one[ill], -one[~ill]) for one in scores], 0.95, (members[ill], members[~ill]))
    above = [np.greater.outer(one[ill], one[~ill]).astype(float) for one in scores]
    placed = np.empty(150)
    placed[ill], placed[~ill] = ((above[0] - above[1]).mean(axis=axis) for axis in (1, 0))
    share = np.where(ill, 1 / ill.sum(), 1 / (~ill).sum())
    scored = (placed - found[0]) * share
    variance = float(np.sum(np.bincount(members, weights=scored) ** 2)) * 50 / 49
    assert found[1] is not None and found[2] is not None
    assert (found[2] - found[1]) / 2 == pytest.approx(norm.ppf(0.975) * np.sqrt(variance), rel=0.06)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, Predictor]:
    """Two models of two classes, the first of 30 columns, the second of three."""
    table, place = builtin_table("breast_cancer"), tmp_path_factory.mktemp("paired")
    for name, n_columns in (("wide", 30), ("narrow", 3)):
        made = HybridClassifier(n_qubits=2, layers=1, epochs=4, random_state=0)
        made.fit(table.features.iloc[:300, :n_columns], table.target.iloc[:300]).save(place / f"{name}.superpose")
    return Predictor.load(place / "wide.superpose"), Predictor.load(place / "narrow.superpose")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    table = builtin_table("breast_cancer")
    frame = table.features.iloc[300:].assign(diagnosis=table.target.iloc[300:].to_numpy())
    return frame.assign(patient=np.arange(269) // 2)


def beside_answers(model: Predictor, rows: pd.DataFrame, first: np.ndarray, second: np.ndarray) -> pd.DataFrame:
    """As many rows, with a truth that the model is right on in these cases and a reader's answers that are in those."""
    frame = rows.iloc[np.arange(len(first)) % len(rows)].reset_index(drop=True)
    said = np.array(model.predict(frame[list(model.feature_names)]))
    wrong = np.where(said == "benign", "malignant", "benign")
    truth = np.where(first, said, wrong)
    return frame.assign(diagnosis=truth, reader=np.where(first == second, said, wrong))


def test_equal_is_not_said_where_the_margin_is_as_likely(
    models: tuple[Predictor, Predictor], rows: pd.DataFrame
) -> None:
    """Of 500 rows the reader alone is right on 5: were the margin true, it would be so few of them in 67 of 1,000."""
    frame = beside_answers(models[0], rows, *cases_of(300, 0, 5, 195))
    found = paired_validation(models[0], "reader", frame, target="diagnosis")
    assert (found["only_first_right"], found["only_second_right"], found["said"]) == (0, 5, "undecided")
    frame = beside_answers(models[0], rows, *cases_of(300, 0, 4, 196))
    assert paired_validation(models[0], "reader", frame, target="diagnosis")["said"] == "equal"


def test_one_row_is_told_in_the_singular(models: tuple[Predictor, Predictor], rows: pd.DataFrame) -> None:
    frame = beside_answers(models[0], rows, *cases_of(1, 1, 0, 0)).assign(
        reader=lambda one: one["reader"].mask(one.index == 0)
    )
    summary = " ".join(paired_validation(models[0], "reader", frame, target="diagnosis")["summary"])
    assert "on this 1 row no difference" in summary and "; 1 row the first model alone gets right" in summary
    assert "1 row without an answer of the second model was left out." in summary


def test_ten_patients_that_answers_agree_on_do_not_show_that_they_are_equal(
    models: tuple[Predictor, Predictor], rows: pd.DataFrame
) -> None:
    """Where one patient of 50 is answered otherwise in all rows, ten patients have none of these in 82 of 100."""
    right = np.arange(200) % 10 < 7
    frame = beside_answers(models[0], rows, right, right).assign(patient=np.arange(200) // 20)
    found = paired_validation(models[0], "reader", frame, target="diagnosis", groups="patient")
    assert found["said"] == "undecided" and found["to_call_equal"] > 135  # so many of 50 leave none out, 95 of 100
    assert found["metrics"]["accuracy"]["high"] > 0.05


def test_figures_of_both_are_those_of_each_and_mcnemar_decides(
    models: tuple[Predictor, Predictor], rows: pd.DataFrame
) -> None:
    found = paired_validation(*models, rows, names=("new", "old"), target="diagnosis")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for side, model in zip(("first", "second"), models, strict=True):
        own = external_validation(model, rows, target="diagnosis")["metrics"]
        for name, figure in found["metrics"].items():
            assert figure[side] == pytest.approx(own[name]["value"]), (side, name)
    right = [
        model.predict_proba(rows[list(model.feature_names)]).argmax(axis=1) == (rows["diagnosis"] == "malignant")
        for model in models
    ]
    only = int(np.sum(right[0] & ~right[1])), int(np.sum(right[1] & ~right[0]))
    assert (found["only_first_right"], found["only_second_right"]) == only
    assert found["p"] == pytest.approx(mcnemar([[0, only[0]], [only[1], 0]], exact=True).pvalue)
    assert found["p"] == pytest.approx(binomtest(only[0], sum(only)).pvalue)
    losses = [
        (model.predict_proba(rows[list(model.feature_names)])[:, 1] - (rows["diagnosis"] == "malignant")) ** 2
        for model in models
    ]
    ends = ttest_rel(*losses).confidence_interval(0.95)
    brier = found["metrics"]["brier"]
    assert (brier["low"], brier["high"]) == pytest.approx((ends.low, ends.high))
    assert found["said"] == "better" and found["summary"][0].startswith("new is better than old on these 269 rows")
    turned = paired_validation(*models[::-1], rows, names=("old", "new"), target="diagnosis")
    assert turned["said"] == "worse" and turned["p"] == found["p"]
    for name, figure in turned["metrics"].items():
        same = found["metrics"][name]
        assert (figure["low"], figure["high"]) == pytest.approx((-same["high"], -same["low"]))
    page = external_report(external_validation(models[0], rows, target="diagnosis"), "new", "rows", paired=found)
    assert b"Beside old" in page and f"{found['metrics']['auc']['difference']:+.3f}".encode() in page


def test_equal_needs_rows_enough_and_what_is_open_says_how_many(
    models: tuple[Predictor, Predictor], rows: pd.DataFrame
) -> None:
    wide = models[0]
    same = paired_validation(wide, wide, rows, target="diagnosis")
    assert same["said"] == "equal" and same["summary"][0].startswith("the first model and the second model are equal")
    few = paired_validation(wide, wide, rows.head(60), target="diagnosis", groups="patient")
    assert few["said"] == "undecided" and few["to_decide"] is None and few["to_call_equal"] > 60
    assert few["n_groups"] == 30 and few["metrics"]["accuracy"]["low"] < -0.02
    assert "groups like theirs show both equal within 0.02" in few["summary"][1]
    assert "No number of them would decide a difference of 0" in few["summary"][1]
    one = paired_validation(wide, wide, rows[rows["diagnosis"] == "benign"].head(1), target="diagnosis")
    assert one["metrics"]["auc"]["first"] is None and one["metrics"]["brier"]["low"] is None
    assert one["said"] == "undecided" and paired_summary(one) == one["summary"]


def test_models_that_differ_in_kind_are_refused(
    models: tuple[Predictor, Predictor], rows: pd.DataFrame, tmp_path: Path
) -> None:
    table = builtin_table("iris")
    HybridClassifier(n_qubits=2, layers=1, epochs=1, random_state=0).fit(table.features, table.target).save(
        tmp_path / "iris.superpose"
    )
    with pytest.raises(SpecError, match="must know the same classes"):
        paired_validation(models[0], Predictor.load(tmp_path / "iris.superpose"), rows, target="diagnosis")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(100, 30, 160)})
    frame["price"] = 3_000 * frame["size"] + rng.normal(0, 2_000, 160)
    numbers: list[Any] = []
    for epochs in (1, 15):
        made = HybridRegressor(n_qubits=2, layers=1, epochs=epochs, random_state=0)
        made.fit(frame.iloc[:100, :1], frame["price"][:100]).save(tmp_path / "price.superpose")
        numbers.append(Predictor.load(tmp_path / "price.superpose"))
    with pytest.raises(ModelPredictsNumbersError, match="the first model predicts classes, the second model a number"):
        paired_validation(models[0], numbers[0], rows, target="diagnosis")
    for margin in (0.0, 1.0):
        with pytest.raises(SpecError, match="between 0 and 1"):
            paired_validation(*models, rows, target="diagnosis", margin=margin)
    rest = frame.iloc[100:]
    found = paired_validation(numbers[1], numbers[0], rest, target="price")
    errors = [np.abs(np.array(one.predict(rest[["size"]])) - rest["price"]) for one in numbers]
    ends = ttest_rel(errors[1], errors[0]).confidence_interval(0.95)
    figure = found["metrics"]["mae"]
    assert (figure["low"], figure["high"]) == pytest.approx((ends.low, ends.high))
    assert found["said"] == "better" and "by mean absolute error: -" in found["summary"][0]
    assert paired_validation(numbers[0], numbers[1], rest, target="price")["said"] == "worse"
    assert paired_validation(numbers[0], numbers[0], rest, target="price")["said"] == "undecided"
    frame["guess"] = frame["price"] + 900.0
    guessed = paired_validation(numbers[1], "guess", frame.iloc[100:], target="price", names=("model", "guess"))
    assert guessed["metrics"]["mae"]["second"] == pytest.approx(900.0) and guessed["said"] == "worse"


def test_beside_what_is_in_use(models: tuple[Predictor, Predictor], rows: pd.DataFrame) -> None:
    """A reader's answers stand in a column; they have no probabilities."""
    said = (rows["diagnosis"] == "malignant").astype(int).where(np.arange(269) % 9 > 0, 1)
    frame = rows.assign(reader=said.astype(object).where(np.arange(269) >= 20))
    words: Any = {"target": "diagnosis", "labels": {"1": "malignant", "0": "benign"}, "names": ("new", "reader")}
    found = paired_validation(models[0], "reader", frame, **words)
    assert (found["n_rows"], found["n_without_answer"]) == (249, 20)
    assert list(found["metrics"]) == ["accuracy", "sensitivity", "specificity"]
    seen, truth = said[20:] == 1, rows["diagnosis"][20:] == "malignant"
    assert found["metrics"]["accuracy"]["second"] == pytest.approx(np.mean(seen == truth))
    assert found["metrics"]["specificity"]["second"] == pytest.approx(np.mean(~seen[~truth]))
    assert found["said"] == "better" and found["summary"][-1] == "20 rows without an answer of reader were left out."
    page = external_report(external_validation(models[0], rows, target="diagnosis"), "new", "rows", paired=found)
    assert b"Beside reader" in page
    with pytest.raises(SpecError, match="'writer' is not a column"):
        paired_validation(models[0], "writer", frame, **words)
    with pytest.raises(SpecError, match="has no answer in any row"):
        paired_validation(models[0], "reader", frame.head(20), **words)
    with pytest.raises(DatasetTargetError, match=r"Column 'reader' has '0', '1'; the model knows"):
        paired_validation(models[0], "reader", frame, target="diagnosis")
