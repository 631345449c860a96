"""Differentially private training: gradients by row, cut and noised; what is promised, what is refused, and kill -9."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

pytest.importorskip("opacus", reason="needs superpose[privacy]")

from sklearn.datasets import load_breast_cancer

from superpose import HybridClassifier
from superpose.datasets import builtin_table
from superpose.errors import SpecError
from superpose.learning import (
    CheckpointStore,
    Predictor,
    QuantumLayer,
    Stopped,
    Trainer,
    TrainingRows,
    TrainingSpec,
    TrainingWatch,
    admit,
    build_network,
    run_experiment,
)
from superpose.learning.network import VARIANTS, NetworkShape
from superpose.learning.privacy.accounting import PrivacyPlan, plan_privacy
from superpose.learning.privacy.spec import PrivacySpec
from superpose.learning.privacy.steps import PrivateSteps, weight_gradients
from superpose.learning.spec import ModelSpec, TrainingOptions


def plan_of(noise: float, norm: float, n_rows: int = 60, n_steps: int = 12, sample_rate: float = 0.25) -> PrivacyPlan:
    return PrivacyPlan(n_rows, sample_rate, n_steps, noise, norm, 1.0, 1e-5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_rows(n_rows: int = 60) -> TrainingRows:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(n_rows, 5))
    return TrainingRows.from_arrays(rows, (rows[:, 0] > 0).astype(np.int64) + (rows[:, 1] > 1))


@pytest.mark.parametrize(("encoding", "ansatz"), [("angle", "strongly_entangling"), ("iqp", "hardware_efficient")])
def test_gradients_of_each_row_are_those_of_the_row_alone(encoding: str, ansatz: str) -> None:
    layer = QuantumLayer(3, encoding=encoding, ansatz=ansatz, layers=2, seed=4, dtype=torch.float64)
    inputs, weighting = torch.randn(7, 3, dtype=torch.float64), torch.randn(7, 3, dtype=torch.float64)
    found = weight_gradients(layer, inputs, weighting)
    for row in range(7):
        layer.weights.grad = None
        (layer(inputs[row : row + 1]) * weighting[row]).sum().backward()
        np.testing.assert_allclose(found[row], layer.weights.grad, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_cuts_each_row_and_sums(variant: str) -> None:
    rows = some_rows()
    network = build_network(ModelSpec(), NetworkShape(5, 3), variant, seeded(1), "adjoint")
    norm = 0.5
    steps = PrivateSteps(network, plan_of(0.0, norm), seeded())
    chosen = steps.rows()
    assert 0 < len(chosen) < 60

    def losses() -> torch.Tensor:
        return cross_entropy(network(rows.rows[chosen]), rows.classes[chosen], reduction="none")

    found, mean = steps.gradient(losses, len(chosen))
    steps.close()
    wanted, n_cut = torch.zeros_like(found), 0
    for row in range(len(chosen)):
        network.zero_grad()
        losses()[row].backward()
        gradient = torch.cat([p.grad.reshape(-1) for p in network.parameters() if p.requires_grad])
        n_cut += bool(gradient.norm() > norm)
        wanted += gradient * min(1.0, norm / float(gradient.norm()))
    assert n_cut > 0
    np.testing.assert_allclose(found, wanted / 15.0, atol=2e-6)  # 60 rows x 0.25
    assert mean == pytest.approx(float(losses().detach().mean()), rel=1e-5)


def test_noise_has_the_planned_size_also_in_a_step_without_rows() -> None:
    network = build_network(ModelSpec(), NetworkShape(5, 3), "hybrid", seeded(1), "adjoint")
    steps = PrivateSteps(network, plan_of(2.0, 3.0), seeded())
    drawn = torch.cat([steps.gradient(lambda: torch.empty(0), 0)[0] for _ in range(200)]) * 15.0
    assert len(drawn) > 10_000
    assert float(drawn.std()) == pytest.approx(6.0, rel=0.03) and abs(float(drawn.mean())) < 0.2


def test_rows_are_drawn_each_by_itself() -> None:
    steps = PrivateSteps(torch.nn.Linear(2, 2), plan_of(1.0, 1.0, sample_rate=0.1), seeded())
    counts = np.zeros(60)
    sizes = []
    for _ in range(2_000):
        chosen = steps.rows()
        counts[chosen.numpy()] += 1
        sizes.append(len(chosen))
    assert np.all(np.abs(counts / 2_000 - 0.1) < 0.035)  # five standard deviations
    assert np.var(sizes) == pytest.approx(60 * 0.1 * 0.9, rel=0.15)  # binomial, not fixed batches


def test_the_accountant_keeps_within_epsilon_and_more_noise_costs_less() -> None:
    loose = plan_privacy(PrivacySpec(epsilon=4.0), n_rows=1_000, batch_size=50, epochs=10)
    strict = plan_privacy(PrivacySpec(epsilon=0.5), n_rows=1_000, batch_size=50, epochs=10)
    for plan, epsilon in ((loose, 4.0), (strict, 0.5)):
        assert 0.97 * epsilon < plan.epsilon <= epsilon
        assert (plan.n_steps, plan.sample_rate) == (200, 0.05)
    assert strict.noise_multiplier > 2 * loose.noise_multiplier
    # One full-batch step is the Gaussian mechanism: its classical noise (Dwork and Roth 2014, A.1) is an upper bound.
    single = plan_privacy(PrivacySpec(epsilon=0.9, delta=1e-4), n_rows=1_000, batch_size=1_000, epochs=1)
    assert single.noise_multiplier <= np.sqrt(2 * np.log(1.25 / 1e-4)) / 0.9 * 1.01


def test_a_stopped_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    options = TrainingOptions(epochs=3, batch_size=15)

    def trained(directory: Path | None, stop_after: int = 10**6) -> torch.Tensor:
        network = build_network(ModelSpec(), NetworkShape(5, 3), "hybrid", seeded(1), "adjoint")
        trainer = Trainer(
            network, some_rows(), None, options, n_classes=3, generator=seeded(2), privacy=plan_of(1.0, 1.0)
        )
        trainer._private.generator.manual_seed(9)  # as if the operating system had given the same entropy
        left = iter(range(stop_after))
        store = None if directory is None else CheckpointStore(directory, {"run": 1})
        trainer.run(TrainingWatch(store=store, should_stop=lambda: next(left, None) is None))
        assert not any(hasattr(p, "grad_sample") for p in network.parameters())
        return torch.cat([p.detach().reshape(-1) for p in network.parameters()])

    whole = trained(None)
    with pytest.raises(Stopped):
        trained(tmp_path, stop_after=1)
    assert torch.equal(trained(tmp_path), whole)


def test_the_estimator_learns_within_its_epsilon_and_draws_new_noise() -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    made = [HybridClassifier(epsilon=4.0, epochs=8, random_state=0).fit(rows, labels) for _ in range(2)]
    assert all(model.score(rows, labels) > 0.85 for model in made)
    first, second = (model.predict_proba(rows) for model in made)
    assert not np.array_equal(first, second)
    assert made[0].privacy_["epsilon"] <= 4.0 and made[0].n_iter_ == 8
    assert HybridClassifier(epochs=1, random_state=0).fit(rows, labels).privacy_ is None


@pytest.mark.slow
def test_an_experiment_reports_epsilon_and_the_attack(tmp_path: Path) -> None:
    spec = TrainingSpec.from_dict(
        {
            "privacy": {"epsilon": 3.0},
            "training": {"epochs": 3},
            "evaluation": {"n_splits": 2, "controls": ["classical_twin"], "baseline": "none"},
        }
    )
    result = run_experiment(spec, builtin_table("breast_cancer"), tmp_path)
    private, attack = result.evaluation["privacy"], result.evaluation["membership"]
    assert 2.8 < private["epsilon"] <= 3.0 and "largest_group" not in private
    assert attack["n_unseen"] == 113 and attack["low"] <= attack["auc"] <= attack["high"]
    assert attack["advantage"] <= attack["bound"] == pytest.approx(0.905, abs=1e-3)
    manifest = Predictor.load(result.model_path).manifest
    assert manifest["evaluation"]["privacy"] == private
    assert manifest["provenance"]["spec"]["privacy"]["epsilon"] == 3.0
    from superpose.explain import model_card

    card = model_card(manifest)
    assert "Trained with differential privacy: epsilon 3" in card and "Membership inference" in card


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"privacy": {"epsilon": 0}}, "privacy.epsilon"),
        ({"privacy": {"epsilon": 1, "delta": 0.01}}, "privacy.delta"),
        ({"privacy": {"epsilon": 1}, "training": {"class_weights": "balanced"}}, "training.class_weights"),
        ({"privacy": {"epsilon": 1}, "training": {"gradient_method": "spsa"}}, "training.gradient_method"),
        ({"privacy": {"epsilon": 1}, "backend": {"name": "local"}}, "backend.name"),
    ],
)
def test_what_would_break_the_promise_is_refused(document: dict[str, object], field: str) -> None:
    with pytest.raises(SpecError) as refused:
        admit(TrainingSpec.from_dict(document), builtin_table("iris"))
    assert refused.value.details["field"] == field


def test_a_spec_without_privacy_keeps_its_digest() -> None:
    assert "privacy" not in TrainingSpec().to_dict()
    assert TrainingSpec.from_dict({"privacy": {"delta": 1e-6}}).digest == TrainingSpec().digest
