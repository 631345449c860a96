"""`superpose predict` of model files: no service, the answers of the model, of classes and of numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from superpose import HybridClassifier
from superpose.datasets import builtin_table
from superpose.learning import HybridRegressor, Predictor


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of classes with prediction sets, and three rows beside it."""
    table = builtin_table("iris")
    path = tmp_path_factory.mktemp("flowers") / "iris.superpose"
    made = HybridClassifier(n_qubits=2, layers=1, epochs=3, conformal=0.9, abstain_below=0.5, random_state=0)
    made.fit(table.features, table.target).save(path)
    table.features.iloc[[0, 60, 120]].to_csv(path.with_suffix(".csv"), index=False)
    return path


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of numbers with intervals, and three rows beside it."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"size": random.normal(100, 30, 120), "place": ["in", "out"] * 60})
    numbers = 3_000 * frame["size"] + 9_000 * (frame["place"] == "in")
    path = tmp_path_factory.mktemp("prices") / "prices.superpose"
    HybridRegressor(n_qubits=2, epochs=3, conformal=0.8, random_state=0).fit(frame, numbers).save(path)
    frame.head(3).assign(place=["in", "out", "elsewhere"]).to_csv(path.with_suffix(".csv"), index=False)
    return path


def test_classes_of_a_file_are_those_of_its_model(superpose: Callable[..., Any], flowers: Path) -> None:
    rows, predictor = flowers.with_suffix(".csv"), Predictor.load(flowers)
    said = superpose("predict", flowers, rows, "--json")
    assert said.code == 0, said.err
    assert said.json["model"] == "iris.superpose"
    assert said.json["classes"] == list(predictor.classes)
    assert said.json["predictions"] == predictor.predict(pd.read_csv(rows))
    assert said.json["probabilities"] == predictor.predict_proba(pd.read_csv(rows)).tolist()
    assert not {"model_version", "request_id", "prediction_sets", "novelty", "target"} & set(said.json)
    shown = superpose("predict", flowers, rows)
    assert shown.out.count("\n") == 4 and predictor.classes[0] in shown.out
    assert shown.err.strip() == "iris.superpose"


def test_a_file_tells_what_is_asked_for_besides(superpose: Callable[..., Any], flowers: Path) -> None:
    rows = flowers.with_suffix(".csv")
    found = superpose("predict", flowers, rows, "--sets", "--novelty", "--abstain", "1", "--json").json
    assert found["coverage"] == 0.9 and len(found["prediction_sets"]) == 3
    assert found["predictions"] == [None, None, None] and all("below" in why for why in found["abstained"])
    assert found["novel"] == [False, False, False] and found["novelty_threshold"] > 0
    assert superpose("predict", flowers, rows, "--abstain", "model", "--json").json["abstained"] is not None


def test_numbers_of_a_file_have_their_intervals(superpose: Callable[..., Any], prices: Path) -> None:
    rows, predictor = prices.with_suffix(".csv"), Predictor.load(prices)
    found = superpose("predict", prices, rows, "--json")
    assert found.code == 0, found.err
    assert found.json["predictions"] == predictor.predict(pd.read_csv(rows))
    assert found.json["intervals"] == predictor.predict_intervals(pd.read_csv(rows)).tolist()
    assert (found.json["target"], found.json["coverage"], found.json["classes"]) == ("y", 0.8, [])
    assert found.json["unknown_categories"] == {"place": 1}
    assert "1 of the rows have a value in 'place'" in superpose("predict", prices, rows).err
    for asked, code in (("--sets", "learning.predicts_numbers"), ("--novelty", "learning.safeguard_absent")):
        refused = superpose("predict", prices, rows, asked)
        assert refused.err.startswith(f"error[{code}]") and refused.code == 1


def test_what_a_file_cannot_answer_is_refused_by_name(
    superpose: Callable[..., Any], flowers: Path, tmp_path: Path
) -> None:
    rows, none = flowers.with_suffix(".csv"), tmp_path / "none.json"
    none.write_text("[]")
    (tmp_path / "odd.superpose").write_bytes(b"no model")
    (tmp_path / "five.json").write_text("5")
    (tmp_path / "row.json").write_text('{"a": 1}')
    for words, told in (
        ((flowers, tmp_path / "five.json"), "five.json must be a list of rows, got 5"),
        ((flowers, tmp_path / "row.json"), "row.json must be a list of rows, got an object"),
        ((tmp_path / "gone.superpose", rows), "cannot be read"),
        ((tmp_path / "odd.superpose", rows), "error[model.corrupt]"),
        ((flowers, none), "There are no rows to predict"),
        ((flowers, rows, "--abstain", "7"), "'model', 'set' or a probability such as 0.8, got '7'"),
    ):
        said = superpose("predict", *words)
        assert told in said.err, said.err
        assert said.code == 1
