"""Explanations of models that predict numbers: exact gradients, attributions that add up, and what has no meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from superpose.errors import ExplanationError
from superpose.explain import (
    METHODS,
    CounterfactualOptions,
    Explain,
    attribute,
    diagnose_model,
    explain_rows,
    explanation_sample,
)
from superpose.explain.answers import Picture
from superpose.learning import HybridRegressor, Predictor
from superpose.learning.trained_regressor import TrainedRegressor


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {"size": random.normal(100, 30, 60), "age": random.uniform(0, 9, 60), "place": ["in", "out", "by"] * 20}
    )


@pytest.fixture(scope="module", params=["angle", "reuploading", "iqp"])
def predictor(request: pytest.FixtureRequest, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    prices = 3_000 * frame["size"] - 500 * frame["age"] ** 2 + 9_000 * (frame["place"] == "in")
    model = HybridRegressor(n_qubits=3, encoding=request.param, epochs=3, batch_size=16, random_state=0)
    model.fit(frame, prices)
    path: Path = tmp_path_factory.mktemp("prices") / "prices.superpose"
    model.save(path)
    return Predictor.load(path)


def test_gradients_of_a_number_are_those_of_small_differences(predictor: Predictor, frame: pd.DataFrame) -> None:
    model = predictor.model
    assert isinstance(model, TrainedRegressor)
    encoded = predictor.encode(frame)[:7]
    values, slopes = model.number_gradients(encoded)
    np.testing.assert_allclose(values, predictor.numbers_encoded(encoded), rtol=1e-12)
    step = 1e-6
    for column in range(encoded.shape[1]):
        moved = np.eye(encoded.shape[1])[column] * step
        change = (model.numbers(encoded + moved) - model.numbers(encoded - moved)) / (2 * step)
        np.testing.assert_allclose(slopes[:, column], change, rtol=1e-5, atol=1e-5 * model.scale)
    assert model.number_gradients(encoded[:0])[1].shape == (0, encoded.shape[1])


@pytest.mark.parametrize("method", METHODS)
def test_attributions_share_out_the_difference_to_a_typical_row(
    predictor: Predictor, frame: pd.DataFrame, method: str
) -> None:
    rows = frame.head(6)
    model: Any = predictor.model
    found = attribute(predictor, rows, method=method)
    assert (found.classes, found.target, found.values.shape) == ((), "y", (6, 3))
    np.testing.assert_allclose(found.probabilities, predictor.predict(rows))
    if method in ("integrated_gradients", "shapley"):
        assert found.completeness_errors.max() < 1e-6 * model.scale
    if method == "occlusion":
        encoded, typical = predictor.encode(rows), model.preprocessor.typical
        places = list(model.preprocessor.places_of_columns[0])
        without = encoded.copy()
        without[:, places] = typical[places]
        np.testing.assert_allclose(found.values[:, 0], model.numbers(encoded) - model.numbers(without))
    document = found.to_dict()
    assert document["target"] == "y" and document["rows"][0]["number"] == found.probabilities[0]
    strongest = [abs(value) for value in document["rows"][0]["attributions"].values()]
    assert strongest == sorted(strongest, reverse=True)
    assert attribute(predictor, frame.head(0), method=method).values.shape == (0, 3)


def test_what_speaks_of_classes_is_refused_and_words_speak_of_numbers(
    predictor: Predictor, frame: pd.DataFrame
) -> None:
    rows = frame.head(2)
    with pytest.raises(ExplanationError, match="predicts a number, 'y', and has no class 'high'"):
        attribute(predictor, rows, of_class="high")
    for wanted, said in (
        (Explain(counterfactuals=CounterfactualOptions()), "counterfactuals would tell"),
        (Explain(shots=100, picture=Picture()), "shots and picture would tell"),
    ):
        with pytest.raises(ExplanationError, match=said):
            explain_rows(predictor, rows, wanted)
    with pytest.raises(ExplanationError, match="predicts a number, and has no label that shots could flip"):
        diagnose_model(predictor, rows, 100)
    told = explain_rows(predictor, rows, Explain(words=True))
    words, number = told["rows"][0]["words"], told["rows"][0]["number"]
    assert number > 1e5  # of which a short form would have an exponent
    assert words[0] == f"The model says {float(f'{number:.4g}'):,.0f}." and "size (by" in " ".join(words)


def test_a_sample_says_what_its_units_are(predictor: Predictor, frame: pd.DataFrame) -> None:
    sample = explanation_sample(predictor, frame)
    model: Any = predictor.model
    assert (sample["method"], sample["n_rows"], sample["unit"]) == ("integrated_gradients", 50, "the predicted number")
    assert sample["largest_completeness_error"] < 1e-6 * model.scale
    assert set(sample["columns"]) == {"size", "age", "place"}
