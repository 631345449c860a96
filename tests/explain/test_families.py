"""Explanations of families: exact gradients, attributions that add up, SHAP values, samples, shot noise."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_iris

from superpose.errors import ExplanationError
from superpose.explain import attribute, explanation_sample, pixel_maps, shot_noise
from superpose.explain.attributions import deletion_areas
from superpose.learning import Predictor
from superpose.learning.families import FAMILIES
from superpose.learning.model_file import encode_model

QUICK: dict[str, dict[str, Any]] = {
    "boltzmann_machine": {"n_qubits": 3, "max_iterations": 15},
    "iqp_kernel": {"max_qubits": 3, "bandwidth": 1.0, "C": 1.0},
    "kitchen_sinks": {"episodes": 30, "bandwidth": 1.0, "C": 1.0},
    "metric_learner": {"n_qubits": 2, "max_iterations": 15},
    "projected_kernel": {"max_qubits": 3, "bandwidth": 1.0, "C": 1.0},
}
"""Settings that learn quickly; the quantum kernels have two registers."""
PLAIN = list(QUICK)
EVERY = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES]
"""Saving a network captures it with torch, which takes a second and more."""
CIRCUITS = [name for name in FAMILIES if FAMILIES[name].has_circuits]


@functools.cache
def data(needs: str) -> tuple[Any, Any]:
    """Six columns of cell samples, or pictures of 3 and 5."""
    if needs == "columns":
        frame, labels = load_breast_cancer(return_X_y=True, as_frame=True)
        return frame.iloc[:160, :6], labels[:160].to_numpy()
    rows, labels = load_digits(return_X_y=True)
    chosen = np.isin(labels, (3, 5))
    return pd.DataFrame(rows[chosen][:160]).rename(columns=lambda i: f"x_{i}"), labels[chosen][:160]


@functools.cache
def served(name: str, separable: bool = False) -> Predictor:
    """A family, fitted and read from its model file."""
    rows, labels = data(FAMILIES[name].needs)
    family = FAMILIES[name].load()
    options = QUICK.get(name, {"epochs": 3})
    model = family(random_state=0, separable=separable, **options).fit(rows, labels).to_model()
    return Predictor.load(encode_model(model)[0])


def some(name: str, n_rows: int = 6) -> Any:
    return data(FAMILIES[name].needs)[0].iloc[-n_rows:]


@pytest.mark.parametrize("name", [*PLAIN, pytest.param("dressed_circuit", marks=pytest.mark.slow)])
@pytest.mark.parametrize("separable", [False, True])
def test_gradients_are_those_of_finite_differences(name: str, separable: bool) -> None:
    model: Any = served(name, separable).model
    encoded = served(name, separable).encode(some(name))
    classes = np.arange(len(encoded)) % 2
    values, slopes = model.probability_gradients(encoded, classes)
    np.testing.assert_allclose(values, model.probabilities(encoded)[np.arange(len(encoded)), classes], atol=1e-12)
    step = 1e-5
    for column in range(encoded.shape[1]):
        moved = [encoded + sign * step * np.eye(encoded.shape[1])[column] for sign in (1, -1)]
        ahead, behind = (model.probabilities(m)[np.arange(len(m)), classes] for m in moved)
        np.testing.assert_allclose(slopes[:, column], (ahead - behind) / (2 * step), atol=2e-8)
    assert np.abs(slopes).max() > 1e-3
    assert model.probability_gradients(encoded[:0], classes[:0])[1].shape == (0, encoded.shape[1])


@pytest.mark.parametrize("name", EVERY)
def test_integrated_gradients_add_up_through_the_circuit(name: str) -> None:
    """The random filters of quanvolution leave thousands of kinks of ReLUs on the way: there the parts run out."""
    found = attribute(served(name), some(name, 4))
    assert found.completeness_errors.max() < (1e-4 if name == "quanvolution" else 1e-6)
    assert np.abs(found.values).max() > 1e-3


@pytest.mark.parametrize("name", EVERY)
def test_shap_values_add_up_and_are_those_of_the_definition(name: str) -> None:
    """By another way than the product's: exact values of three columns, the others kept typical."""
    predictor = served(name)
    typical = predictor.model.preprocessor
    rows = some(name, 2).copy()
    found = attribute(predictor, rows, method="shapley")
    np.testing.assert_allclose(found.completeness_errors, 0.0, atol=1e-9)
    encoded = predictor.encode(rows)
    encoded[:, 3:] = typical.typical[3:]
    raw = pd.DataFrame(encoded * typical.scale + typical.centre, columns=rows.columns)
    short = attribute(predictor, raw, method="shapley", of_class=predictor.classes[1], n_orders=32)

    def worth(row: NDArray[np.float64], given: tuple[int, ...]) -> float:
        mixed = typical.typical.copy()
        mixed[list(given)] = row[list(given)]
        return float(predictor.model.probabilities(mixed[None])[0, 1])

    for row, values in zip(encoded, short.values, strict=True):
        first = (
            (worth(row, (0,)) - worth(row, ())) / 3
            + (worth(row, (0, 1)) - worth(row, (1,)) + worth(row, (0, 2)) - worth(row, (2,))) / 6
            + (worth(row, (0, 1, 2)) - worth(row, (1, 2))) / 3
        )
        exact = len(values) <= 10
        assert abs(values[0] - first) < (1e-9 if exact else 0.05)


@pytest.mark.parametrize("name", PLAIN)
def test_the_deletion_test_beats_random_orders(name: str) -> None:
    """On 60 rows of real data, in the mean over rows."""
    predictor, rows = served(name), data("columns")[0].iloc[:60]
    found = attribute(predictor, rows)
    rng = np.random.default_rng(1)
    by_chance = [rng.permuted(np.tile(np.arange(6), (60, 1)), axis=1) for _ in range(5)]
    areas = deletion_areas(predictor, rows, found, [np.argsort(-found.values, axis=1), *by_chance])
    assert areas[0].mean() < areas[1:].mean()
    assert (areas[0] < areas[1:].mean(axis=0)).mean() > 0.75


@pytest.mark.parametrize("name", EVERY)
def test_explanation_samples_are_exact_where_they_can_be(name: str) -> None:
    sample = explanation_sample(served(name), some(name, 5))
    assert (sample["method"], sample["n_rows"]) == ("integrated_gradients", 5)
    assert sample["largest_completeness_error"] < (1e-6 if name in QUICK else 1e-4)
    assert len(sample["columns"]) == len(served(name).feature_names)


def exact_scores(predictor: Predictor, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.log(predictor.model.probabilities(encoded))
    found: NDArray[np.float64] = shares[:, 1] - shares[:, 0]
    return found


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in CIRCUITS])
def test_the_band_of_shot_noise_is_known_of_every_family_with_circuits(name: str) -> None:
    rows = data(FAMILIES[name].needs)[0].iloc[:40]
    predictor = served(name)
    few, many = shot_noise(predictor, rows, 20), shot_noise(predictor, rows, 20_000)
    assert few.expected_flips > many.expected_flips
    lead = exact_scores(predictor, predictor.encode(rows))
    np.testing.assert_allclose([row.margin for row in many.rows], np.abs(lead), atol=1e-5)


@pytest.mark.parametrize("name", ["iqp_kernel", "projected_kernel", "metric_learner", "kitchen_sinks"])
def test_labels_of_families_flip_as_often_as_in_sampled_runs(name: str) -> None:
    """The spread of the margin over runs whose outcomes are drawn, against the one that is computed."""
    predictor, shots, runs = served(name), 400, 1_500
    rows = data("columns")[0].iloc[:3]
    told = shot_noise(predictor, rows, shots)
    encoded = predictor.encode(rows)
    for place, row in enumerate(told.rows):
        leads = sampled_leads(name, predictor, encoded[place], shots, runs, seed=place)
        assert row.margin_deviation == pytest.approx(leads.std(), rel=0.1)  # of 1,500 runs: 2 % is one deviation
        assert abs(leads.mean()) == pytest.approx(row.margin, abs=0.15 * leads.std() + 0.02 * row.margin)


def sampled_leads(
    name: str, predictor: Predictor, encoded: NDArray[np.float64], shots: int, runs: int, *, seed: int
) -> NDArray[np.float64]:
    """The second class's lead over the first in runs with drawn outcomes, ``(runs,)``; from the fitted arrays."""
    from superpose.backends.grouping import group_terms
    from superpose.circuits import Circuit, Observable
    from superpose.engine import compile_program

    rng = np.random.default_rng(seed)
    model: Any = predictor.model
    fitted = model.classifier

    def means(block: Any, observables: Any, angles: Any, weights: Any) -> NDArray[np.float64]:
        """Estimates ``(runs, n_observables)``: every setting is measured ``shots`` times in every run."""
        groups, found = group_terms(observables)[0], np.zeros((runs, len(observables)))
        for group in groups:
            measured = Circuit(block.circuit.n_qubits).compose(block.circuit).compose(group.rotation())
            program = compile_program(measured, [], inputs=block.angle_names, dtype="float64")
            shares = np.clip(program.probabilities(angles[None], weights)[0], 0, None)
            counts = rng.multinomial(shots, shares / shares.sum(), size=runs)
            found += counts @ group.estimates(np.arange(len(shares))[:, None], len(observables)) / shots
        return found

    nothing = np.empty(0)
    if name == "metric_learner":
        block = fitted.quantum_blocks_[0]
        angles = encoded @ fitted.slopes_ + fitted.offsets_
        scores = means(block, block.observables, angles, fitted.weights_) @ fitted.exit_.T
        scores -= scores.mean() - np.log(model.probabilities(encoded[None])[0]).mean()
        constant = fitted._scores(encoded[None])[0] - fitted._expectations(encoded[None])[0] @ fitted.exit_.T
        return scores[:, 1] - scores[:, 0] + constant[1] - constant[0]
    if name == "kitchen_sinks":
        block, angles = fitted.quantum_blocks_[0], fitted.runs(encoded[None], fitted.bandwidth_)
        features = [means(block, block.observables, one, nothing) for one in angles]
        scores = np.concatenate(features, axis=1) * fitted.feature_scale @ fitted.weights_ + fitted.bias_
        return np.asarray(scores[:, 1] - scores[:, 0])
    body = fitted.body_
    inputs = body.inputs(encoded[None])
    if name == "iqp_kernel":
        kernel = rng.binomial(shots, np.clip(body.kernel(inputs)[0], 0, 1), (runs, len(body.references))) / shots
    else:
        found, start = [], 0
        for block in body.registers:
            n = block.circuit.n_qubits
            paulis = [Observable("I" * q + p + "I" * (n - q - 1)) for q in range(n) for p in "XYZ"]
            angles = block.feature_map.apply(inputs[:, start : start + n])[0]
            found.append(means(block, paulis, angles, nothing))
            start += n
        others = body.features(body.references)
        gaps = ((np.concatenate(found, axis=1)[:, None, :] - others) ** 2).sum(axis=2)
        kernel = np.exp(-body.gamma * gaps)
    scores = kernel @ body.weights + body.bias
    return np.asarray(scores[:, 1] - scores[:, 0])


def test_thermal_states_have_no_shots() -> None:
    with pytest.raises(ExplanationError, match="no circuit"):
        shot_noise(served("boltzmann_machine"), some("boltzmann_machine"), 100)


@pytest.mark.slow
def test_class_activations_of_the_hybrid_convolution_need_no_module_of_ones_own() -> None:
    found = pixel_maps(served("hybrid_convolution"), some("hybrid_convolution"))
    assert found.kind == "class_activation" and found.layer is not None
    assert found.maps.shape == (6, 8, 8) and found.maps.max() > 0


def test_three_classes_add_up_too() -> None:
    rows, labels = load_iris(return_X_y=True)
    for name in ("iqp_kernel", "boltzmann_machine"):
        model = FAMILIES[name].load()(random_state=0, **QUICK[name]).fit(rows, labels).to_model()
        predictor = Predictor.load(encode_model(model)[0])
        assert attribute(predictor, rows[::50]).completeness_errors.max() < 1e-6
