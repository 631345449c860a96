"""Circuit diagnosis against closed forms and published values."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from superpose.circuits import Circuit, Observable, Parameter
from superpose.errors import ExplanationError
from superpose.explain import diagnose
from superpose.explain.diagnosis import expressibility, meyer_wallach

A, B = Parameter("a"), Parameter("b")


def test_expressibility_is_that_of_the_four_circuits_of_the_paper() -> None:
    """Sim, Johnson and Aspuru-Guzik 2019, figure 2: idle 4.3, H RZ 0.22, H RZ RX 0.02 nats in 75 bins."""
    assert diagnose(Circuit(1)).expressibility == pytest.approx(math.log(75))
    assert diagnose(Circuit(1).h(0).rz(A, 0), n_samples=10_000).expressibility == pytest.approx(0.22, abs=0.03)
    assert diagnose(Circuit(1).h(0).rz(A, 0).rx(B, 0), n_samples=10_000).expressibility == pytest.approx(
        0.02, abs=0.015
    )


@pytest.mark.parametrize("n_qubits", [1, 2, 4])
def test_haar_random_states_have_no_divergence(n_qubits: int) -> None:
    rng = np.random.default_rng(n_qubits)
    states = rng.normal(size=(40_000, 2**n_qubits)) + 1j * rng.normal(size=(40_000, 2**n_qubits))
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    assert expressibility(states) < 0.006  # 20,000 pairs in 75 bins have 74 / 40,000 on average
    dimension = 2**n_qubits
    expected = (dimension - 2) / (dimension + 1)  # mean of Meyer and Wallach's measure over Haar's states
    assert meyer_wallach(states).mean() == pytest.approx(expected, abs=0.01)


def test_entangling_capability_of_known_states() -> None:
    assert diagnose(Circuit(3).h(0).cx(0, 1).cx(1, 2)).entangling_capability == pytest.approx(1.0)
    assert diagnose(Circuit(3).h(0).ry(A, 1)).entangling_capability == pytest.approx(0.0, abs=1e-12)
    made = diagnose(Circuit(2).ry(A, 0).cx(0, 1), n_samples=4_000)
    assert made.entangling_capability == pytest.approx(0.5, abs=4 * made.entangling_error)  # mean of sin(a)**2


def test_gradient_variance_of_one_rotation_is_a_half() -> None:
    found = diagnose(Circuit(1).ry(A, 0), n_samples=20_000)
    assert found.gradient is not None
    assert found.gradient.variance == pytest.approx(0.5, abs=0.01)
    assert found.warnings == ()
    assert diagnose(Circuit(1)).gradient is None


def test_what_moves_nothing_is_told() -> None:
    (warning,) = diagnose(Circuit(1).h(0).rz(A, 0), [Observable("Z")]).warnings
    assert warning.startswith("Nothing to train")


def test_spectra_have_the_frequencies_of_the_encoding_and_no_others() -> None:
    once = diagnose(Circuit(1).rx(A, 0), inputs=["a"]).spectra["a"]
    assert [line.frequency for line in once] == [1.0]
    assert once[0].magnitude == pytest.approx(0.5)  # cos a
    thrice = Circuit(1)
    for number in range(3):
        thrice.ry(Parameter(f"w{number}"), 0).rz(Parameter(f"v{number}"), 0).rx(A, 0)
    assert [line.frequency for line in diagnose(thrice, inputs=["a"]).spectra["a"]] == [0.0, 1.0, 2.0, 3.0]
    assert [line.frequency for line in diagnose(Circuit(1).rx(3 * A + 1, 0), inputs=["a"]).spectra["a"]] == [3.0]
    turned = Circuit(2).h(0).crx(A, 0, 1)  # its generator has the eigenvalues 0 and +-1/2
    halves = diagnose(turned, [Observable("XI")], inputs=["a"]).spectra["a"]
    assert [line.frequency for line in halves] == [0.5]


@pytest.mark.parametrize(
    ("slopes", "frequencies"),
    [((math.pi,), (math.pi,)), ((0.3,), (0.3,)), ((1.0, 0.3), (0.7, 1.0, 1.3)), ((2.0, 1 / 3), (5 / 3, 2.0, 7 / 3))],
)
def test_spectra_of_scaled_angles_have_their_frequencies(
    slopes: tuple[float, ...], frequencies: tuple[float, ...]
) -> None:
    circuit = Circuit(1)
    for slope in slopes:
        circuit.rx(slope * A, 0).ry(B, 0)
    found = diagnose(circuit, inputs=["a", "a"], n_samples=50)  # named twice is named once
    assert [line.frequency for line in found.spectra["a"]] == pytest.approx(frequencies)
    assert found.warnings == ()


def test_an_input_whose_frequencies_are_on_no_grid_is_named() -> None:
    found = diagnose(Circuit(1).rx(A, 0).ry(B, 0).rx(math.pi * A, 0), inputs=["a", "b"], n_samples=50)
    assert found.without_spectrum == ("a",) and list(found.spectra) == ["b"]
    assert "Input 'a' has no Fourier spectrum" in found.warnings[-1]


def test_an_input_whose_grid_would_be_too_fine_is_named() -> None:
    """Three denominators have one unit, 1/971,239,341 of the input: billions of points."""
    thrice = Circuit(1).rx(A / 997, 0).ry(A / 991, 0).rx(A / 983, 0)
    found = diagnose(thrice, inputs=["a"], n_samples=16)
    assert found.without_spectrum == ("a",) and not found.spectra
    assert "too fine a grid" in found.warnings[-1]
    twice = diagnose(Circuit(1).rx(A / 997, 0).rx(A / 991, 0), inputs=["a"], n_samples=16)  # 15,920 points
    assert [line.frequency for line in twice.spectra["a"]] == pytest.approx([1 / 997 + 1 / 991])


def test_what_a_large_circuit_does_not_tell_is_said() -> None:
    """Of product states on 9 qubits and of Haar's alike nearly all fidelities are in the first bin."""
    product = Circuit(9)
    for qubit in range(9):
        product.ry(Parameter(f"w{qubit}"), qubit)
    found = diagnose(product, n_samples=64)
    assert found.expressibility < 0.1
    (warning,) = found.warnings
    assert warning.startswith("Expressibility tells nothing about 9 qubits: 99.9 %")
    assert diagnose(Circuit(8).ry(A, 0), n_samples=16).warnings == ()


def test_numbers_that_are_left_out_are_named() -> None:
    many = Circuit(2)
    for place in range(401):
        many.ry(A if place == 0 else 0.1, place % 2)
    found = diagnose(many, n_samples=16)
    assert found.gates == () and found.qubits
    assert found.warnings == ("No gate was left out by itself: there are more than 400.",)
    wide = diagnose(Circuit(13).ry(A, 0), n_samples=16)
    assert wide.effective_dimension is None and wide.qubit_shares == ()
    assert [text.partition(":")[0] for text in wide.warnings[1:]] == ["No effective dimension", "No shares of qubits"]
    only_input = diagnose(Circuit(13).ry(A, 0), inputs=["a"], n_samples=16)
    assert not any(text.startswith("No effective dimension") for text in only_input.warnings)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"n_samples": "many"}, "n_samples"),
        ({"n_samples": 0}, "n_samples"),
        ({"n_data": 10**400}, "n_data"),
        ({"n_data": None}, "n_data"),
        ({"n_data": 2}, "n_data"),
        ({"shots": 10**10}, "shots"),
    ],
)
def test_numbers_out_of_their_range_are_refused_before_any_work(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ExplanationError) as refused:  # 60 qubits have no state, so that nothing ran
        diagnose(Circuit(60).ry(A, 0), **options)
    assert refused.value.details["field"] == field


def test_numpys_numbers_give_a_document_too() -> None:
    numbers = {"n_samples": np.int64(16), "n_data": np.int64(1000), "seed": np.int64(1), "shots": np.int64(10)}
    json.dumps(diagnose(Circuit(1).ry(A, 0), **numbers).to_dict())


def test_what_is_left_out_is_ranked_by_what_it_changes() -> None:
    found = diagnose(Circuit(2).x(0).ry(1e-3 * A, 1), n_samples=64)
    assert found.gates[0].left_out == "0: x 0"
    assert found.gates[0].infidelity == pytest.approx(1.0)
    assert found.gates[0].change == pytest.approx(1.0)  # <Z> turns from -1 to 1 on one of two qubits
    assert found.gates[-1].change < 1e-3
    assert found.qubits[0].left_out == "qubit 0"


def test_what_cannot_be_diagnosed_is_refused() -> None:
    with pytest.raises(ExplanationError, match="no parameter 'x'"):
        diagnose(Circuit(1).ry(A, 0), inputs=["x"])
    with pytest.raises(ExplanationError, match="of gates"):
        diagnose(Circuit(1).h(0).reset(0))
    assert diagnose(Circuit(1, n_bits=1).ry(A, 0).measure(0, 0)).n_params == 1
