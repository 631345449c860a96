"""`superpose evaluate`: a model file and an endpoint held against labelled rows and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from superpose.datasets import builtin_table
from superpose.datasets.image_reader import pixel_names
from superpose.learning import HybridClassifier, Predictor


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two kinds of flowers, and rows of these with a column of their own beside it."""
    table = builtin_table("iris")
    path = tmp_path_factory.mktemp("evaluate") / "two.superpose"
    made = HybridClassifier(n_qubits=2, layers=1, epochs=4, conformal=0.9, abstain_below=0.5, random_state=0)
    frame = table.features.assign(kind=table.target.to_numpy()).iloc[50:]
    made.fit(frame.iloc[:, :4], frame["kind"]).save(path)
    frame.iloc[1::2].assign(field=["north", "south"] * 25).to_csv(path.with_suffix(".csv"), index=False)
    return path


def test_a_model_file(superpose: Callable[..., Any], flowers: Path, tmp_path: Path) -> None:
    rows = flowers.with_suffix(".csv")
    said = superpose("evaluate", flowers, rows, "--target", "kind", "--subgroup", "field", "--json")
    assert said.code == 0, said.err
    frame = pd.read_csv(rows)
    right = np.array(Predictor.load(flowers).predict(frame.iloc[:, :4])) == frame["kind"]
    assert said.json["metrics"]["accuracy"]["value"] == pytest.approx(right.mean())
    assert said.json["digest"] == Predictor.load(flowers).digest
    shown = superpose("evaluate", flowers, rows, "--target", "kind", "--subgroup", "field").out
    for told in ("25 versicolor, 25 virginica", "95 % interval", "calibration slope", "sets of 90 %", "field   north"):
        assert told in shown
    page = superpose(
        "evaluate", flowers, rows, "--target", "kind", "--subgroup", "field", "--report", tmp_path / "r.html"
    )
    html = (tmp_path / "r.html").read_text()
    assert page.code == 0 and "r.html" in page.err and "<svg" in html and "External validation: two.superpose" in html
    for told in ("http://", "https://", "<script", "src="):
        assert told not in html.replace("http://www.w3.org/", "")
    assert superpose("evaluate", flowers, rows, "--target", "kind", "--report", tmp_path / "r.pdf").code == 0
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF-")
    frame["kind"] = frame["kind"].map({"versicolor": 1, "virginica": 2})
    frame.to_json(tmp_path / "coded.json", orient="records")
    words = ("evaluate", flowers, tmp_path / "coded.json", "--target", "kind")
    assert superpose(*words).err.startswith("error[dataset.target]: Column 'kind' has '1', '2'; the model knows")
    coded = superpose(*words, "--label", "1=versicolor", "--label", "2 = virginica", "--json")
    assert coded.json["metrics"] == said.json["metrics"]
    frame.assign(kind=frame["kind"].map({1: "a=b", 2: "=c"})).to_csv(tmp_path / "signs.csv", index=False)
    signs = ("--label", "a=b=versicolor", "--label", "=c=virginica", "--json")
    told = superpose("evaluate", flowers, tmp_path / "signs.csv", "--target", "kind", *signs)
    assert told.json["metrics"] == said.json["metrics"]


def test_beside_another_model(superpose: Callable[..., Any], flowers: Path, tmp_path: Path) -> None:
    rows, other = flowers.with_suffix(".csv"), tmp_path / "other.superpose"
    table = builtin_table("iris")
    frame = table.features.assign(kind=table.target.to_numpy()).iloc[50:]
    made = HybridClassifier(n_qubits=2, layers=1, epochs=1, random_state=1)
    made.fit(frame.iloc[:, :1], frame["kind"]).save(other)
    words = ("evaluate", flowers, rows, "--target", "kind", "--against", other)
    said = superpose(*words, "--margin", "0.1", "--report", tmp_path / "r.html", "--json")
    assert said.code == 0, said.err
    against = said.json["against"]
    assert against["metrics"]["accuracy"]["first"] == said.json["metrics"]["accuracy"]["value"]
    assert (against["first"], against["second"], against["margin"]) == ("two.superpose", "other.superpose", 0.1)
    assert "Beside other.superpose" in (tmp_path / "r.html").read_text()
    shown = superpose(*words).out
    assert "difference (95 %)" in shown and " alone gets right, " in " ".join(shown.split())
    assert superpose(*words[:-1], tmp_path / "gone.superpose").code != 0
    pd.read_csv(rows).assign(reader="virginica").to_csv(tmp_path / "read.csv", index=False)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / flowers.name).write_bytes(other.read_bytes())
    namesake = (*words[:-1], tmp_path / "old" / flowers.name, "--json")
    assert superpose(*namesake).json["against"]["second"].endswith("old/two.superpose")
    words = ("evaluate", flowers, tmp_path / "read.csv", "--target", "kind", "--against-column", "reader")
    assert superpose(*words, "--json").json["against"]["metrics"]["accuracy"]["second"] == 0.5
    assert "not both" in superpose(*words, "--against", other).err


def test_what_it_cannot_take_is_refused_by_name(superpose: Callable[..., Any], flowers: Path, tmp_path: Path) -> None:
    rows, lists, none = flowers.with_suffix(".csv"), tmp_path / "lists.json", tmp_path / "none.json"
    lists.write_text("[[1, 2, 3, 4]]")
    none.write_text("[]")
    for words, told in (
        ((rows,), "does not say what its target was called"),
        ((rows, "--target", "outcome"), "no column 'outcome'"),
        ((rows, "--target", "kind", "--label", "x"), "--label takes LABEL=CLASS"),
        ((rows, "--target", "kind", "--report", tmp_path / "r.txt"), "written as html or pdf"),
        ((rows, "--target", "kind", "--report", tmp_path / "gone/r.html"), "Choose another --report"),
        ((rows, "--target", "kind", "--record", "north"), "Give MODEL:VERSION, or import it first"),
        ((lists, "--target", "kind"), "must be a list of objects"),
        ((none, "--target", "kind"), "has no rows"),
        ((tmp_path / "gone.csv", "--target", "kind"), "cannot be read"),
        ((flowers, "--target", "kind"), "is not JSON, and nothing else by its name. Rows are read from .json, .csv"),
    ):
        refused = superpose("evaluate", flowers, *words)
        assert refused.code != 0 and told in refused.err, refused.err


def test_pictures_have_their_truth_in_folders(superpose: Callable[..., Any], tmp_path: Path) -> None:
    drawn, bright = np.random.default_rng(0), np.arange(60) % 2
    pixels = drawn.integers(0, 80, (60, 4, 4)) + 150 * bright[:, None, None] * (np.eye(4) > 0)
    table = pd.DataFrame(pixels.reshape(60, -1) / 255.0, columns=pixel_names(4))
    model = HybridClassifier(n_qubits=2, layers=1, epochs=5, random_state=0)
    model.fit(table, np.where(bright, "bright", "dark")).save(tmp_path / "glow.superpose")
    for place in range(8):
        folder = tmp_path / "scans" / ("bright" if bright[place] else "dark")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[place].astype(np.uint8)).save(folder / f"{place}.png")
    said = superpose("evaluate", tmp_path / "glow.superpose", tmp_path / "scans", "--json")
    assert said.code == 0, said.err
    assert said.json["classes"] == {"bright": 4, "dark": 4} and said.json["metrics"]["accuracy"]["value"] > 0.7
    refused = superpose("evaluate", tmp_path / "glow.superpose", tmp_path / "scans/dark")
    assert "lies in no folder" in refused.err and refused.code != 0


def test_an_endpoint(at_home: Callable[..., Any], trained: str, tmp_path: Path) -> None:
    table = builtin_table("iris")
    rows = tmp_path / "flowers.csv"
    table.features.assign(**{table.target_name: table.target.to_numpy()}).to_csv(rows, index=False)
    said = at_home("evaluate", trained, rows)
    assert said.code == 0, said.err
    assert f"{trained} version 1" in said.out and "most trained it" in said.out and "own 30 test rows" in said.out
    assert at_home("evaluate", "nothing", rows).err.startswith("error[service.not_found]")
    half = table.features.assign(**{table.target_name: table.target.to_numpy()}).iloc[::2]
    half.to_csv(rows, index=False)
    kept = at_home("evaluate", f"{trained}:1", rows, "--record", "north-2025")
    assert kept.code == 0 and f"recorded north-2025 at {trained} version 1" in kept.err
    assert at_home("evaluate", trained, rows, "--record", "north-2025", "--json").json["n_rows"] == 75  # the same again
    assert "north-2025 (75 rows, AUC " in at_home("models", "show", trained).out
    assert "| north-2025 | 75 |" in at_home("models", "card", trained).out
    half.iloc[5:].to_csv(rows, index=False)
    beside = at_home("evaluate", f"{trained}:1", rows, "--against", trained, "--json").json["against"]
    assert beside["first"] == beside["second"] == f"{trained} version 1" and beside["p"] == 1.0
    other = at_home("evaluate", trained, rows, "--record", "north-2025")
    assert other.code != 0 and "accuracy" in other.out and "another record of 'north-2025'" in other.err
    assert "withdrawn north" in at_home("models", "withdraw", trained, "north-2025", "--reason", "Labels of 2019.").out
    assert "withdrawn 20" in at_home("models", "card", trained).out
    bad = at_home("evaluate", trained, rows, "--record", "..")
    assert "site must be 1 to 63 letters" in bad.err and not bad.out
    assert "north-2025" in at_home("models", "history", trained).out
    assert at_home("evaluate", f"{trained}:7", rows).err.startswith("error[service.not_found]")
