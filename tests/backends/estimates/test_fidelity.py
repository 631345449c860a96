"""The probability of a shot without error: by hand where a hand can do it, against simulation where not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from tests.backends.estimates import processors as p

from superpose.backends import LocalBackend
from superpose.backends.estimates import Placer, Tariff, success_probability
from superpose.circuits import Calibration, Circuit, GateCalibration, Observable, Program, QubitCalibration
from superpose.circuits.expansion import projector_terms
from superpose.errors import UnsupportedProgramError

PAIR = Calibration(
    backend="pair",
    taken_at=p.AT,
    qubits=(
        QubitCalibration(t1_us=100.0, t2_us=80.0, flip0=0.01, flip1=0.03, readout_ns=1000.0),
        QubitCalibration(t1_us=50.0, t2_us=60.0, flip0=0.02, flip1=0.02, readout_ns=1000.0),
    ),
    gates=(
        *(GateCalibration(gate="sx", qubits=(q,), error=1e-3, duration_ns=50.0) for q in (0, 1)),
        GateCalibration(gate="cx", qubits=(0, 1), error=0.01, duration_ns=400.0),
    ),
)


def test_by_hand() -> None:
    found = success_probability(Circuit(2).h(0).cx(0, 1).rz(0.3, 1).measure_all(), Tariff(PAIR))
    assert found.gates == pytest.approx((1 - 1.5e-3) * (1 - 1.25 * 0.01))
    assert found.readout == pytest.approx(0.98 * 0.98)
    assert found.idling == 1.0 and found.n_two_qubit == 1 and found.missing == ()
    assert found.duration_ns == pytest.approx(50 + 400 + 1000)
    assert found.total == pytest.approx(found.gates * found.readout)


def test_idling_is_between_the_first_operation_and_the_last() -> None:
    circuit = Circuit(2).cx(0, 1)
    for _ in range(5):
        circuit.rx(0.3, 1).cx(0, 1)  # qubit 0 waits for two pulses on qubit 1, five times
    found = success_probability(circuit.measure_all(), Tariff(PAIR))
    once = (1 + 2 * math.exp(-0.1 / 80.0) + math.exp(-0.1 / 100.0)) / 4
    assert found.idling == pytest.approx(once**5)
    late = success_probability(Circuit(2).sx(0).cx(0, 1).rx(0.3, 1).measure_all(), Tariff(PAIR))
    assert late.idling == pytest.approx(once)  # what comes before the first gate is no idling


def test_neighbouring_gates_are_pulses_together() -> None:
    few = success_probability(Circuit(1).rx(0.3, 0).ry(0.4, 0).rz(0.1, 0).rx(1.0, 0), Tariff(PAIR))
    assert few.gates == pytest.approx((1 - 1.5e-3) ** 2)
    assert success_probability(Circuit(1).t(0).rz(0.3, 0).s(0), Tariff(PAIR)).gates == 1.0


def test_what_a_gate_comes_down_to() -> None:
    def n_pairs(circuit: Circuit) -> int:
        return success_probability(circuit, Tariff(PAIR)).n_two_qubit

    assert n_pairs(Circuit(2).swap(0, 1)) == 3
    assert n_pairs(Circuit(2).rzz(0.3, 0, 1)) == 2
    assert n_pairs(Circuit(2).cz(0, 1)) == 1
    assert n_pairs(Circuit(2).cx(1, 0)) == 1  # the other way round, in h on both sides
    assert (
        success_probability(Circuit(2).cx(1, 0), Tariff(PAIR)).gates
        < success_probability(Circuit(2).cx(0, 1), Tariff(PAIR)).gates
    )


def test_what_is_not_told_is_taken_from_others_and_said() -> None:
    blind = replace(
        PAIR,
        qubits=(QubitCalibration(), PAIR.qubits[1]),
        gates=(*PAIR.gates[:2], GateCalibration(gate="cx", qubits=(0, 1), duration_ns=400.0)),
    )
    found = success_probability(Circuit(2).cx(0, 1).rx(0.1, 1).cx(0, 1).measure_all(), Tariff(blind))
    assert set(found.missing) == {"durations of readout", "errors of cx", "readout errors", "relaxation times"}
    assert found.readout == pytest.approx(0.98**2)  # qubit 1's for both
    assert found.idling == 1.0


def test_qubits_that_are_not_joined() -> None:
    line = p.processor("line", 4)
    with pytest.raises(UnsupportedProgramError, match="does not join"):
        success_probability(Circuit(4).cx(0, 3), Tariff(line))


def test_more_of_anything_is_never_better() -> None:
    tariff = Tariff(p.processor("line", 3))
    circuit, before = Circuit(3).h(0), 1.0
    for k in range(30):
        circuit.cx(k % 2, k % 2 + 1).rx(0.2, k % 3)
        found = success_probability(circuit, tariff).total
        assert found < before
        before = found


def simulated(placed_circuit: Circuit, calibration: Calibration) -> float:
    """State fidelity: the noisy circuit, then its exact inverse, and how probable all zeros are."""
    noisy, _ = p.noisy(placed_circuit, calibration).without_final_measurements()
    both = Circuit(noisy.n_qubits).extend(noisy.instructions).extend(placed_circuit.inverse().instructions)
    small, used = p.compact(both)
    zeros = Observable(projector_terms("0" * len(used)))
    answer = LocalBackend().run(Program(small, {}, [zeros])).expectations
    assert answer is not None
    return float(answer[0, 0])


def correlation(n_circuits: int) -> float:
    told, true = [], []
    for k in range(n_circuits):
        random = np.random.default_rng(k)
        calibration = p.processor("p", 8, ("line", "ring", "ladder")[k % 3], seed=k % 7, scale=(0.5, 1, 2, 4)[k % 4])
        circuit = p.random_circuit(int(random.integers(2, 6)), int(random.integers(1, 9)), k)
        placed = Placer(calibration).place(circuit)
        told.append(placed.success.gates * placed.success.idling)
        true.append(simulated(placed.circuit, calibration))
    return float(spearmanr(told, true)[0])


def test_the_order_of_a_few_circuits_is_that_of_simulation() -> None:
    assert correlation(24) >= 0.9


@pytest.mark.slow
def test_the_order_of_200_circuits_is_that_of_simulation() -> None:
    assert correlation(200) >= 0.9
