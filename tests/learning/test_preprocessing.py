"""Preprocessing: every way to hand over rows gives the same numbers, and rows that do not fit are refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from superpose.errors import FeatureMismatchError
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.rows import ColumnNames, read_rows
from superpose.learning.spec import PreprocessingSpec

FRAME = pd.DataFrame(
    {
        "age": [50.0, 60.0, np.nan, 70.0, 40.0, 55.0],
        "ward": ["north", "south", None, "south", "south", "north"],
        "dose": [1, 2, 3, 4, 5, 6],
        "grade": ["1", "2", "1", "2", "1", "3"],
    }
)
KINDS = ("number", "category", "number", "category")
OPTIONS = PreprocessingSpec(min_category_rows=2)


def fitted(frame: pd.DataFrame = FRAME, options: PreprocessingSpec = OPTIONS, kinds: Any = KINDS) -> Preprocessor:
    return Preprocessor.fit(frame, list(frame.columns), kinds, options)


def test_missing_numbers_become_the_median_and_missing_categories_the_most_frequent() -> None:
    model = fitted(options=PreprocessingSpec(scaling="none", min_category_rows=2))
    assert model.encoded_names == ("age", "dose", "ward=north", "ward=south", "grade=1", "grade=2")
    np.testing.assert_array_equal(model.transform(FRAME)[2], [55.0, 3.0, 0.0, 1.0, 1.0, 0.0])


def test_rare_categories_are_not_known_and_not_kept() -> None:
    encoded = fitted().encode(FRAME)
    np.testing.assert_array_equal(encoded.values[5, 4:], [0.0, 0.0])
    assert encoded.unknown_categories == {"grade": 1}
    assert "3" not in json.dumps(fitted().to_parts()[0])
    few = fitted(options=PreprocessingSpec(max_categories=1, min_category_rows=1))
    assert few.categories == (("south",), ("1",))


@pytest.mark.parametrize(
    ("scaling", "reference"), [("standard", StandardScaler()), ("robust", RobustScaler()), ("minmax", MinMaxScaler())]
)
def test_scaling_is_that_of_scikit_learn(scaling: str, reference: Any) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(5.0, [1.0, 100.0, 0.0], (40, 3))
    model = Preprocessor.fit(rows, ["a", "b", "c"], ["number"] * 3, PreprocessingSpec(scaling=scaling))
    np.testing.assert_allclose(model.transform(rows), reference.fit_transform(rows), rtol=1e-12, atol=1e-9)


def test_every_way_to_give_rows_gives_the_same_numbers() -> None:
    model = fitted()
    expected = model.transform(FRAME)
    mappings = [{k: None if v != v else v for k, v in row.items()} for row in FRAME.to_dict("records")]
    lists = [list(row.values()) for row in mappings]
    shuffled = [{key: row[key] for key in ("grade", "dose", "age", "ward")} for row in mappings]
    ways = [FRAME[["dose", "grade", "ward", "age"]], mappings, shuffled, lists, tuple(lists), FRAME.to_numpy(object)]
    for rows in [*ways, FRAME.astype({"dose": "Int64", "age": "Float64", "ward": "category"})]:
        np.testing.assert_array_equal(model.transform(rows), expected)
    assert json.loads(json.dumps(mappings)) == mappings


def test_categories_are_known_by_their_text_whatever_their_type() -> None:
    model = fitted()
    rows = [{"age": 50, "ward": "south", "dose": 1, "grade": grade} for grade in ("2", 2, 2.0, np.int64(2), " 2 ")]
    encoded = model.transform(rows)
    assert (encoded == encoded[0]).all()
    flags = pd.DataFrame({"smoker": ["true", "false", "true", "false"]})
    spoken = Preprocessor.fit(flags, ["smoker"], ["category"], OPTIONS)
    np.testing.assert_array_equal(spoken.transform([[True], [False]]), [[0.0, 1.0], [1.0, 0.0]])


def test_truth_values_are_the_categories_that_a_file_wrote_in_its_own_way() -> None:
    for no, yes in (("False", "True"), ("FALSE", "TRUE")):
        written = Preprocessor.fit(pd.DataFrame({"smoker": [no, yes] * 3}), ["smoker"], ["category"], OPTIONS)
        encoded = written.encode([[True], [False], ["true"], [yes], ["no"]])
        np.testing.assert_array_equal(encoded.values, [[0, 1], [1, 0], [0, 1], [0, 1], [0, 0]])
        assert encoded.unknown_categories == {"smoker": 1}
    both = Preprocessor.fit(pd.DataFrame({"gene": ["true", "TRUE"] * 3}), ["gene"], ["category"], OPTIONS)
    np.testing.assert_array_equal(both.transform([["true"], ["TRUE"], [True]]), [[0, 1], [1, 0], [0, 1]])


def test_unknown_categories_become_zeros_and_are_counted() -> None:
    rows = [{"age": 50, "ward": ward, "dose": 1, "grade": "1"} for ward in ("east", "west", "north", None)]
    encoded = fitted().encode(rows)
    np.testing.assert_array_equal(encoded.values[:, 2:4], [[0, 0], [0, 0], [1, 0], [0, 1]])
    assert encoded.unknown_categories == {"ward": 2}


def test_no_rows_are_no_numbers() -> None:
    assert fitted().transform([]).shape == (0, 6)
    assert fitted().transform(FRAME.iloc[:0]).shape == (0, 6)


def test_it_comes_back_from_its_parts_through_json() -> None:
    model = fitted()
    description, arrays = model.to_parts()
    again = Preprocessor.from_parts(json.loads(json.dumps(description)), arrays)
    np.testing.assert_array_equal(again.transform(FRAME), model.transform(FRAME))
    assert again.encoded_names == model.encoded_names


@pytest.mark.parametrize(
    ("name", "value"), [("scale", np.zeros(2)), ("fill", np.array([np.nan, 0.0])), ("centre", np.zeros(3))]
)
def test_parts_that_do_not_fit_are_refused(name: str, value: np.ndarray) -> None:
    description, arrays = fitted().to_parts()
    with pytest.raises(FeatureMismatchError):
        Preprocessor.from_parts(description, arrays | {name: value})


GOOD = {"age": 50, "ward": "south", "dose": 1, "grade": "2"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{k: v for k, v in GOOD.items() if k != "dose"}], "row 0 lacks 'dose'"),
        ([GOOD, GOOD | {"dosis": 1}], "row 1 has unknown 'dosis'"),
        ([{**{k: v for k, v in GOOD.items() if k != "dose"}, "doze": 1}], "is 'doze' meant to be 'dose'?"),
        ([GOOD | {"dose": "much"}], "column 'dose' takes a finite number or null, got 'much' in row 0"),
        ([GOOD | {"dose": "1"}], "column 'dose' takes a finite number or null, got '1' in row 0"),
        (
            [GOOD | {"dose": "1"}, GOOD | {"dose": "n.d."}],
            "column 'dose' takes a finite number or null, got 'n.d.' in row 1",
        ),
        (FRAME.astype({"dose": object}).replace({"dose": {1: "1", 4: "four"}}), "got 'four' in row 3"),
        ([GOOD, GOOD | {"age": float("inf")}], "column 'age' takes a finite number or null, got inf in row 1"),
        ([GOOD | {"age": [1, 2]}], "column 'age'"),
        ([GOOD, GOOD | {"dose": -(10**400)}], "column 'dose' takes a finite number or null, got a whole number"),
        (GOOD, "put a single row into a list"),
        ("rows", "got str"),
        ([[1, "south", 2]], "row 0 must be a list of 4 values in the order of the columns, got 3 values"),
        ([GOOD, [1, "south", 2, "1"]], "row 1 is list"),
        ([[1, "south", 2, "1"], GOOD], "row 1 must be a list"),
        (["abcd"], "row 0 must be a list of 4 values"),
        (np.zeros((2, 3)), r"shape \(n_rows, 4\)"),
        (np.zeros(4), r"got shape=\(4,\)"),
        (FRAME.drop(columns="ward"), "the data frame lacks 'ward'"),
        (FRAME.assign(age="old"), "column 'age' takes a finite number or null, got 'old' in row 0"),
        (pd.concat([FRAME, FRAME[["age"]]], axis=1), "names must be unique"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_named(rows: Any, said: str) -> None:
    with pytest.raises(FeatureMismatchError, match=said):
        fitted().transform(rows)


def test_a_message_about_many_columns_stays_short() -> None:
    names = [f"gene_{i}" for i in range(500)]
    model = Preprocessor.fit(np.zeros((3, 500)), names, ["number"] * 500, OPTIONS)
    with pytest.raises(FeatureMismatchError, match="and 494 more") as caught:
        model.transform([{"gene_0": 1.0}])
    assert len(caught.value.details["missing"]) == 50  # type: ignore[arg-type]
    assert len(str(caught.value)) < 300


def test_columns_without_any_value_and_constant_columns_do_no_harm() -> None:
    rows = np.array([[np.nan, 3.0, 1e-30], [np.nan, 3.0, 2e-30], [np.nan, 3.0, 3e-30]])
    model = Preprocessor.fit(rows, ["a", "b", "c"], ["number"] * 3, OPTIONS)
    encoded = model.transform(rows)
    np.testing.assert_array_equal(encoded[:, :2], 0.0)
    assert encoded[:, 2].std() == pytest.approx(1.0)


@pytest.mark.parametrize("value", [1e308, -1e308, 1e32])
def test_a_number_too_large_to_compute_with_is_refused_by_the_name_of_its_column(value: float) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 2)) * [1.0, 1e-3]
    model = Preprocessor.fit(rows, ["dose", "age"], ["number"] * 2, PreprocessingSpec())
    with pytest.raises(FeatureMismatchError, match=r"column 'age' holds .*e\+.* in row 1, too far from") as caught:
        model.transform([[1.0, 1.0], [1.0, value]])
    assert caught.value.details == {"column": "age", "row": 1}


@pytest.mark.parametrize("scaling", ["standard", "robust", "minmax"])
def test_training_rows_too_large_to_be_scaled_are_refused(scaling: str) -> None:
    rows = [[1.0, 1.7e308], [2.0, -1.7e308], [3.0, 1.7e308], [4.0, -1.7e308]]
    with pytest.raises(FeatureMismatchError, match="column 'dose' holds numbers too large to be scaled"):
        Preprocessor.fit(rows, ["age", "dose"], ["number"] * 2, PreprocessingSpec(scaling=scaling))


@pytest.mark.parametrize("options", [OPTIONS, PreprocessingSpec(min_category_rows=2, missing="indicator")])
def test_columns_in_another_order_are_encoded_alike(options: PreprocessingSpec) -> None:
    model, names = fitted(options=options), ["grade", "dose", "ward", "age"]
    turned = model.in_order(names)
    assert turned.columns.names == tuple(names)
    assert turned.columns.kinds == ("category", "number", "category", "number")
    places = [model.encoded_names.index(name) for name in turned.encoded_names]
    np.testing.assert_array_equal(turned.transform(FRAME[names].to_numpy()), model.transform(FRAME)[:, places])
    assert json.dumps(turned.in_order(FRAME.columns).to_parts()[0]) == json.dumps(model.to_parts()[0])


@pytest.mark.parametrize(
    "change",
    [{"fill": "west"}, {"categories": ["north", "north"]}, {"categories": "north"}, {"categories": [1, 2]}],
)
def test_categories_that_no_fit_gives_are_refused(change: dict[str, Any]) -> None:
    description, arrays = fitted().to_parts()
    description["columns"][1] |= change
    with pytest.raises(FeatureMismatchError, match="column 'ward' must have different texts"):
        Preprocessor.from_parts(description, arrays)


def test_limits_refuse_what_lies_beyond_and_last_in_a_file() -> None:
    rows = np.array([[0.0, 1.0], [0.5, np.nan]])
    model = replace(Preprocessor.fit(rows, ["a", "b"], ["number"] * 2, OPTIONS), limits=(0.0, 1.0))
    description, arrays = model.to_parts()
    read = Preprocessor.from_parts(json.loads(json.dumps(description)), arrays)
    assert read.limits == (0.0, 1.0) and read.in_order(["b", "a"]).limits == (0.0, 1.0)
    np.testing.assert_array_equal(read.transform(rows), model.transform(rows))
    with pytest.raises(FeatureMismatchError, match=r"column 'b' takes 0 to 1, as in training, got 143 in row 1"):
        read.transform([[0.0, 1.0], [1.0, 143.0]])


@pytest.mark.parametrize("limits", [[1.0, 0.0], [0.0], [0.0, "1"], [True, 2.0], "0..1", [0.0, float("nan")]])
def test_limits_that_no_model_has_are_refused(limits: Any) -> None:
    description, arrays = fitted().to_parts()
    with pytest.raises(FeatureMismatchError, match="limits must be two numbers"):
        Preprocessor.from_parts({**description, "limits": limits}, arrays)


def test_what_a_mask_hides_is_missing_in_rows_as_nan_is() -> None:
    names = ColumnNames(("a", "b"), ("number", "number"))
    for rows in (np.array([[1, 2], [3, 999]]), np.array([[1.0, 2.0], [3.0, 999.0]])):
        read = read_rows(np.ma.masked_array(rows, mask=[[False, False], [False, True]]), names)
        assert np.array(read.numbers).tolist()[0] == [1.0, 2.0] and np.isnan(np.array(read.numbers)[1, 1])
    words = np.ma.masked_array(np.array([["x"], ["y"]], dtype=object), mask=[[True], [False]])
    assert read_rows(words, ColumnNames(("a",), ("category",))).categories == ([None, "y"],)
