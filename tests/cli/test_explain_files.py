"""`superpose explain` of model files: no service, the same answers, of classes and of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from superpose import HybridClassifier
from superpose.datasets import builtin_table
from superpose.explain import METHODS, CounterfactualOptions, Explain, explain_rows
from superpose.learning import HybridRegressor, Predictor
from superpose.learning.calibration.maps import Temperature
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.model_file import encode_model


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that predicts numbers, and three rows beside it."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"size": random.normal(100, 30, 40), "place": ["in", "out"] * 20})
    numbers = 3_000 * frame["size"] + 9_000 * (frame["place"] == "in")
    path = tmp_path_factory.mktemp("prices") / "prices.superpose"
    HybridRegressor(n_qubits=2, epochs=3, batch_size=16, random_state=0).fit(frame, numbers).save(path)
    frame.head(3).to_csv(path.with_suffix(".csv"), index=False)
    return path


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of classes, and three rows beside it."""
    table = builtin_table("iris")
    path = tmp_path_factory.mktemp("flowers") / "iris.superpose"
    HybridClassifier(n_qubits=2, layers=1, epochs=3, random_state=0).fit(table.features, table.target).save(path)
    table.features.iloc[[0, 60, 120]].to_csv(path.with_suffix(".csv"), index=False)
    return path


@pytest.mark.parametrize("method", METHODS)
def test_numbers_are_shared_out_by_every_method(superpose: Callable[..., Any], prices: Path, method: str) -> None:
    rows = prices.with_suffix(".csv")
    said = superpose("explain", prices, rows, "--method", method, "--words", "--json")
    assert said.code == 0, said.err
    predictor = Predictor.load(prices)
    numbers = predictor.predict(pd.read_csv(rows))
    assert (said.json["model"], said.json["method"], said.json["target"]) == ("prices.superpose", method, "y")
    assert "model_version" not in said.json
    for row, number in zip(said.json["rows"], numbers, strict=True):
        assert row["number"] == pytest.approx(number) and set(row["attributions"]) == {"size", "place"}
        assert row["words"] and "probability" not in " ".join(row["words"])
        if method in ("integrated_gradients", "shapley"):
            left = row["number"] - row["typical_number"] - math.fsum(row["attributions"].values())
            assert abs(left) < 1e-6 * predictor.model.scale  # type: ignore[union-attr]  # a TrainedRegressor


def test_a_terminal_shows_numbers_and_what_speaks_of_classes_is_refused(
    superpose: Callable[..., Any], prices: Path, tmp_path: Path
) -> None:
    rows = prices.with_suffix(".csv")
    said = superpose("explain", prices, rows)
    assert said.code == 0 and said.out.count("a typical row") == 3
    assert said.err.splitlines()[-1] == "prices.superpose, integrated_gradients"
    for options, asked in ((("--shots", 10), "shots"), (("--counterfactuals", 1), "counterfactuals")):
        refused = superpose("explain", prices, rows, *options)
        assert refused.code == 1 and f"no classes, of which {asked} would tell" in refused.err
    (tmp_path / "none.json").write_text("[]")
    refused = superpose("explain", prices, tmp_path / "none.json")
    assert refused.code == 1 and "no rows to explain" in refused.err
    gone = superpose("explain", tmp_path / "gone.superpose", rows)
    assert gone.code == 1 and "cannot be read: No such file" in gone.err


def test_classes_are_explained_with_all_that_endpoints_tell(superpose: Callable[..., Any], flowers: Path) -> None:
    rows = flowers.with_suffix(".csv")
    few = ("--counterfactuals", 2, "--fixed", "sepal length", "--range", "petal width=0..3")
    said = superpose("explain", flowers, rows, "--class", "virginica", "--shots", 50, "--words", *few, "--json")
    assert said.code == 0, said.err
    options = CounterfactualOptions(2, fixed=["sepal length"], ranges={"petal width": (0.0, 3.0)})
    wanted = Explain(of_class="virginica", counterfactuals=options, shots=50, words=True)
    told = explain_rows(Predictor.load(flowers), pd.read_csv(rows), wanted)
    assert said.json["shot_noise"] == told["shot_noise"]
    for shown, own in zip(said.json["rows"], told["rows"], strict=True):
        assert shown["attributions"] == own["attributions"] and shown["words"] == own["words"]
        assert len(shown["counterfactuals"]) == len(own["counterfactuals"])
        assert shown["shot_noise"]["flip_probability"] == own["shot_noise"]["flip_probability"]


def test_a_terminal_shows_the_answer_of_a_calibrated_model_and_the_label_that_was_wanted(
    superpose: Callable[..., Any], flowers: Path, tmp_path: Path
) -> None:
    calibrated, rows = tmp_path / "calibrated.superpose", flowers.with_suffix(".csv")
    model = Predictor.load(flowers).model
    calibrated.write_bytes(encode_model(model, safeguards=Safeguards(calibration=Temperature(3.0)))[0])
    predictor, frame = Predictor.load(calibrated), pd.read_csv(rows)
    own = str(predictor.predict(frame)[0])
    said = superpose("explain", calibrated, rows, "--counterfactuals", 1, "--to", own)
    assert said.code == 0, said.err
    answer, score = predictor.predict_proba(frame)[0].max(), Predictor.load(flowers).predict_proba(frame)[0].max()
    assert f"row 0: {own} {answer:.4f}, before calibration {score:.4f}, a typical row" in said.out
    assert f"the label is {own} already" in said.out and "no allowed change" not in said.out
    other = next(str(name) for name in predictor.classes if str(name) != own)
    wanted = ("--counterfactuals", 1, "--to", own, "--class", other)  # the row's own label is not in the answer then
    said = superpose("explain", calibrated, rows, *wanted)
    assert f"no allowed change was found that makes the label {own}, or it is that already" in said.out
    *rest, free = frame.columns
    held = [part for name in rest for part in ("--fixed", name)]
    narrow = ("--range", f"{free}={frame[free].iloc[0]}..{frame[free].iloc[0] + 1e-6}")
    said = superpose("explain", calibrated, rows, "--counterfactuals", 1, "--to", other, *held, *narrow)
    assert said.code == 0, said.err
    assert f"no allowed change was found that makes the label {other}\n" in said.out


def test_a_wait_is_for_endpoints_and_for_longer_than_nothing(superpose: Callable[..., Any], flowers: Path) -> None:
    rows = flowers.with_suffix(".csv")
    refused = superpose("explain", flowers, rows, "--timeout", 5)
    assert refused.code == 2 and "--timeout is for endpoints" in " ".join(refused.err.split())
    assert superpose("explain", "live", rows, "--timeout", 0).code == 2
