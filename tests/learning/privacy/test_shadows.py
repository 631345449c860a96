"""Membership inference by shadow models: the ratio against SciPy, what it finds, and as a part of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from superpose.datasets import Table, table_from_frame
from superpose.errors import SpecError
from superpose.explain import ReportFacts, model_card, training_report
from superpose.learning import Predictor, TrainingSpec, run_experiment
from superpose.learning.admission import admit
from superpose.learning.experiment import shadowing
from superpose.learning.privacy.membership import membership_report
from superpose.learning.privacy.shadows import (
    confidence_logits,
    groups_left_out,
    left_out,
    likelihood_ratios,
    shadow_report,
)


def test_logits_are_scipys() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    classes = np.arange(50) % 3
    np.testing.assert_allclose(confidence_logits(probabilities, classes), logit(probabilities[np.arange(50), classes]))
    assert np.isfinite(confidence_logits(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 0]))).all()


@pytest.mark.parametrize(("share", "n_without"), [(0.01, 2), (0.25, 2), (0.5, 4), (0.99, 6)])
def test_each_row_is_left_out_of_as_many_models(share: float, n_without: int) -> None:
    without = left_out(500, 8, share, np.random.default_rng(1))
    assert without.shape == (8, 500) and set(without.sum(axis=0)) == {n_without}
    # by chance: of 500 rows a model lacks a share of n_without / 8, within 5 deviations
    expected = 500 * n_without / 8
    assert np.abs(without.sum(axis=1) - expected).max() < 5 * np.sqrt(expected)


def test_ratios_are_those_of_scipys_normal_densities() -> None:
    rng = np.random.default_rng(2)
    shadows, attacked = rng.normal(size=(8, 40)), rng.normal(size=40)
    without = left_out(40, 8, 0.4, rng)
    expected = np.zeros(40)
    for sign, chosen in ((1.0, ~without), (-1.0, without)):
        groups = [shadows[chosen[:, row], row] for row in range(40)]
        pooled = np.sqrt(np.average([g.var(ddof=1) for g in groups], weights=[len(g) - 1 for g in groups]))
        expected += sign * stats.norm.logpdf(attacked, [g.mean() for g in groups], pooled)
    np.testing.assert_allclose(likelihood_ratios(attacked, shadows, without), expected, rtol=1e-10)


def test_it_sees_through_rows_that_are_hard_for_every_model() -> None:
    """Rows of very different difficulty, of which members gain a little: the loss threshold sees hardly anything."""
    rng = np.random.default_rng(3)
    n_rows, n_models = 600, 8
    difficulty = rng.normal(0.0, 4.0, n_rows)
    members = np.arange(n_rows) < 400
    without = left_out(n_rows, n_models, 1 / 3, rng)
    shadows = difficulty + 1.0 * ~without + rng.normal(0.0, 0.4, (n_models, n_rows))
    attacked = difficulty + 1.0 * members + rng.normal(0.0, 0.4, n_rows)
    ratios = likelihood_ratios(attacked, shadows, without)
    found = shadow_report(
        ratios[members], ratios[~members], n_models=n_models, confidence=0.95, epsilon=None, delta=0.0
    )
    losses = np.log1p(np.exp(-attacked))
    by_loss = membership_report(losses[members], losses[~members])
    assert found is not None and by_loss is not None
    assert found["auc"] == pytest.approx(roc_auc_score(members, ratios))
    assert found["low"] > 0.85 > 0.65 > by_loss["high"]
    assert found["attack"] == "likelihood ratio of 8 shadow models" and "mean_loss_trained" not in found
    assert shadow_report(ratios[:5], ratios[5:], n_models=8, confidence=0.95, epsilon=None, delta=0.0) is None


def test_models_that_know_nothing_of_a_row_give_nothing_away() -> None:
    rng = np.random.default_rng(4)
    without = left_out(2_000, 8, 0.5, rng)
    ratios = likelihood_ratios(rng.normal(size=2_000), rng.normal(size=(8, 2_000)), without)
    found = shadow_report(ratios[:1_000], ratios[1_000:], n_models=8, confidence=0.95, epsilon=None, delta=0.0)
    assert found is not None and abs(found["auc"] - 0.5) < 4 / np.sqrt(12 * 500)


def noise(n_rows: int = 90) -> Table:
    """Labels that nothing but memory can tell."""
    rng = np.random.default_rng(5)
    columns = {f"x{i}": rng.normal(size=n_rows) for i in range(12)}
    return Table.from_columns(
        "noise", columns, "coin", np.array(["heads", "tails"], dtype=object)[rng.integers(0, 2, n_rows)]
    )


DOCUMENT: dict[str, Any] = {
    "model": {"n_qubits": 3, "ansatz": {"layers": 1}},
    "training": {"epochs": 25, "learning_rate": 0.1, "weight_decay": 0.0, "patience": 25},
    "evaluation": {"n_splits": 2, "controls": [], "baseline": "none", "test_fraction": 0.4},
    "privacy": {"attack": "shadow", "shadow_models": 4},
}


@pytest.mark.slow  # six models are trained
def test_a_training_says_the_cost_beforehand_and_reports_both_attacks(tmp_path: Path) -> None:
    spec, table, told = TrainingSpec.from_dict(DOCUMENT), noise(), []
    found = run_experiment(
        spec, table, tmp_path, on_event=lambda kind, data: told.append(data["message"]) if kind == "log" else None
    )
    place = next(i for i, said in enumerate(told) if said.startswith("4 shadow models will be trained"))
    assert place < told.index("Shadow model 1 of 4 is trained.") and "up to 300 steps" in told[place]
    by_loss = found.evaluation["membership"]
    shadow = by_loss["shadow"]
    assert (by_loss["attack"], shadow["attack"]) == ("loss threshold", "likelihood ratio of 4 shadow models")
    assert (shadow["n_trained"], shadow["n_unseen"]) == (by_loss["n_trained"], by_loss["n_unseen"])
    assert 0 <= shadow["low"] <= shadow["auc"] <= shadow["high"] <= 1
    again = run_experiment(spec, table, tmp_path)
    assert again.model_digest == found.model_digest  # nothing is drawn anew
    manifest = Predictor.load(found.model_path).manifest
    assert "A stronger attack (likelihood ratio of 4 shadow models): AUC" in model_card(manifest)
    assert b"A stronger attack (likelihood ratio of 4 shadow models)" in training_report(ReportFacts(manifest=manifest))


def test_a_training_s_progress_counts_its_shadow_models(tmp_path: Path) -> None:
    spec, told = TrainingSpec.from_dict({**DOCUMENT, "training": {"epochs": 1}}), []
    run_experiment(spec, noise(), tmp_path, on_event=lambda kind, data: told.append((kind, data)))
    progress = [data for kind, data in told if kind == "progress"]
    assert progress[-1]["stage"] == "shadow model 4 of 4" and progress[-1]["fraction"] == 1.0
    trained = [data["fraction"] for data in progress if data["stage"] == "training"]
    assert trained[-1] == pytest.approx(2 / 6, abs=1e-4)  # two splits, and four shadow models are left


def test_what_cannot_be_attacked_is_refused_and_steps_are_counted() -> None:
    spec = TrainingSpec.from_dict(DOCUMENT)
    bare = TrainingSpec.from_dict({name: part for name, part in DOCUMENT.items() if name != "privacy"})
    plan, without = admit(spec, noise()), admit(bare, noise())
    assert plan.n_trainings - without.n_trainings == 4
    assert plan.n_steps > without.n_steps
    assert spec.digest != bare.digest and TrainingSpec.from_dict(spec.to_dict()) == spec
    with pytest.raises(SpecError, match="trained on the backend"):
        admit(TrainingSpec.from_dict({**DOCUMENT, "backend": {"name": "emulator:ibm_fez"}}))
    with pytest.raises(SpecError, match="shadow_models"):
        TrainingSpec.from_dict({**DOCUMENT, "privacy": {"attack": "shadow", "shadow_models": 3}})
    with pytest.raises(SpecError, match="loss, shadow"):
        TrainingSpec.from_dict({**DOCUMENT, "privacy": {"attack": "oracle"}})


def test_a_patient_is_left_out_with_all_rows_and_every_model_sees_every_class() -> None:
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(12), rng.integers(1, 9, 12)))
    classes = groups % 3
    for seed in range(20):
        without = groups_left_out(groups, classes, 4, len(groups) // 2, np.random.default_rng(seed))
        for row in without:
            assert not set(groups[row]) & set(groups[~row])
            assert set(classes[~row]) == {0, 1, 2}
        assert (without.sum(axis=0) == 2).all()
    few = np.repeat([0, 1], 30)  # of two patients, one of either class, any model would lack some class
    apart = groups_left_out(few, few, 4, 30, rng)
    assert all(0 < row[:30].sum() < 30 and 0 < row[30:].sum() < 30 for row in apart)


def test_shadow_models_of_a_grouped_split_know_no_row_of_whom_they_are_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = noise()
    patients = np.arange(90) // 3
    frame = table.features.assign(patient=patients, coin=table.target)
    drawn: list[Any] = []

    def told(groups: Any, *rest: Any) -> Any:
        drawn.append((groups, groups_left_out(groups, *rest)))
        return drawn[-1][1]

    monkeypatch.setattr(shadowing, "groups_left_out", told)
    document = {
        **DOCUMENT,
        "training": {"epochs": 1},
        "split": {"kind": "grouped", "column": "patient"},
        "privacy": {"attack": "shadow", "shadow_models": 4},
    }
    grouped = table_from_frame(frame, target="coin", name="noise")
    membership = run_experiment(TrainingSpec.from_dict(document), grouped, tmp_path).evaluation["membership"]
    ((groups, without),) = drawn
    assert len(groups) == membership["n_trained"] + membership["n_unseen"]
    assert all(not set(groups[row]) & set(groups[~row]) for row in without)
    assert membership["shadow"]["n_groups"] == membership["n_groups"]
