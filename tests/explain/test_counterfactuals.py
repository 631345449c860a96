"""Counterfactuals: true of the model, within what may change, small against a fine grid, different from one another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.explain.conftest import trained

from superpose.datasets import Table
from superpose.datasets.readers import table_from_frame
from superpose.errors import ExplanationError, FeatureMismatchError
from superpose.explain import Counterfactual, CounterfactualOptions, counterfactuals
from superpose.explain.counterfactual_search import Goal, Move, Mover, smallest
from superpose.explain.counterfactuals import _limits as limits_of
from superpose.learning import Predictor, read_model
from superpose.learning.calibration.maps import Isotonic
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.model_file import ModelFile, encode_model

Mixed = tuple[Predictor, list[dict[str, Any]]]


def applied(row: dict[str, Any], one: Counterfactual) -> dict[str, Any]:
    return row | {change.column: change.after for change in one.changes}


def test_a_search_whose_client_goes_ends_at_the_next_rows(predictor: Predictor, cancer: Table) -> None:
    rows, n_looks, last = cancer.features.iloc[:3], 0, 5

    class Gone(Exception):
        """The client's."""

    def look() -> None:
        nonlocal n_looks
        n_looks += 1
        if n_looks == last:
            raise Gone

    with pytest.raises(Gone):
        counterfactuals(predictor, rows, look=look)
    assert n_looks == 5
    last = 0
    assert counterfactuals(predictor, rows, look=look) == counterfactuals(predictor, rows)
    assert n_looks > 20  # in the midst of a row's search too


def test_the_model_itself_gives_the_new_label_and_all_stays_within_what_was_seen(
    predictor: Predictor, cancer: Table
) -> None:
    rows = cancer.features.iloc[[0, 3, 19, 20, 40, 60]].to_dict("records")
    found = counterfactuals(predictor, rows)
    assert [few.label for few in found] == predictor.predict(rows)
    assert sum(bool(few.found) for few in found) >= 4
    preprocessor = predictor.model.preprocessor
    assert preprocessor.low is not None and preprocessor.high is not None
    names = [name for _, name in preprocessor.columns.numbers]
    for row, few in zip(rows, found, strict=True):
        for one in few.found:
            changed = applied(row, one)
            assert predictor.predict([changed]) == [one.label] != [few.label]
            assert one.probability == pytest.approx(predictor.predict_proba([changed]).max(), abs=1e-9)
            assert 1 <= len(one.changes) <= 4
            sizes = []
            for change in one.changes:
                place = names.index(change.column)
                low, high = preprocessor.low[place], preprocessor.high[place]
                assert change.before == row[change.column]
                assert low <= change.after <= high  # type: ignore[operator]
                sizes.append(abs(change.after - change.before) / (high - low))  # type: ignore[operator]
            assert one.distance == pytest.approx(sum(sizes))
            assert sizes == sorted(sizes, reverse=True)


def test_plateaus_of_isotonic_calibration_hide_no_way_to_another_label(predictor: Predictor, cancer: Table) -> None:
    """On a level curve the search saw no way, nor that of equal probabilities the first class is the label: of a model
    of this table it found nothing for 47 % of the rows where a smooth curve with the same labels left 25 %.
    """
    rows = cancer.features.iloc[[0, 3, 19, 20, 40, 60]]
    curves = (
        ([0.004, 0.03, 0.04, 0.53, 0.56, 0.87, 0.88, 0.99], [0.01, 0.01, 0.1, 0.1, 0.5, 0.5, 0.9, 0.9]),
        ([0.0, 0.87, 1.0], [0.001, 0.5, 0.999]),  # the same labels
    )
    found = []
    for given, becomes in curves:
        safeguards = Safeguards(calibration=Isotonic(((np.array(given), np.array(becomes)),)))
        made = Predictor(read_model(encode_model(predictor.model, None, safeguards)[0]))
        found.append(counterfactuals(made, rows, CounterfactualOptions(n=1, max_changes=2)))
        for row, few in zip(rows.to_dict("records"), found[-1], strict=True):
            assert all(made.predict([applied(row, one)]) == [one.label] != [few.label] for one in few.found)
    stairs, smooth = ([[one.changes for one in few.found] for few in each] for each in found)
    assert stairs == smooth and sum(map(bool, stairs)) > 2


def test_the_later_ones_leave_alone_what_weighed_most_in_those_before(predictor: Predictor, cancer: Table) -> None:
    (few,) = counterfactuals(predictor, cancer.features.iloc[[19]], CounterfactualOptions(n=4))
    assert len(few.found) == 4
    heaviest = [one.changes[0].column for one in few.found]
    assert len(set(heaviest)) == 4
    assert len({frozenset(change.column for change in one.changes) for one in few.found}) == 4
    costs = [one.distance + 0.1 * len(one.changes) for one in few.found]
    assert costs == sorted(costs)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_no_point_of_a_fine_grid_is_much_nearer(norm: str, flowers: tuple[Predictor, Table]) -> None:
    """Two columns may change; the grid has 160 x 160 points."""
    predictor, table = flowers
    names = list(table.features.columns)
    rows = table.features.iloc[[50, 60, 75, 100, 110, 133]]
    options = CounterfactualOptions(n=1, fixed=names[:2], norm=norm)
    preprocessor = predictor.model.preprocessor
    assert preprocessor.low is not None and preprocessor.high is not None
    low, high = preprocessor.low[2:], preprocessor.high[2:]
    grid = np.stack(np.meshgrid(*(np.linspace(a, b, 160) for a, b in zip(low, high, strict=True))), -1).reshape(-1, 2)
    compared = 0
    for few, row in zip(counterfactuals(predictor, rows, options), rows.to_numpy(), strict=True):
        tried = np.concatenate([np.column_stack([np.tile(row[:2], (len(grid), 1)), grid])])
        alone = np.tile(tried, (3, 1))  # also points where one of the columns stays
        alone[len(grid) : 2 * len(grid), 2] = row[2]
        alone[2 * len(grid) :, 3] = row[3]
        reached = predictor.predict_proba(alone).argmax(axis=1) != predictor.predict_proba([row.tolist()]).argmax()
        sizes = np.abs(alone[:, 2:] - row[2:]) / (high - low)
        costs = (sizes.sum(axis=1) if norm == "l1" else np.hypot(*sizes.T)) + 0.1 * (sizes > 0).sum(axis=1)
        if not reached.any():
            assert few.found == ()
            continue
        compared += 1
        (one,) = few.found
        cost = one.distance + 0.1 * len(one.changes)
        assert cost <= 1.05 * costs[reached].min() + 0.01
    assert compared >= 4


def test_categories_are_swapped_and_what_is_fixed_or_missing_stays(mixed: Mixed) -> None:
    predictor, rows = mixed
    found = counterfactuals(predictor, rows, CounterfactualOptions(n=3, fixed=["age"]))
    swaps = [change for few in found for one in few.found for change in one.changes if change.column == "ward"]
    assert swaps
    assert all(change.after in "abc" and change.after != change.before for change in swaps)
    for row, few in zip(rows, found, strict=True):
        for one in few.found:
            columns = {change.column for change in one.changes}
            assert "age" not in columns
            assert row["dose"] is not None or "dose" not in columns
            assert predictor.predict([applied(row, one)]) == [one.label]


def test_a_class_a_probability_and_a_range_can_be_asked_for(flowers: tuple[Predictor, Table]) -> None:
    predictor, table = flowers
    rows = table.features.iloc[[0, 60, 120]]
    wanted = predictor.classes[2]
    found = counterfactuals(predictor, rows, CounterfactualOptions(n=2, to_class=wanted, min_probability=0.6))
    for few in found:
        assert (few.label == wanted) == (few.found == ())  # the row that has the class needs no change
        assert all(one.label == wanted and one.probability >= 0.6 for one in few.found)
    name = table.features.columns[2]
    options = CounterfactualOptions(fixed=[n for n in table.features.columns if n != name], ranges={name: (None, 3.5)})
    for row, few in zip(rows[name], counterfactuals(predictor, rows, options), strict=True):
        for one in few.found:
            assert one.changes[0].column == name
            assert one.changes[0].after <= max(3.5, row)  # type: ignore[operator]


def test_whole_numbers_stay_whole(tmp_path: Any) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"visits": rng.integers(0, 30, 120), "dose": rng.random(120)})
    target = np.where(frame["visits"] + rng.normal(0, 2, 120) > 15, "often", "seldom")
    predictor = trained(table_from_frame(frame.assign(kind=target), name="visits", target="kind"), tmp_path)
    assert predictor.model.preprocessor.whole == {"visits"}
    found = counterfactuals(predictor, frame.iloc[:10], CounterfactualOptions(n=1))
    visits = [c.after for few in found for one in few.found for c in one.changes if c.column == "visits"]
    assert len(visits) >= 5
    assert all(float(value).is_integer() for value in visits)
    between = CounterfactualOptions(n=1, ranges={"visits": (14.2, 14.8)}, max_changes=1)
    beside = counterfactuals(predictor, frame.iloc[:10], between)
    assert not [c for few in beside for one in few.found for c in one.changes if c.column == "visits"]


def test_wide_rows_are_predicted_a_few_at_a_time() -> None:
    sizes = []

    def predict(rows: Any) -> Any:
        sizes.append(rows.size)
        return (np.stack([1 - rows[:, 0], rows[:, 0]], axis=1),) * 2

    goal = Goal(predict, np.zeros(40_000), np.array([False, True]), 0.0, "l1", 0.1)
    mover = Mover.number("x", 0.0, (0.0, 1.0), 1.0, 1e-3, (0, 0.0, 1.0))
    slack = goal.slack([(Move(mover, place / 999),) for place in range(1_000)])
    assert max(sizes) <= 2**22 and sum(sizes) == 40_000_000
    lead = 2 * np.arange(1_000) / 999 - 1
    np.testing.assert_allclose(slack, lead + 3 * np.sign(lead), atol=1e-12)


def test_a_strong_column_that_leads_nowhere_does_not_hide_others() -> None:
    """Values of two such columns filled the beam: of rows of the Cleveland heart table one in a hundred was told that
    nothing changes its label, though two columns did.
    """

    def predict(rows: Any) -> Any:
        share = rows @ [0.2, 0.2, 0.02, 0.02] + 0.5 * (rows[:, 2] > 0.5) * (rows[:, 3] > 0.5)
        return (np.stack([1 - share, share], axis=1),) * 2

    goal = Goal(predict, np.zeros(4), np.array([False, True]), 0.0, "l1", 0.1)
    movers = [Mover.number(f"x{i}", 0.0, (0.0, 1.0), 1.0, 1e-3, (i, 0.0, 1.0)) for i in range(4)]
    found = smallest(goal, movers, 2)
    assert {move.mover.column: move.value for move in found} == pytest.approx({"x2": 0.5, "x3": 0.5}, abs=2e-3)


def test_what_cannot_be_is_told(predictor: Predictor, cancer: Table) -> None:
    rows = cancer.features.iloc[:1]
    names = list(cancer.features.columns)
    with pytest.raises(ExplanationError, match="no column 'age'"):
        counterfactuals(predictor, rows, CounterfactualOptions(fixed=["age"]))
    with pytest.raises(ExplanationError, match="No column may change"):
        counterfactuals(predictor, rows, CounterfactualOptions(fixed=names))
    pixels = replace(predictor.model.preprocessor, low=None, high=None, limits=(0.0, 1.0))
    with pytest.raises(ExplanationError, match=rf"no pixel may change .* within 0 to 1 .* {names[0]}=0\.\.1"):
        limits_of(pixels, CounterfactualOptions())
    with pytest.raises(ExplanationError, match="range from low to high, got 9"):
        counterfactuals(predictor, rows, CounterfactualOptions(ranges={names[0]: (9.0, 8.0)}))
    with pytest.raises(ExplanationError, match="its classes are benign, malignant"):
        counterfactuals(predictor, rows, CounterfactualOptions(to_class="healthy"))
    for wrong in ({"n": 0}, {"n": 11}, {"max_changes": 7}, {"norm": "l3"}, {"min_probability": 2.0}):
        with pytest.raises(ExplanationError, match=f"{next(iter(wrong))} must be"):
            CounterfactualOptions(**wrong)
    for odd in (
        {"n": "a"}, {"n": 2.5}, {"n": True}, {"max_changes": None}, {"min_probability": "x"}, {"fixed": "age"},
        {"ranges": {"age": "x"}}, {"ranges": {"age": 3}}, {"ranges": {"age": (1, "2")}}, {"ranges": ["age"]},
    ):  # fmt: skip
        with pytest.raises(ExplanationError, match=f"{next(iter(odd))} must be"):
            CounterfactualOptions(**odd)
    with pytest.raises(FeatureMismatchError):
        counterfactuals(predictor, [{"age": 3}])


def test_a_model_of_a_release_that_kept_no_ranges_needs_them_given(predictor: Predictor, cancer: Table) -> None:
    model: Any = predictor.model
    parts, arrays = model.preprocessor.to_parts()
    older = type(model.preprocessor).from_parts(parts, {n: a for n, a in arrays.items() if n not in ("low", "high")})
    file: Any = predictor._file
    before = Predictor(ModelFile(**{**vars(file), "model": replace(model, preprocessor=older)}))
    rows = cancer.features.iloc[[19]]
    with pytest.raises(ExplanationError, match="kept no ranges"):
        counterfactuals(before, rows)
    names = list(cancer.features.columns)
    ranges = {name: (float(low), float(high)) for name, low, high in zip(names, *_limits(predictor), strict=True)}
    (few,) = counterfactuals(before, rows, CounterfactualOptions(ranges=ranges))
    assert few == counterfactuals(predictor, rows)[0]


def _limits(predictor: Predictor) -> tuple[Any, Any]:
    preprocessor = predictor.model.preprocessor
    return preprocessor.low, preprocessor.high
