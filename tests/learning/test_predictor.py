"""Serving: the predictor gives what torch gives, for any batch, from any thread, and refuses rows that do not fit."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from superpose.errors import FeatureMismatchError, ModelFileCorruptError
from superpose.learning import ANSAETZE, ENCODINGS, HybridClassifier, Predictor
from superpose.testing import check_model

rng = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "age": rng.normal(50, 10, 60),
        "ward": rng.choice(["north", "south"], 60),
        "dose": np.where(rng.random(60) < 0.1, np.nan, rng.random(60)),
    }
)
LABELS = np.where((FRAME["ward"] == "north") & (FRAME["age"] > 45), "ill", "well")


def served(tmp_path: Path, **options: object) -> tuple[HybridClassifier, Predictor]:
    model = HybridClassifier(**{"n_qubits": 3, "layers": 1, "epochs": 3, "random_state": 0} | options)  # type: ignore[arg-type]
    model.fit(FRAME, LABELS)
    digest = model.save(tmp_path / "model.superpose")
    return model, Predictor.load(tmp_path / "model.superpose", digest)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSAETZE)
def test_it_gives_what_torch_gives(encoding: str, ansatz: str, tmp_path: Path) -> None:
    model, predictor = served(tmp_path, encoding=encoding, ansatz=ansatz)
    expected = model.predict_proba(FRAME)
    np.testing.assert_allclose(predictor.predict_proba(FRAME), expected, atol=1e-12)
    assert predictor.predict(FRAME) == model.predict(FRAME).tolist()
    encoded = torch.tensor(model.preprocessor_.transform(FRAME), dtype=torch.float32)
    single = torch.softmax(model.network_(encoded), dim=1).detach().numpy()
    np.testing.assert_allclose(predictor.predict_proba(FRAME), single, atol=2e-5)


def test_a_row_does_not_depend_on_the_rows_beside_it(tmp_path: Path) -> None:
    _, predictor = served(tmp_path)
    whole = predictor.predict_proba(FRAME)
    alone = np.concatenate([predictor.predict_proba(FRAME.iloc[i : i + 1]) for i in range(len(FRAME))])
    np.testing.assert_allclose(alone, whole, atol=1e-14)
    assert predictor.predict_proba([]).shape == (0, 2)
    many = pd.concat([FRAME] * 80, ignore_index=True)  # more rows than one engine call takes
    np.testing.assert_allclose(predictor.predict_proba(many), np.tile(whole, (80, 1)), atol=1e-14)


def test_requests_encoded_apart_are_predicted_together(tmp_path: Path) -> None:
    _, predictor = served(tmp_path)
    parts = [predictor.encode(FRAME.iloc[:7]), predictor.encode(FRAME.iloc[7:9])]
    together = predictor.predict_encoded(np.concatenate(parts))
    np.testing.assert_allclose(together, predictor.predict_proba(FRAME.iloc[:9]), atol=1e-14)


def test_it_describes_itself(tmp_path: Path) -> None:
    _, predictor = served(tmp_path)
    assert predictor.classes == ("ill", "well")
    assert predictor.feature_names == ("age", "ward", "dose")
    assert predictor.input_schema == [
        {"name": "age", "kind": "number", "nullable": True, "datatype": "FP64"},
        {"name": "ward", "kind": "category", "nullable": True, "datatype": "BYTES", "categories": ["north", "south"]},
        {"name": "dose", "kind": "number", "nullable": True, "datatype": "FP64"},
    ]
    assert predictor.manifest["pipeline"]["network"]["n_qubits"] == 3
    assert len(predictor.digest) == 64


def test_unknown_categories_are_served_and_counted(tmp_path: Path) -> None:
    _, predictor = served(tmp_path)
    rows = [{"age": 50, "ward": ward, "dose": None} for ward in ("east", "north", "west", None)]
    assert np.isfinite(predictor.predict_proba(rows)).all()
    assert predictor.count_unknown_categories(rows) == {"ward": 2}


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    _, predictor = served(tmp_path)
    with pytest.raises(FeatureMismatchError, match="row 0 lacks 'dose'") as caught:
        predictor.predict_proba([{"age": 1, "ward": "north"}])
    assert caught.value.code == "learning.feature_mismatch"
    with pytest.raises(FeatureMismatchError, match=r"has unknown 'wardd' \(is 'wardd' meant to be 'ward'\?\)"):
        predictor.predict_proba([{"age": 1, "wardd": "north", "dose": 1}])
    with pytest.raises(FeatureMismatchError, match="'age' takes a finite number"):
        predictor.predict_proba([{"age": "old", "ward": "north", "dose": 1}])


def test_threads_share_it(tmp_path: Path) -> None:
    _, predictor = served(tmp_path)
    expected = predictor.predict_proba(FRAME)
    wrong: list[int] = []

    def ask(number: int) -> None:
        for _ in range(40):
            rows = FRAME.iloc[number : number + 5]
            if np.abs(predictor.predict_proba(rows) - expected[number : number + 5]).max() > 1e-12:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


ROWS = [{k: None if v != v else v for k, v in row.items()} for row in FRAME.head(5).to_dict("records")]


def test_it_keeps_the_published_contract(tmp_path: Path) -> None:
    served(tmp_path)
    check_model((tmp_path / "model.superpose").read_bytes(), ROWS)


class DependsOnTheBatch(Predictor):
    def predict_encoded(self, encoded: np.ndarray) -> np.ndarray:
        found = super().predict_encoded(encoded)
        return found[:, ::-1] if len(encoded) == 1 else found


class TakesAnyDigest(Predictor):
    @classmethod
    def load(cls, source: object, expected_digest: str | None = None) -> Predictor:
        return super().load(source)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "said"), [(DependsOnTheBatch, "rows beside it"), (TakesAnyDigest, "another digest expected")]
)
def test_the_suite_finds_what_is_wrong(
    wrong: type[Predictor], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(tmp_path)
    monkeypatch.setattr("superpose.testing.models.Predictor", wrong)
    with pytest.raises(AssertionError, match=said):
        check_model((tmp_path / "model.superpose").read_bytes(), ROWS)


def test_it_loads_from_bytes_and_checks_the_digest(tmp_path: Path) -> None:
    served(tmp_path)
    content = (tmp_path / "model.superpose").read_bytes()
    assert Predictor.load(content).classes == ("ill", "well")
    with pytest.raises(ModelFileCorruptError, match="expected was"):
        Predictor.load(content, "0" * 64)
