"""Channels have the calibrated average infidelity; schedules wait as long as the gates of others take."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from superpose.backends.emulators.noise import NoiseOfCalibration, error_free, relaxation_fidelity
from superpose.backends.emulators.scheduling import scheduled
from superpose.circuits import (
    Calibration,
    Channel,
    Circuit,
    Delay,
    GateCalibration,
    Instruction,
    Measure,
    Operation,
    QubitCalibration,
)
from superpose.engine.dynamic import compile_dynamic

PAIR = {"sx": (0,), "cz": (0, 1)}


def calibration(t1_us: float | None, t2_us: float | None, error: float | None, duration_ns: float) -> Calibration:
    row = QubitCalibration(t1_us=t1_us, t2_us=t2_us, flip0=0.02, flip1=0.05, readout_ns=500.0)
    gates = tuple(
        GateCalibration(gate=gate, qubits=qubits, error=error, duration_ns=duration_ns) for gate, qubits in PAIR.items()
    )
    return Calibration(backend="test", taken_at=datetime.now(UTC), qubits=(row, row), gates=gates)


def average_infidelity(channels: list[Operation], n_qubits: int) -> float:
    """1 - (d f + 1)/(d + 1), the entanglement fidelity f got from a state maximally entangled with spectators."""
    circuit = Circuit(2 * n_qubits)
    for qubit in range(n_qubits):
        circuit.h(qubit).cx(qubit, n_qubits + qubit)
    pure = compile_dynamic(circuit).density_matrix(None, None)[0]
    mixed = compile_dynamic(circuit.copy().extend(channels)).density_matrix(None, None)[0]
    dimension = 2**n_qubits
    return float(1.0 - (dimension * np.trace(pure @ mixed).real + 1.0) / (dimension + 1.0))


@pytest.mark.parametrize("gate", PAIR)
@pytest.mark.parametrize("times", [(100.0, 80.0), (50.0, 300.0), (80.0, None), (None, None)])
@pytest.mark.parametrize("error", [0.01, 0.2])
def test_depolarisation_fills_what_relaxation_leaves(
    gate: str, times: tuple[float | None, float | None], error: float
) -> None:
    noise = NoiseOfCalibration(calibration(*times, error, 60.0))
    item = Instruction(gate, PAIR[gate], ())
    first, *channels = noise.apply([item])
    assert first == item and channels
    assert average_infidelity(channels, len(item.qubits)) == pytest.approx(error, abs=1e-12)


def test_relaxation_worse_than_the_gate_stands_alone() -> None:
    noise = NoiseOfCalibration(calibration(1.0, 1.0, 1e-4, 100.0))
    _, *channels = noise.apply([Instruction("sx", (0,), ())])
    assert [item.name for item in channels if isinstance(item, Channel)] == ["thermal_relaxation"]
    assert average_infidelity(channels, 1) > 1e-4


@pytest.mark.parametrize("n_qubits", [1, 2])
@pytest.mark.parametrize(("t1", "share", "time"), [(100.0, 0.01, 1.0), (1.0, 2.0, 0.3), (50.0, 1.0, 500.0)])
def test_the_fidelity_of_relaxation_is_that_of_its_channels(
    t1: float, share: float, time: float, n_qubits: int
) -> None:
    channels = [Channel("thermal_relaxation", (q,), (t1, share * t1, time, 0.0)) for q in range(n_qubits)]
    kept = relaxation_fidelity([(t1, share * t1)] * n_qubits, time)
    assert average_infidelity(list(channels), n_qubits) == pytest.approx(1.0 - kept, abs=1e-8)


def test_readout_errs_as_calibrated_and_gates_without_rows_do_not() -> None:
    noise = NoiseOfCalibration(calibration(None, None, None, 0.0))
    assert noise.apply([Measure(1, 0)]) == [Measure(1, 0, 0.02, 0.05)]
    assert noise.apply([Instruction("rz", (0,), (0.1,))]) == [Instruction("rz", (0,), (0.1,))]
    assert noise.fidelity([Measure(1, 0)]) == pytest.approx(1 - 0.035)
    assert error_free(0.01, 2) == pytest.approx(1 - 0.0125)


def test_qubits_wait_for_each_other_and_for_reading_in_the_middle() -> None:
    noise = NoiseOfCalibration(calibration(100.0, 80.0, 0.01, 60.0))
    circuit = Circuit(2, n_bits=2).sx(0).cz(0, 1).sx(0).measure(0, 0).cz(0, 1).measure(1, 1)
    timed = scheduled(circuit.instructions, noise.duration_ns)
    assert [item for item in timed.operations if isinstance(item, Delay)] == [Delay(1, 560.0)]
    assert timed.duration_ns == 60.0 * 4 + 500.0 * 2


def test_nobody_waits_in_0_and_barriers_hold() -> None:
    def free(item: Operation) -> float:
        return 10.0

    late = scheduled(Circuit(2).x(0).x(0).cx(0, 1).instructions, free)
    assert not [item for item in late.operations if isinstance(item, Delay)]
    held = scheduled(Circuit(2).x(1).barrier().x(0).x(0).barrier().x(1).instructions, free)
    assert [item for item in held.operations if isinstance(item, Delay)] == [Delay(1, 20.0)]


def test_conditions_take_their_longer_branch_after_their_bits() -> None:
    def ten(item: Operation) -> float:
        return 10.0

    circuit = Circuit(3, n_bits=1).x(2).measure(0, 0).if_(0, 1, Circuit(2).x(1).x(1)).cx(1, 2)
    timed = scheduled(circuit.instructions, ten)
    assert timed.duration_ns == 40.0
    assert [item for item in timed.operations if isinstance(item, Delay)] == []
    again = Circuit(3, n_bits=1).x(1).measure(0, 0).if_(0, 1, Circuit(2).x(1).x(1)).x(1)
    assert Delay(1, 0.0) not in scheduled(again.instructions, ten).operations
