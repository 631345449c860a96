"""Differentially private training: gradients by row, cut and noised; what is promised, what is refused, and kill -9."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn.functional import cross_entropy

pytest.importorskip("opacus", reason="needs superpose[privacy]")

from sklearn.datasets import load_breast_cancer

from superpose import HybridClassifier
from superpose.datasets import Table, builtin_table
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
from superpose.learning.privacy.accounting import PrivacyPlan, group_epsilon, plan_privacy, with_sweep
from superpose.learning.privacy.membership import membership_bound
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
    for epsilon in (0.01, 0.1):  # below what Opacus's own orders reach
        private = plan_privacy(PrivacySpec(epsilon=epsilon), n_rows=400, batch_size=32, epochs=20)
        assert 0.99 * epsilon < private.epsilon <= epsilon
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()  # by distributions of the privacy loss: no more is spent
    accountant.history = [(private.noise_multiplier, private.sample_rate, private.n_steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how it begins
        assert 0.095 < accountant.get_epsilon(delta=1e-5, eps_error=0.01) < private.epsilon
    # One full-batch step is the Gaussian mechanism: its classical noise (Dwork and Roth 2014, A.1) is an upper bound.
    single = plan_privacy(PrivacySpec(epsilon=0.9, delta=1e-4), n_rows=1_000, batch_size=1_000, epochs=1)
    assert single.noise_multiplier <= np.sqrt(2 * np.log(1.25 / 1e-4)) / 0.9 * 1.01


@pytest.mark.parametrize(("epsilon", "n_rows"), [(1.0, 2), (0.5, 5), (3.0, 3)])
def test_a_groups_epsilon_is_the_least_of_all_deltas_by_opacus(epsilon: float, n_rows: int) -> None:
    """Brute force: Opacus's own epsilon for many deltas, each row after the other left out."""
    from opacus.accountants import RDPAccountant
    from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent

    plan = plan_privacy(PrivacySpec(epsilon=epsilon), n_rows=1_000, batch_size=50, epochs=10)
    orders = RDPAccountant.DEFAULT_ALPHAS
    spent = compute_rdp(q=plan.sample_rate, noise_multiplier=plan.noise_multiplier, steps=plan.n_steps, orders=orders)
    best = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the best order is the largest
        for delta in np.geomspace(1e-60, plan.delta, 300):
            one, _ = get_privacy_spent(orders=orders, rdp=spent, delta=delta)  # spent once, whatever the delta
            if sum(np.exp(place * one) for place in range(n_rows)) * delta <= plan.delta:
                best = min(best, n_rows * one)
    assert group_epsilon(plan, n_rows) == pytest.approx(best, rel=0.03)
    assert group_epsilon(plan, 1) == pytest.approx(plan.epsilon)
    assert group_epsilon(plan, n_rows) > n_rows * plan.epsilon  # which would need another delta


def test_a_groups_epsilon_is_above_the_exact_one_of_the_gaussian_mechanism() -> None:
    """One step over all rows: k rows move the sum k times as far, whose exact delta is known (Balle and Wang 2018)."""
    plan = plan_privacy(PrivacySpec(epsilon=0.8), n_rows=100, batch_size=100, epochs=1)
    assert plan.sample_rate == 1.0 and plan.n_steps == 1

    def delta(epsilon: float, reach: float) -> float:
        upper, lower = reach / 2 - epsilon / reach, -reach / 2 - epsilon / reach
        return float(stats.norm.cdf(upper) - np.exp(epsilon + stats.norm.logcdf(lower)))

    for n_rows in (1, 2, 4, 8):
        told = group_epsilon(plan, n_rows)
        assert told is not None and delta(told, n_rows / plan.noise_multiplier) <= plan.delta
    facts = plan.facts(largest_group=4)
    assert facts["delta_of_largest_group"] == plan.delta
    assert facts["epsilon_of_largest_group"] == group_epsilon(plan, 4)
    assert plan.facts(largest_group=5_000)["epsilon_of_largest_group"] is None


def test_a_sweeps_trainings_spend_too() -> None:
    plan = plan_privacy(PrivacySpec(epsilon=1.0), n_rows=1_000, batch_size=50, epochs=2)
    facts = with_sweep(plan.facts(), {"n_trials": 10, "folds": 3}, 1.0)
    assert facts["sweep_trainings"] == 30 and facts["epsilon"] == plan.epsilon < 1.0
    assert facts["epsilon_with_sweep"] == pytest.approx(30 * 1.0 + plan.epsilon, rel=1e-12)  # trials spend up to 1
    assert facts["delta_with_sweep"] == pytest.approx(31e-5)


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
            "evaluation": {"n_splits": 2, "controls": ["classical_twin"], "baseline": "logistic_regression"},
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
    assert "to its last epoch, beside 86 validation rows" in card
    assert "Validation rows did not choose the epoch" in card and "stopped early" not in card
    assert result.evaluation["verdict"].endswith(
        "The tuned logistic regression was trained without privacy: that favours it."
    )


def test_an_experiment_tells_what_patients_and_a_sweep_spend_and_no_training_loss(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(120) % 2, "ill", "well").astype(object)
    patients = np.array([f"p{place // 3}" for place in range(120)], dtype=object)
    columns = {"dose": rng.normal(size=120), "age": rng.normal(size=120), "patient": patients}
    spec = TrainingSpec.from_dict(
        {
            "model": {"n_qubits": 2, "ansatz": {"layers": 1}},
            "privacy": {"epsilon": 0.5, "delta": 1e-4},
            "training": {"epochs": 1},
            "split": {"kind": "grouped", "column": "patient"},
            "evaluation": {"n_splits": 2, "controls": [], "baseline": "none"},
        }
    )
    told: list[dict[str, Any]] = []
    result = run_experiment(
        spec,
        Table.from_columns("visits", columns, "outcome", labels),
        tmp_path,
        on_event=lambda kind, data: told.append(data) if kind == "progress" else None,
        provenance={"sweep": {"n_trials": 4, "folds": 2, "metric": "accuracy"}},
    )
    private = result.evaluation["privacy"]
    assert private["largest_group"] == 3 and private["epsilon_of_largest_group"] > 3 * private["epsilon"]
    assert private["sweep_trainings"] == 8
    assert private["epsilon_with_sweep"] == pytest.approx(8 * 0.5 + private["epsilon"], rel=1e-12)
    three = 1e-4 * (1 + np.exp(0.5) + np.exp(1.0))  # of nine trainings, on all three rows; the trials' steps may differ
    of_patient = membership_bound(9 * 3 * 0.5, 9 * three)
    assert result.evaluation["membership"]["bound"] == pytest.approx(of_patient, rel=1e-9)
    assert of_patient > membership_bound(private["epsilon"], 1e-4)
    assert told and all(event.get("loss") is None for event in told)  # as in its curves
    from superpose.explain import model_card

    manifest = Predictor.load(result.model_path).manifest
    manifest = {**manifest, "provenance": {name: v for name, v in manifest["provenance"].items() if name != "sweep"}}
    card = model_card(manifest)
    assert f"has 3: epsilon {private['epsilon_of_largest_group']:.3g}, delta 0.0001 for all of them" in card
    assert "by 8 private trainings" in card
    earlier = {name: value for name, value in private.items() if name != "delta_of_largest_group"}
    assert "has 3: no promise" in model_card({**manifest, "evaluation": {**manifest["evaluation"], "privacy": earlier}})


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
