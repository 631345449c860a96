"""Shot noise: covariances are exact, flip probabilities are those of sampling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.explain.conftest import module_predictor
from torch import Tensor, nn

from superpose import Circuit, Observable, Parameter, QuantumLayer
from superpose.backends.grouping import group_terms
from superpose.datasets import Table, builtin_table
from superpose.engine import compile_program
from superpose.errors import ExplanationError
from superpose.explain import ShotNoise, shot_noise
from superpose.explain.shot_covariances import shot_covariances
from superpose.learning import Predictor
from superpose.learning.calibration.maps import Isotonic
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.model_file import encode_model
from superpose.learning.quantum_block import QuantumBlock

SHOTS, RUNS = 300, 3_000


def sampled(block: QuantumBlock, angles: Any, weights: Any, shots: int, runs: int, seed: int) -> NDArray[np.float64]:
    """Means of Z of each qubit in many runs of one row, ``(runs, n_qubits)``."""
    program = compile_program(block.circuit, block.observables, inputs=block.angle_names, dtype="float64")
    drawn = program.sample(angles[None], weights, runs * shots, seed)[0].reshape(runs, shots)
    bits = np.stack([(drawn >> (block.circuit.n_qubits - 1 - q)) & 1 for q in range(block.circuit.n_qubits)], axis=-1)
    means: NDArray[np.float64] = (1.0 - 2.0 * bits).mean(axis=1)
    return means


def assert_flips_as_sampled(told: ShotNoise, places: NDArray[Any], sample: Any) -> None:
    """Within four binomial standard errors, and a hundredth for the normal approximation, on each of the rows."""
    for place in places:
        flips = sample(int(place)).mean()
        expected = told.rows[place].flip_probability
        error = 4.0 * np.sqrt(expected * (1.0 - expected) / RUNS) + 0.01
        assert abs(flips - expected) < error, (place, flips, expected)


def doubtful(told: ShotNoise, n_rows: int) -> NDArray[Any]:
    flips = np.array([row.flip_probability for row in told.rows])
    chosen = np.argsort(-flips)[:n_rows]
    assert (flips[chosen] > 0.01).all()
    return chosen


@pytest.mark.parametrize("of", ["predictor", "flowers"])
def test_labels_flip_as_often_as_in_sampled_runs(
    of: str, predictor: Predictor, cancer: Table, flowers: tuple[Predictor, Table]
) -> None:
    """Two classes and three, on the rows of real data that flip most."""
    model_of, table = (predictor, cancer) if of == "predictor" else flowers
    model: Any = model_of.model
    told = shot_noise(model_of, table.features, SHOTS)
    angles = model.circuit_angles(model_of.encode(table.features))
    labels = model_of.predict_proba(table.features).argmax(axis=1)

    def sample(place: int) -> Any:
        means = sampled(model.block, angles[place], model.arrays["block.weights"], SHOTS, RUNS, place)
        scores = means @ model.arrays["exit.weight"].T + model.arrays["exit.bias"]
        return scores.argmax(axis=1) != labels[place]

    assert_flips_as_sampled(told, doubtful(told, 3), sample)


def test_so_few_shots_settle_a_label_as_sampled_runs_say(predictor: Predictor, cancer: Table) -> None:
    """By the normal approximation one shot settled most rows of a model, and flipped up to 12 labels in 100."""
    model: Any = predictor.model
    told = shot_noise(predictor, cancer.features, SHOTS)
    angles = model.circuit_angles(predictor.encode(cancer.features))
    labels = predictor.predict_proba(cancer.features).argmax(axis=1)
    settled = np.array([row.shots_to_settle for row in told.rows])
    for place in np.argsort(settled, kind="stable")[:40]:
        means = sampled(model.block, angles[place], model.arrays["block.weights"], int(settled[place]), 2_000, place)
        scores = means @ model.arrays["exit.weight"].T + model.arrays["exit.bias"]
        assert (scores.argmax(axis=1) != labels[place]).mean() <= 0.06
    assert settled.min() == 30


def test_covariances_of_observables_that_share_settings_and_that_do_not() -> None:
    """Against the exact distribution of each setting's outcomes."""
    rng = np.random.default_rng(5)
    x, w = Parameter("x"), Parameter("w")
    circuit = Circuit(3).rx(x, 0).ry(w, 1).cx(0, 1).rz(x, 1).ry(x, 2).cx(1, 2).rx(w, 2)
    observables = (
        Observable({"ZZI": 0.5, "IIZ": -1.0, "III": 0.3}),
        Observable({"XIX": 1.0, "IXI": 0.7, "ZII": 0.2}),
        Observable({"YIZ": 1.5, "IZZ": -0.4}),
    )
    block = QuantumBlock(circuit, ("x",), 1, "identity", observables)
    angles, weights = rng.uniform(0, 6, (4, 1)), rng.uniform(0, 6, 1)
    means, spread = shot_covariances(block, angles, weights)
    expected = compile_program(circuit, observables, inputs=["x"], dtype="float64").expectation(angles, weights)
    np.testing.assert_allclose(means, expected, atol=1e-12)
    exact = np.zeros((4, 3, 3))
    for group in group_terms(observables)[0]:
        measured = Circuit(3).compose(circuit).compose(group.rotation())
        shares = compile_program(measured, [], inputs=["x"], dtype="float64").probabilities(angles, weights)
        values = group.estimates(np.arange(8)[:, None], 3)  # of each outcome, (8, n_observables)
        mean = shares @ values
        exact += np.einsum("ro,oi,oj->rij", shares, values, values) - mean[:, :, None] * mean[:, None, :]
    np.testing.assert_allclose(spread, exact, atol=1e-12)


class Twice(nn.Module):
    """Two quantum layers, one behind the other, and a bend behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.entry, self.exit = nn.Linear(4, 2), nn.Linear(2, 3)
        self.first, self.second = QuantumLayer(2, layers=1, seed=1), QuantumLayer(2, layers=1, seed=2)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 4) -> (batch, 3)."""
        return self.exit(torch.tanh(2 * self.second(self.first(torch.tanh(self.entry(rows))))))


def test_noise_of_a_users_module_goes_through_all_its_layers() -> None:
    """First order against sampled runs of the module itself, whose layers get means of shots."""
    torch.manual_seed(0)
    table = builtin_table("iris")
    module = Twice()
    values = table.features.to_numpy()
    rows = torch.tensor((values - values.mean(axis=0)) / values.std(axis=0), dtype=torch.float32)
    with torch.no_grad():
        module.exit.bias -= module(rows).median(dim=0).values  # so that boundaries run through the data
    predictor = module_predictor(module, table)
    model: Any = predictor.model
    shots = 4_000  # so many that the second order is small
    told = shot_noise(predictor, table.features, shots)
    arrays, layers = model.module.arrays, [model.module.layers[c.layer] for c in model.module.predicting.quantum_calls]
    labels = predictor.predict_proba(table.features).argmax(axis=1)
    encoded = predictor.encode(table.features)

    def means(block: QuantumBlock, angles: Any, weights: Any, seed: int) -> Any:
        program = compile_program(block.circuit, block.observables, inputs=block.angle_names, dtype="float64")
        shares = np.clip(program.probabilities(block.feature_map.apply(angles), weights), 0, None)
        counts = np.random.default_rng(seed).multinomial(shots, shares / shares.sum(axis=1, keepdims=True))
        signs = np.array([[1, 1, -1, -1], [1, -1, 1, -1]])
        return counts @ signs.T / shots

    def sample(place: int) -> Any:
        entered = np.tanh(encoded[place] @ arrays["entry.weight"].T + arrays["entry.bias"])
        calls = model.module.predicting.quantum_calls
        first = means(layers[0], np.tile(entered, (RUNS, 1)), arrays[calls[0].weights], place)
        second = means(layers[1], first, arrays[calls[1].weights], place + 1_000)
        return (np.tanh(2 * second) @ arrays["exit.weight"].T + arrays["exit.bias"]).argmax(axis=1) != labels[place]

    assert_flips_as_sampled(told, doubtful(told, 3), sample)


def test_more_shots_narrow_the_band_and_enough_of_them_settle_a_row(predictor: Predictor, cancer: Table) -> None:
    few, many = (shot_noise(predictor, cancer.features, shots) for shots in (20, 2_000))
    assert few.share > many.share > 0.0
    assert few.expected_flips > many.expected_flips
    row = max(many.rows, key=lambda one: one.flip_probability if one.margin > 0 else 0.0)
    assert row.shots_to_settle is not None and row.shots_to_settle > 2_000
    place = many.rows.index(row)
    settled = shot_noise(predictor, cancer.features.iloc[[place]], min(row.shots_to_settle, 10**9)).rows[0]
    assert settled.flip_probability == pytest.approx(0.05, abs=0.001)
    assert settled.margin_deviation == pytest.approx(
        row.margin_deviation * np.sqrt(2_000 / row.shots_to_settle), rel=1e-9
    )


def test_the_label_is_the_one_that_isotonic_calibration_answers_with(
    predictor: Predictor, flowers: tuple[Predictor, Table], cancer: Table
) -> None:
    shares = np.sort(predictor.predict_proba(cancer.features)[:, 1])
    cut = float(shares[shares > 0.5][20]) + 1e-6  # the second class is the label from here on only
    curve = (np.array([0.0, cut - 1e-4, cut + 1e-4, 1.0]), np.array([0.01, 0.3, 0.7, 0.99]))
    never = (np.array([0.0, 1.0]), np.array([0.1, 0.4]))
    for one in (curve, never):
        calibrated = Predictor.load(encode_model(predictor.model, safeguards=Safeguards(Isotonic((one,))))[0])
        answers = calibrated.predict(cancer.features)
        assert answers != predictor.predict(cancer.features)
        told = shot_noise(calibrated, cancer.features, 1_000)
        assert [row.label for row in told.rows] == answers
        if one is curve:
            nearest = min(told.rows, key=lambda row: row.margin)
            assert nearest.flip_probability > 0.3 and nearest.margin >= 0.0
        else:
            assert told.expected_flips < 1e-6
    flower, table = flowers
    curves = Isotonic((never,) * 3)
    calibrated = Predictor.load(encode_model(flower.model, safeguards=Safeguards(curves))[0])
    with pytest.raises(ExplanationError, match="Calibrate by temperature"):
        shot_noise(calibrated, table.features, 100)


def test_enough_shots_for_a_row_are_enough_against_all_rivals_together(flowers: tuple[Predictor, Table]) -> None:
    predictor, table = flowers
    scores = predictor.model
    arrays = dict(scores.arrays)  # type: ignore[attr-defined]  # a hybrid model keeps its arrays
    first = shot_noise(predictor, table.features, 100)
    near = min(range(len(first.rows)), key=lambda place: first.rows[place].margin)
    means = arrays["exit.weight"] @ _expectations(predictor, table, near)
    level = replace(scores, arrays=arrays | {"exit.bias": -means + np.array([0.02, 0.0, 0.0])})  # type: ignore[type-var]
    row = table.features.iloc[[near]]
    two_rivals = Predictor.load(encode_model(level)[0])
    told = shot_noise(two_rivals, row, 100).rows[0]
    assert told.flip_probability > 0.05
    assert told.shots_to_settle is not None and told.shots_to_settle > 100
    settled = shot_noise(two_rivals, row, told.shots_to_settle).rows[0]
    assert 0.025 <= settled.flip_probability <= 0.05
    assert settled.shots_to_settle == told.shots_to_settle


def _expectations(predictor: Predictor, table: Table, place: int) -> Any:
    model: Any = predictor.model
    angles = model.circuit_angles(predictor.encode(table.features.iloc[[place]]))
    return shot_covariances(model.block, angles, model.arrays["block.weights"])[0][0]


def test_a_document_holds_the_band_and_each_row(predictor: Predictor, cancer: Table) -> None:
    told = shot_noise(predictor, cancer.features, 50).to_dict()
    inside = [row["in_band"] for row in told["rows"]]
    assert told["share_in_band"] == np.mean(inside)
    assert told["expected_flips"] == pytest.approx(np.mean([row["flip_probability"] for row in told["rows"]]))
    assert [row["class"] for row in told["rows"]] == predictor.predict(cancer.features)
    assert shot_noise(predictor, cancer.features.iloc[:0], 50).share == 0.0


def test_what_has_no_shots_is_told(predictor: Predictor, cancer: Table) -> None:
    for shots in (0, 10**9 + 1, 1.5, 100.0, True, "100", None):
        with pytest.raises(
            ExplanationError, match="shots must be a whole number from 1 to 1,000,000,000, got"
        ) as caught:
            shot_noise(predictor, cancer.features, shots)  # type: ignore[arg-type]  # what the types forbid
        assert caught.value.details["field"] == "shots"
    assert shot_noise(predictor, cancer.features.iloc[:2], np.int64(50)).shots == 50  # type: ignore[arg-type]
    table = builtin_table("iris")
    with pytest.raises(ExplanationError, match="has no circuit"):
        shot_noise(module_predictor(nn.Linear(4, 3), table), table.features, 100)
