"""Measurement, conditions, resets, barriers and delays: kept, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest

import superpose
from superpose.circuits import Circuit, NoiseModel, Parameter
from superpose.errors import ConversionError
from superpose.frontends import TOOLKITS, read, write

from .conftest import installed

WITHOUT_FEED_FORWARD = ("braket",)


def distribution(circuit: Circuit) -> dict[str, float]:
    """Shares of the bit strings of many shots."""
    counts = superpose.run(circuit, shots=20_000, seed=1).counts[0]
    return {bits: number / 20_000 for bits, number in counts.items()}


def feed_forward() -> Circuit:
    circuit = Circuit(3, n_bits=3).ry(1.0, 0).h(1).cx(1, 2).barrier(0, 1).measure(0, 0).measure(1, 1)
    circuit.if_((0, 1), 2, Circuit(3).x(2).rz(0.3, 2), Circuit(3).h(2))
    return circuit.if_(1, 0, Circuit(3).ry(0.4, 2)).measure(2, 2)


@pytest.mark.parametrize("name", [name for name in TOOLKITS if name not in WITHOUT_FEED_FORWARD])
def test_feed_forward_gives_the_same_outcomes(name: str) -> None:
    """Equal seeds do not give equal shots in other circuits; 20,000 shots differ by less than 0.02 (6 sigma)."""
    installed(name)
    circuit = feed_forward()
    want, got = distribution(circuit), distribution(read(write(circuit, name)))
    for bits in want.keys() | got.keys():
        assert want.get(bits, 0.0) == pytest.approx(got.get(bits, 0.0), abs=0.02)


@pytest.mark.parametrize("name", [name for name in TOOLKITS if name not in WITHOUT_FEED_FORWARD])
def test_a_reset_stays(name: str) -> None:
    installed(name)
    circuit = Circuit(2, n_bits=2).x(0).h(1).reset(0).measure(0, 0).measure(1, 1)
    other = read(write(circuit, name))
    assert set(distribution(other)) == {"00", "01"}


@pytest.mark.parametrize("name", TOOLKITS)
def test_final_measurements_stay(name: str) -> None:
    installed(name)
    circuit = Circuit(2).x(1).measure_all()
    other = read(write(circuit, name))
    assert superpose.run(other, shots=5, seed=1).counts == ({"01": 5},)


@pytest.mark.parametrize("name", TOOLKITS)
def test_noise_is_refused_by_name(name: str) -> None:
    installed(name)
    noisy = NoiseModel(one_qubit=[("depolarizing", (0.01,))]).apply(Circuit(1).h(0))
    with pytest.raises(ConversionError, match="Channel") as caught:
        write(noisy, name)
    assert caught.value.details["instruction"] == "Channel"


@pytest.mark.parametrize("name", WITHOUT_FEED_FORWARD)
def test_what_a_toolkit_lacks_is_refused_by_name(name: str) -> None:
    installed(name)
    for circuit, what in (
        (feed_forward(), "Measure|If"),
        (Circuit(1).reset(0), "Reset"),
        (Circuit(1).delay(5, 0), "Delay"),
    ):
        with pytest.raises(ConversionError, match=what):
            write(circuit, name)


def test_others_are_told_what_is_known() -> None:
    with pytest.raises(ConversionError, match="Qiskit, Cirq"):
        read(np.eye(2))
    with pytest.raises(ConversionError, match="known are qiskit"):
        write(Circuit(1), "quipper")
    circuit = Circuit(1).rx(Parameter("a"), 0)
    assert read(circuit) is circuit
