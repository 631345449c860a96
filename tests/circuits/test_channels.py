"""Every row of the channel table: trace preserved, Paulis and Kraus operators agree, and qiskit-aer means the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qiskit.quantum_info import SuperOp
from qiskit_aer.noise import (
    amplitude_damping_error,
    depolarizing_error,
    pauli_error,
    phase_damping_error,
    thermal_relaxation_error,
)

from superpose.circuits import CHANNELS, Channel, Circuit, KrausChannel, NoiseModel, from_qasm
from superpose.circuits.pauli import pauli_matrix
from superpose.errors import GateUnknownError, ProgramError
from superpose.testing.channels import CHANNEL_CHECKS, check_channel

VALUES = {
    "bit_flip": [(0.0,), (0.3,), (1.0,)],
    "phase_flip": [(0.0,), (0.3,), (1.0,)],
    "bit_phase_flip": [(0.0,), (0.3,), (1.0,)],
    "depolarizing": [(0.0,), (0.1,), (4 / 3,)],
    "depolarizing2": [(0.0,), (0.1,), (16 / 15,)],
    "pauli": [(0.0, 0.0, 0.0), (0.1, 0.2, 0.3), (0.5, 0.25, 0.25)],
    "amplitude_damping": [(0.0,), (0.2,), (1.0,)],
    "generalized_amplitude_damping": [(0.2, 0.0), (0.2, 0.3), (1.0, 1.0)],
    "phase_damping": [(0.0,), (0.2,), (1.0,)],
    "thermal_relaxation": [
        (50e3, 70e3, 300.0, 0.0),
        (50e3, 30e3, 2e4, 0.2),
        (1e3, 2e3, 0.0, 0.0),
        (10.0, 20.0, 1e4, 0.1),
    ],
}
AER = {
    "bit_flip": lambda p: pauli_error([("X", p), ("I", 1 - p)]),
    "phase_flip": lambda p: pauli_error([("Z", p), ("I", 1 - p)]),
    "bit_phase_flip": lambda p: pauli_error([("Y", p), ("I", 1 - p)]),
    "depolarizing": lambda p: depolarizing_error(p, 1),
    "depolarizing2": lambda p: depolarizing_error(p, 2),
    "pauli": lambda x, y, z: pauli_error([("X", x), ("Y", y), ("Z", z), ("I", 1 - x - y - z)]),
    "amplitude_damping": amplitude_damping_error,
    "generalized_amplitude_damping": amplitude_damping_error,
    "phase_damping": phase_damping_error,
    "thermal_relaxation": thermal_relaxation_error,
}
CASES = [(name, values) for name in CHANNELS for values in VALUES[name]]


def superoperator(kraus: np.ndarray) -> np.ndarray:
    """Column-stacking superoperator, qiskit's convention."""
    return sum(np.kron(k.conj(), k) for k in kraus)


@pytest.mark.parametrize("check", CHANNEL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("row", CHANNELS.values(), ids=lambda row: row.name)
def test_row_of_the_table(row, check) -> None:
    check(row)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"is_valid": lambda p: True}, "refused|wrong"),
        ({"is_valid": lambda p: False}, "taken"),
        ({"is_valid": lambda p: p < 1.2}, "range|sum"),
        ({"paulis_of": lambda p: {"I": 1.0 - p, "X": p / 2}}, "sum"),
        ({"paulis_of": lambda p: {"II": 1.0 - p, "XX": p}}, "shape"),
        ({"paulis_of": None, "kraus_of": lambda p: np.array([np.eye(2) * (1 - p)])}, "sum"),
    ],
)
def test_check_channel_notices_a_wrong_row(wrong, match) -> None:
    with pytest.raises((AssertionError, ValueError), match=match):
        check_channel(replace(CHANNELS["bit_flip"], **wrong))


@pytest.mark.parametrize(("name", "values"), CASES)
def test_a_channel_preserves_the_trace_and_its_mixture_is_its_kraus_form(name: str, values: tuple[float, ...]) -> None:
    channel = Channel(name, tuple(range(CHANNELS[name].n_qubits)), values)
    kraus = channel.kraus()
    np.testing.assert_allclose(sum(k.conj().T @ k for k in kraus), np.eye(kraus.shape[1]), atol=1e-12)
    paulis = channel.pauli_probabilities()
    if paulis is not None:
        assert sum(paulis.values()) == pytest.approx(1.0)
        mixture = sum(p * np.kron(pauli_matrix(s).conj(), pauli_matrix(s)) for s, p in paulis.items())
        np.testing.assert_allclose(superoperator(kraus), mixture, atol=1e-12)
    assert KrausChannel(channel.qubits, kraus).kraus().shape == kraus.shape


@pytest.mark.parametrize(("name", "values"), CASES)
def test_aer_means_the_same(name: str, values: tuple[float, ...]) -> None:
    kraus = Channel(name, tuple(range(CHANNELS[name].n_qubits)), values).kraus()
    np.testing.assert_allclose(superoperator(kraus), SuperOp(AER[name](*values)).data, atol=1e-12)


def test_a_noise_model_takes_the_most_specific_entry() -> None:
    flip, damp = ("bit_flip", (0.1,)), ("amplitude_damping", (0.2,))
    model = NoiseModel(
        one_qubit=[flip], two_qubit=[("depolarizing2", (0.1,))], gates={"x": [damp], "ccx": [flip]},
        local={("cx", (1, 0)): [damp], ("h", (1,)): []},
    )  # fmt: skip
    circuit = Circuit(3).h(0).h(1).x(0).cx(0, 1).cx(1, 0).ccx(0, 1, 2)
    found = [item for item in model.apply(circuit).instructions if isinstance(item, Channel)]
    assert [(item.name, item.qubits) for item in found] == [
        ("bit_flip", (0,)), ("amplitude_damping", (0,)), ("depolarizing2", (0, 1)), ("amplitude_damping", (1,)),
        ("amplitude_damping", (0,)), ("bit_flip", (0,)), ("bit_flip", (1,)), ("bit_flip", (2,)),
    ]  # fmt: skip


def test_relaxation_stands_behind_gates_that_take_time_and_in_delays() -> None:
    model = NoiseModel(t1_ns={0: 5e4}, t2_ns=4e4, gate_times_ns={"h": 30.0}, excited=0.1)
    inner = Circuit(2, n_bits=1).delay(10.0, 0)
    circuit = Circuit(2, n_bits=1).h(0).h(1).x(0).delay(100.0, 0).measure(0, 0).if_(0, 1, inner)
    noisy = model.apply(circuit)
    found = [item for item in noisy.instructions if isinstance(item, Channel)]
    assert [item.values for item in found] == [(5e4, 4e4, 30.0, 0.1), (5e4, 4e4, 100.0, 0.1)]
    assert [type(item).__name__ for item in noisy.instructions[-1].then] == ["Delay", "Channel"]


def test_global_phases_have_no_noise() -> None:
    model = NoiseModel(one_qubit=[("bit_flip", (0.1,))], t1_ns=1e4, t2_ns=1e4, gate_times_ns={"rz": 1.0, "p": 1.0})
    text = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; u3(1,2,3) q[0]; u2(1,2) q[1]; measure q -> c;'
    circuit = from_qasm(text)
    assert [item.gate for item in circuit.instructions[:4]] == ["u", "u", "rz", "p"]
    kinds = [type(item).__name__ for item in model.apply(circuit).instructions]
    assert kinds == ["Instruction", "Channel"] * 2 + ["Instruction"] * 2 + ["Measure"] * 2
    for near in (Circuit(2).rz(0.5, 0).p(0.5, 0), Circuit(2).rz(0.5, 0).p(-0.5, 1), Circuit(1).rz(0.5, 0)):
        found = [item for item in model.apply(near).instructions if isinstance(item, Channel)]
        assert len(found) == 2 * near.n_instructions


def test_readout_errors_are_written_into_measurements() -> None:
    model = NoiseModel(readout={1: (0.1, 0.2)})
    measured = model.apply(Circuit(2).measure_all()).instructions
    assert [(item.flip0, item.flip1) for item in measured] == [(0.0, 0.0), (0.1, 0.2)]
    assert model.has_readout_error and not NoiseModel().has_readout_error


def test_impossible_models_are_refused() -> None:
    with pytest.raises(ProgramError, match="both t1_ns and t2_ns"):
        NoiseModel(t1_ns=1.0)
    for t1, t2 in [(1e4, 3e4), (-1e4, 1e4), ({3: 1e4}, {3: 3e4}), ({3: 1e4}, 3e4)]:
        with pytest.raises(ProgramError, match="t2_ns <= 2 t1_ns"):
            NoiseModel(t1_ns=t1, t2_ns=t2)
    with pytest.raises(ProgramError, match="excited <= 1"):
        NoiseModel(t1_ns=1.0, t2_ns=1.0, excited=1.5)
    with pytest.raises(ProgramError, match="nanoseconds"):
        NoiseModel(gate_times_ns={"h": -1.0})
    with pytest.raises(ProgramError, match="needs 0 <= p"):
        NoiseModel(one_qubit=[("bit_flip", (2.0,))])
    with pytest.raises(GateUnknownError):
        NoiseModel(gates={"hadamard": []})
    with pytest.raises(ProgramError, match="does not fit behind"):
        NoiseModel(one_qubit=[("depolarizing2", (0.1,))]).apply(Circuit(1).h(0))
