"""The timing model: critical paths by hand, what is compiled when, and the published budgets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from superpose.backends.timing import QCS, ActiveReset, PassiveReset, TimingModel
from superpose.circuits import GATES, Circuit, Measure, Parameter

MODEL = TimingModel(name="test")


def filled(name: str) -> Circuit:
    row = GATES[name]
    return Circuit(3).append(name, range(row.n_qubits), [0.3] * row.n_angles)


@pytest.mark.parametrize("name", GATES)
def test_every_gate_has_a_duration(name: str) -> None:
    assert 0 <= MODEL.circuit_us(filled(name)) < 20


@pytest.mark.parametrize(
    ("circuit", "microseconds"),
    [
        (Circuit(1).rz(0.3, 0).s(0).t(0), 0.0),  # changes of frame
        (Circuit(1).h(0), 0.06),
        (Circuit(1).u(0.1, 0.2, 0.3, 0), 0.12),
        (Circuit(2).cz(0, 1), 0.3),
        (Circuit(2).cx(0, 1), 0.42),
        (Circuit(2).h(0).h(1), 0.06),  # side by side
        (Circuit(2).h(0).barrier().h(1), 0.12),
        (Circuit(3).cx(0, 1).h(2), 0.42),
        (Circuit(1).delay(500.0, 0).h(0), 0.56),
        (Circuit(1).reset(0), 100.0),
    ],
)
def test_the_critical_path(circuit: Circuit, microseconds: float) -> None:
    assert MODEL.circuit_us(circuit) == pytest.approx(microseconds)


def test_a_condition_waits_for_feedback_and_its_longer_branch() -> None:
    circuit = Circuit(1, n_bits=1).measure(0, 0).if_((0,), 1, Circuit(1).x(0), Circuit(1).x(0).x(0))
    assert MODEL.circuit_us(circuit) == pytest.approx(2.0 + 1.5 + 0.12)


def test_a_shot_is_reset_circuit_and_one_readout() -> None:
    circuit = Circuit(2).cz(0, 1)
    assert MODEL.shot_us(circuit) == pytest.approx(100.0 + 0.3 + 2.0)
    assert MODEL.shot_us(circuit.measure_all()) == pytest.approx(100.0 + 0.3 + 2.0)
    assert replace(MODEL, reset=ActiveReset()).shot_us(circuit) == pytest.approx(10.5 + 0.3 + 2.0)
    assert replace(MODEL, reset=PassiveReset(wait_ns=5e4)).shot_us(circuit) == pytest.approx(50.0 + 0.3 + 2.0)


def test_parametric_compilation_pays_for_a_structure_once() -> None:
    circuit = Circuit(1).rx(Parameter("theta"), 0)
    every, once = QCS["co_located"], QCS["parametric"]
    assert every.step_ms() == pytest.approx(223.0)
    assert once.step_ms() == pytest.approx(23.0)
    shots_s = 1000 * 10 * once.shot_us(circuit) / 1e6
    assert every.run_s(circuit, 10, 1000) == pytest.approx(1000 * 0.223 + shots_s)
    assert once.run_s(circuit, 10, 1000, compiled=False) == pytest.approx(0.2 + 1000 * 0.023 + shots_s)
    assert once.run_s(circuit, 10, 1000) == pytest.approx(1000 * 0.023 + shots_s)


def test_the_reset_circuit_measures_and_flips_in_every_round() -> None:
    reset = ActiveReset(rounds=2)
    circuit = reset.circuit(2, flip0=0.01, flip1=0.05)
    measured = [item for item in circuit.instructions if isinstance(item, Measure)]
    assert [(item.qubit, item.bit, item.flip0, item.flip1) for item in measured] == 2 * [
        (0, 0, 0.01, 0.05),
        (1, 1, 0.01, 0.05),
    ]
    assert reset.duration_ns(MODEL.pulses) == 2 * 3500
