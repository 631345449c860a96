"""Signs of expectations that are shot noise, held against drawn shots, and models diagnosed with their rows."""

from __future__ import annotations

import tracemalloc
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.explain.conftest import module_predictor
from torch import nn

from superpose.circuits import Circuit, Observable, Parameter
from superpose.datasets import Table, builtin_table
from superpose.errors import ExplanationError
from superpose.explain import diagnose, diagnose_model, shot_noise
from superpose.explain.shot_covariances import rows_at_once, shot_covariances, shot_variances
from superpose.explain.sign_noise import sign_noise
from superpose.learning import Predictor
from superpose.learning.families import FAMILIES
from superpose.learning.model_file import encode_model
from superpose.learning.quantum_block import QuantumBlock

A, B = Parameter("a"), Parameter("b")


def test_one_turn_has_the_band_of_the_cosine() -> None:
    """<Z> = cos a, variance sin(a)**2: the sign flips by Phi(-|cot a| sqrt(N)), in the band |cot a| < 1.645 / 10."""
    (found,) = diagnose(Circuit(1).ry(A, 0), n_samples=20_000, shots=100).sign_noise
    share = 2 * np.arctan(stats.norm.ppf(0.95) / 10) / np.pi
    assert found.share_in_band == pytest.approx(share, abs=4 * np.sqrt(share / 20_000))
    angles = np.linspace(0, 2 * np.pi, 200_001)[1:-1]
    mean = stats.norm.sf(np.abs(np.cos(angles) / np.maximum(np.abs(np.sin(angles)), 1e-300)) * 10).mean()
    assert found.expected_flips == pytest.approx(mean, abs=0.003)


def test_signs_flip_as_often_as_in_drawn_shots() -> None:
    """Two strings that share a setting, 400 shots, drawn 4,000 times: binomial error of the flips at each angle."""
    circuit = Circuit(2).ry(A, 0).cx(0, 1).ry(B, 1)
    observable = Observable({"ZI": 1.0, "IZ": 0.6, "II": 0.1})
    rng = np.random.default_rng(2)
    for a, b in [(1.9, 0.4), (1.5, 2.8), (1.75, 0.1)]:
        (found,) = sign_noise(circuit, [observable], np.array([[a, b]]), 400)
        both = np.array([np.cos(a / 2) * np.array([np.cos(b / 2), np.sin(b / 2)]),
                         np.sin(a / 2) * np.array([-np.sin(b / 2), np.cos(b / 2)])]).reshape(-1) ** 2  # fmt: skip
        values = np.array([1.7, 0.5, -0.3, -1.5])  # of 00, 01, 10, 11
        exact = both @ values
        drawn = rng.multinomial(400, both / both.sum(), 4_000) @ values / 400
        flips = float(np.mean(np.sign(drawn) != np.sign(exact)))
        error = np.sqrt(max(flips, 1e-3) * (1 - flips) / 4_000)
        assert found.expected_flips == pytest.approx(flips, abs=4 * error + 0.02)  # the normal approximation's own


def test_certain_signs_never_flip_and_shots_must_be_some() -> None:
    found = diagnose(Circuit(1).x(0), n_samples=16, shots=10).sign_noise
    assert [(one.share_in_band, one.expected_flips) for one in found] == [(0.0, 0.0)]
    assert diagnose(Circuit(1).ry(A, 0), n_samples=16).sign_noise == ()
    for shots in (0, 1.5):
        with pytest.raises(ExplanationError, match="shots must be a whole number from 1 to"):
            diagnose(Circuit(1).ry(A, 0), n_samples=16, shots=shots)  # type: ignore[arg-type]  # what the types forbid


def test_variances_are_the_diagonal_of_covariances() -> None:
    """Terms that share settings, within an observable and between observables."""
    circuit = Circuit(3).ry(A, 0).cx(0, 1).rx(B, 1).h(2).crx(A + B, 1, 2)
    observables = tuple(
        Observable(terms)
        for terms in ({"ZII": 1.0, "IZI": -0.4, "III": 2.0}, {"XXI": 0.3, "IXZ": 1.0, "XIZ": 0.2}, {"ZZZ": 1.0})
    )
    block = QuantumBlock(circuit, circuit.parameters, 2, "identity", observables)
    values = np.random.default_rng(5).uniform(0, 2 * np.pi, (20, 2))
    means, spread = shot_covariances(block, values, np.empty(0))
    own_means, variances = shot_variances(block, values, np.empty(0))
    np.testing.assert_allclose(own_means, means, atol=1e-12)
    np.testing.assert_allclose(variances, np.diagonal(spread, axis1=1, axis2=2), atol=1e-12)


def test_many_observables_take_the_memory_of_their_variances() -> None:
    """All Pauli strings on 5 qubits, as of a metric learner: covariances of 2,000 samples would be 16.7 GB."""
    circuit = Circuit(5)
    for qubit in range(5):
        circuit.ry(Parameter(f"w{qubit}"), qubit)
    strings = ["".join(letters) for letters in product("IXYZ", repeat=5)][1:]
    values = np.random.default_rng(0).uniform(0, 2 * np.pi, (2_000, 5))
    tracemalloc.start()
    try:
        found = sign_noise(circuit, [Observable(string) for string in strings], values, 100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == 1_023 and peak < 500e6


def test_rows_of_a_model_with_many_observables_come_few_at_once(cancer: Table) -> None:
    rows, target = cancer.features.iloc[:40], cancer.target[:40]
    model = FAMILIES["metric_learner"].load()(n_qubits=5, layers=1, max_iterations=1, random_state=0)
    served = Predictor.load(encode_model(model.fit(rows, target).to_model())[0])
    looks: list[int] = []
    found = shot_noise(served, rows.iloc[:17], 100, look=lambda: looks.append(1))
    assert len(looks) == 3 and rows_at_once(4**5 - 1) == 8
    assert found.rows[16].flip_probability == pytest.approx(
        shot_noise(served, rows.iloc[16:17], 100).rows[0].flip_probability, abs=1e-9
    )


def test_a_model_is_diagnosed_with_its_rows(predictor: Predictor, cancer: Table) -> None:
    rows = cancer.features.iloc[:30]
    found = diagnose_model(predictor, rows, 50, n_samples=32)
    assert found.shot_noise == shot_noise(predictor, rows, 50)
    (circuit,) = found.circuits
    assert circuit.n_qubits == 3 and len(circuit.sign_noise) == 3
    document: dict[str, Any] = found.to_dict()
    assert document["shot_noise"]["shots"] == 50 and len(document["shot_noise"]["rows"]) == 30
    assert document["circuits"][0]["sign_noise"][0]["shots"] == 50
    with pytest.raises(ExplanationError, match="need a number of shots"):
        diagnose_model(predictor, rows)


@pytest.mark.slow  # a family is trained
def test_families_are_diagnosed_too_and_what_has_no_circuit_is_told() -> None:
    table = builtin_table("iris")
    model = FAMILIES["kitchen_sinks"].load()(n_qubits=2, episodes=4, random_state=0)
    served = Predictor.load(encode_model(model.fit(table.features, table.target).to_model())[0])
    found = diagnose_model(served, table.features.iloc[:5], 100, n_samples=16)
    assert len(found.circuits) == 1 and found.shot_noise is not None and len(found.shot_noise.rows) == 5
    with pytest.raises(ExplanationError, match="no circuit"):
        diagnose_model(module_predictor(nn.Linear(4, 3), table))
