"""`superpose train pneumonia` and `demand`: one document or a table, progress on stderr, what is refused."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 40), ("val", 12), ("test", 12)):
        labels = (np.arange(n) % 2).astype(np.uint8)
        images = random.normal(90.0, 20.0, (n, 8, 8)) + 90.0 * labels[:, None, None]
        arrays[f"{part}_images"] = np.clip(images, 0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None]
    np.savez(tmp_path / "small.npz", **arrays)  # type: ignore[arg-type]  # NumPy's stub knows no mapping
    return tmp_path / "small.npz"


@pytest.mark.slow
def test_a_template_gives_one_document_then_a_table(
    superpose: Callable[..., Any], pictures: Path, tmp_path: Path
) -> None:
    arguments = ["train", "pneumonia", "--data", str(pictures), "--out", str(tmp_path / "run")]
    arguments += ["--seeds", "2", "--epochs", "1", "--beside", "classical_twin,hybrid_head"]
    said = superpose(*arguments, "--json")
    assert said.code == 0, said.err
    report = said.json
    assert {"mean", "over_seeds", "over_images", "values", "sd"} == set(report["metrics"]["auc"])
    assert 0.0 <= report["metrics"]["accuracy"]["mean"] <= 1.0
    page = (tmp_path / "run" / "report.html").read_text()
    assert report["page"] == str(tmp_path / "run" / "report.html") and report["verdict"] in html.unescape(page)
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!#|data:)|url\((?!#)|@import", page)  # it loads nothing
    assert report["configuration_sha256"] in page and "Every look at the test pictures" in page
    again = superpose("report", str(tmp_path / "run"), "--out", str(tmp_path / "again.html"))
    assert again.code == 0 and (tmp_path / "again.html").read_text() == page
    plots = report["plots"]["models"]["hybrid"]
    seed = report["plots"]["seeds"]["hybrid"]
    assert plots["auc"] == pytest.approx(report["metrics"]["auc"]["values"][seed])
    right = (plots["confusion"][0][0] + plots["confusion"][1][1]) / report["plots"]["n_cases"]
    assert right == pytest.approx(report["metrics"]["accuracy"]["values"][seed])
    assert "hybrid seed 1: epoch 1 of 1" in said.err and "Not for clinical use" in said.err
    shown = superpose(*arguments)
    assert shown.code == 0, shown.err
    assert "classical twin of equal parameter count" in shown.out and "balanced accuracy" in shown.out
    assert "opened 2 time(s)" in " ".join(shown.out.split())
    assert "Not for clinical use" in shown.out and "Not for clinical use" not in shown.err
    assert "trained before" in shown.err and "epoch" not in shown.err
    taken = ["train", "pneumonia", "--data", str(pictures), "--out", str(tmp_path / "taken"), "--seeds", "1"]
    taken += ["--epochs", "1", "--beside", "none", "--reuse", str(tmp_path / "run"), "--json"]
    found = superpose(*taken)
    assert found.code == 0, found.err
    assert found.json["variants"]["hybrid"]["taken_from"] == [report["configuration_sha256"]]
    assert "hybrid seed 0: taken over from run" in found.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "pneumonia"], "takes --data FILE, to train here, or --dataset NAME, to train as a job"),
        (["train", "pneumonia", "--dataset", "x", "--data", "y"], "--data belong(s) to a run on this machine"),
        (
            ["train", "spec.yaml", "--dataset", "x", "--epochs", "3"],
            "--epochs belong(s) to templates (pneumonia,",
        ),
        (["train", "demand", "--dataset", "x", "--out", "y"], "--out belong(s) to a run on this machine"),
        (["train", "demand", "--dataset", "x", "--preset", "chest"], "--preset belong(s) to template pneumonia"),
        (["train", "demand", "--preset", "chest"], "--preset belong(s) to template pneumonia, not to demand"),
        (["train", "demand", "--reuse", "x"], "--reuse belong(s) to template pneumonia, not to demand"),
        (["train", "pneumonia", "--data", "x", "--horizon", "3"], "--horizon belong(s) to template demand"),
        (["train", "spec.yaml"], "a spec needs --dataset NAME"),
    ],
)
def test_wrong_usage_says_what_to_do(superpose: Callable[..., Any], arguments: list[str], said: str) -> None:
    found = superpose(*arguments)
    assert found.code == 2
    assert said in " ".join(found.err.split())


def test_errors_of_data_and_options_have_codes(superpose: Callable[..., Any], pictures: Path, tmp_path: Path) -> None:
    none = superpose("train", "pneumonia", "--data", str(tmp_path / "none.npz"), "--out", str(tmp_path / "r"), "--json")
    assert none.code == 1 and "error" in none.json
    knee = ["train", "pneumonia", "--data", str(pictures), "--out", str(tmp_path / "r"), "--preset", "knee", "--json"]
    found = superpose(*knee)
    assert (found.code, found.json["error"]["code"]) == (1, "spec.invalid")
    nowhere = superpose(*knee[:-3], "--reuse", str(tmp_path), "--json")
    unknown = superpose("train", "nix", "--dataset", "x", "--json").json["error"]["message"]
    assert "nix cannot be read" in unknown and "a template is pneumonia or demand" in unknown
    assert nowhere.code == 1 and "holds no run to take networks from" in nowhere.json["error"]["message"]


def test_demand_gives_one_document_then_a_table(superpose: Callable[..., Any], tmp_path: Path) -> None:
    lines = [f"2026-{1 + day // 28:02d}-{1 + day % 28:02d},{20 + day % 7}" for day in range(112)]
    (tmp_path / "sales.csv").write_text("date,quantity\n" + "\n".join(lines) + "\n")
    arguments = ["train", "demand", "--data", str(tmp_path / "sales.csv"), "--out", str(tmp_path / "run")]
    arguments += ["--horizon", "7", "--origins", "2", "--seeds", "1", "--epochs", "1", "--gaps", "zero"]
    arguments += ["--beside", "seasonal_naive"]
    said = superpose(*arguments, "--json")
    assert said.code == 0, said.err
    assert said.json["metrics"]["mase"]["mean"] > 0 and said.json["data"]["frequency"] == "daily"
    assert "hybrid, seed 0: forecast from 7 periods before the end" in said.err
    shown = superpose(*arguments)
    assert shown.code == 0 and "forecast from" not in shown.err
    for words in (
        "seasonal naive",
        "sMAPE",
        "Diebold-Mariano",
        "It is a second opinion",
        "80 % from",
        "forecast is what the model file answers",
        "2 paired splits",
        "sales.csv: one series",
    ):
        assert words in " ".join(shown.out.split())
    for words in ("sMAPE", "Diebold-Mariano", "It is a second opinion; the verdict goes by origins."):
        assert words in " ".join(shown.out.split())
    bad = superpose("train", "demand", "--data", str(tmp_path / "none.csv"), "--out", str(tmp_path / "r"), "--json")
    assert (bad.code, bad.json["error"]["code"]) == (1, "dataset.format")
    (tmp_path / "file").touch()
    taken = superpose(*arguments, "--out", str(tmp_path / "file"), "--json")
    assert (taken.code, taken.json["error"]["code"]) == (1, "cli.file")
    assert "cannot be read or written: File exists" in taken.json["error"]["message"]
    hourly = superpose(*arguments, "--frequency", "hourly", "--json")
    assert (hourly.code, hourly.json["error"]["code"]) == (1, "spec.invalid")


@pytest.mark.parametrize("where", [("--data", "none"), ("--dataset", "none")])
@pytest.mark.parametrize(
    ("name", "beside", "words"),
    [
        ("demand", "ridge,seasonal_naiv", "got 'seasonal_naiv'. Did you mean seasonal_naive?"),
        ("pneumonia", "nope", "logistic_regression with the preset chest; got 'nope'."),
    ],
)
def test_unknown_variants_are_told_by_the_option(
    superpose: Callable[..., Any], name: str, beside: str, words: str, where: tuple[str, str]
) -> None:
    said = superpose("train", name, *where, "--beside", beside)
    assert said.code == 2
    assert "--beside takes all, none, or names out of hybrid," in said.err and words in said.err
