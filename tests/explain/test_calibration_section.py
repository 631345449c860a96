"""The card's section on calibration: its figures are the evaluation's, and what was not done is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer

from superpose.datasets import builtin_table
from superpose.explain import ReportFacts, model_card, training_report
from superpose.learning import HybridClassifier, Predictor, TrainingSpec, run_experiment

BASE: dict[str, Any] = {
    "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
    "training": {"epochs": 2, "learning_rate": 0.1, "batch_size": 64},
    "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
}
ASKED = {"method": "temperature", "conformal": {"coverage": 0.8}, "abstain": {"by": "set"}}


def manifest(spec: dict[str, Any], directory: Path) -> dict[str, Any]:
    result = run_experiment(TrainingSpec.from_dict(spec), builtin_table("breast_cancer"), directory)
    return Predictor.load(result.model_path).manifest


def test_the_section_has_the_figures_of_test_rows(tmp_path: Path) -> None:
    found = manifest({**BASE, "calibration": ASKED}, tmp_path)
    figures = found["evaluation"]["calibration"]
    card = model_card(found)
    section = card.partition("## Calibration\n")[2].partition("\n## ")[0]
    assert "temperature scaling, fitted on 43 validation rows" in section
    for name in ("before", "after"):
        row = figures[name]
        assert f"| {name} | {row['ece']:.3f} | {row['brier']:.3f} | {row['log_loss']:.3f} |" in section
    assert f"did for {100 * figures['conformal']['covered']['share']:.1f} %" in section
    assert "sets have more than one class" in section
    assert f"of the test rows {100 * figures['novelty']['novel']['share']:.1f} %" in section
    said = "Every set of the test rows has all 2 classes and tells nothing: the method lac gives smaller ones."
    assert said not in card
    figures["conformal"] |= {"method": "aps", "mean_size": {"mean": 2.0, "low": 1.9, "high": 2.0}}
    assert said in model_card(found) and said.encode() in training_report(ReportFacts(manifest=found))


@pytest.mark.parametrize("release", ["this", "before"])
def test_what_was_not_done_is_said(release: str, tmp_path: Path) -> None:
    found = manifest(BASE, tmp_path)
    if release == "before":
        del found["evaluation"]["calibration"]
        assert "Probabilities were not recalibrated" in model_card(found)
        return
    assert "the model's own, not recalibrated" in model_card(found)
    assert "Prediction sets: none were asked for." in model_card(found)
    assert "Abstaining: no rule." in model_card(found)


@pytest.mark.parametrize("asked", [{}, {"calibration": "temperature", "conformal": 0.8}])
def test_what_an_estimator_saved_without_an_evaluation_is_told_as_it_is(asked: dict[str, Any], tmp_path: Path) -> None:
    model = HybridClassifier(n_qubits=2, epochs=2, **asked).fit(*load_breast_cancer(return_X_y=True))
    model.save(tmp_path / "model.superpose")
    card = model_card(Predictor.load(tmp_path / "model.superpose").manifest)
    section = card.partition("## Calibration\n")[2].partition("\n## ")[0]
    assert "Brier" not in section and "does not say how" in section
    assert ("were not recalibrated" in section) == (not asked)
    assert ("calibrated by temperature scaling, fitted on " in section) == bool(asked)
    assert ("hold the true class for 80 % of rows" in section) == bool(asked)
