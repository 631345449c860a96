"""`superpose predict`, `explain` and `diagnose` of pictures: a file or a folder in place of rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from superpose.datasets import image_row
from superpose.datasets.image_reader import pixel_names
from superpose.learning import HybridClassifier, ModelFacts, Predictor

SIDE = 4


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of pictures of 4 x 4 pixels, some bright in the middle, and a folder of three such."""
    found, drawn = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    bright = np.arange(60) % 2
    pixels = drawn.integers(0, 80, (60, SIDE, SIDE)) + 150 * bright[:, None, None] * (np.eye(SIDE) > 0)
    table = pd.DataFrame(pixels.reshape(60, -1) / 255.0, columns=pixel_names(SIDE))
    model = HybridClassifier(n_qubits=2, layers=1, epochs=5, random_state=0)
    model.fit(table, np.where(bright, "bright", "dark")).save(found / "glow.superpose", ModelFacts())
    (found / "scans").mkdir()
    for i in range(3):
        Image.fromarray(pixels[i].astype(np.uint8).repeat(3, axis=0).repeat(3, axis=1)).save(found / f"scans/{i}.png")
    return found


def expected(place: Path) -> list[list[float]]:
    rows = [image_row(place / f"scans/{i}.png", size=SIDE) for i in range(3)]
    found: list[list[float]] = Predictor.load(place / "glow.superpose").predict_proba(rows).tolist()
    return found


def test_a_model_file_answers_a_picture_and_a_folder(superpose: Callable[..., Any], place: Path) -> None:
    model = place / "glow.superpose"
    said = superpose("predict", model, place / "scans", "--json")
    assert said.code == 0, said.err
    assert said.json["probabilities"] == expected(place)
    assert said.json["pictures"] == ["0.png", "1.png", "2.png"]
    shown = superpose("predict", model, place / "scans/1.png")
    assert shown.out.split()[0] == "picture" and "1.png" in shown.out and "0.png" not in shown.out
    explained = superpose("explain", model, place / "scans", "--json").json
    assert explained["pictures"] == ["0.png", "1.png", "2.png"] and len(explained["rows"]) == 3
    assert "2.png: dark" in superpose("explain", model, place / "scans").out
    told = superpose("diagnose", model, "--rows", place / "scans", "--shots", "50", "--samples", "16", "--json")
    assert told.code == 0 and len(told.json["shot_noise"]["rows"]) == 3


def test_an_endpoint_answers_them_too(at_home: Callable[..., Any], place: Path) -> None:
    assert at_home("models", "import", place / "glow.superpose", "--name", "glow").code == 0
    assert at_home("deploy", "glow").code == 0
    said = at_home("predict", "glow", place / "scans", "--json")
    assert said.code == 0, said.err
    np.testing.assert_allclose(said.json["probabilities"], expected(place), atol=1e-12)
    assert said.json["pictures"] == ["0.png", "1.png", "2.png"]
    assert at_home("explain", "glow", place / "scans/0.png", "--json").json["pictures"] == ["0.png"]
    gone = at_home("predict", "nothing-here", place / "scans", "--json")
    assert gone.json["error"]["code"] == "service.not_found"
    assert at_home("endpoints", "remove", "glow").code == 0


def test_a_model_of_a_table_refuses_a_picture_by_name(at_home: Callable[..., Any], trained: str, place: Path) -> None:
    refused = at_home("predict", trained, place / "scans/0.png", "--json")
    assert refused.code == 1 and refused.json["error"]["code"] == "dataset.format"
    assert "0.png is no table, and the model takes the columns 'sepal" in refused.json["error"]["message"]
