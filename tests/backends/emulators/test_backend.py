"""Emulators keep the backends' contract, place circuits once, and err as their calibration says."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from superpose.backends.emulators import EmulatedBackend
from superpose.circuits import (
    Calibration,
    Circuit,
    Delay,
    GateCalibration,
    Instruction,
    Measure,
    Observable,
    Parameter,
    Program,
    QubitCalibration,
    Template,
    TranspilingBackend,
    VerbatimBackend,
    z_all,
)
from superpose.errors import UnsupportedProgramError
from superpose.testing import check_backend

pytest.importorskip("qiskit", reason="emulators place circuits by Qiskit's transpiler")

ROUNDING = 1e-7
"""Of angles that the transpiler takes from matrices."""


def line(entangler: str = "cz", **row: float | None) -> Calibration:
    """Five qubits in a line."""
    qubit = QubitCalibration(**{"t1_us": None, "t2_us": None, **row})
    pairs = [(a, b) for a in range(5) for b in range(5) if abs(a - b) == 1]
    if entangler == "ecr":
        pairs = [(a, b) for a, b in pairs if a < b]
    gates = [GateCalibration(gate=gate, qubits=(q,), duration_ns=30.0) for gate in ("rz", "sx", "x") for q in range(5)]
    gates += [GateCalibration(gate=entangler, qubits=pair, duration_ns=70.0) for pair in pairs]
    return Calibration(backend="line", taken_at=datetime.now(UTC), qubits=(qubit,) * 5, gates=tuple(gates))


def emulator(calibration: Calibration) -> EmulatedBackend:
    return EmulatedBackend("line", lambda: calibration)


@pytest.mark.parametrize(
    "entangler", ["cz", pytest.param("ecr", marks=pytest.mark.slow), pytest.param("cx", marks=pytest.mark.slow)]
)
def test_without_errors_it_is_exact(entangler: str) -> None:
    backend = emulator(line(entangler))
    assert isinstance(backend, TranspilingBackend)
    check_backend(backend, tolerance=ROUNDING)


def test_bit_strings_have_qubit_0_leftmost_wherever_qubits_are_put() -> None:
    circuit = Circuit(4).x(1).h(0).cx(0, 3).h(0).x(3).x(0).cx(3, 0).cx(0, 3).cx(3, 0)
    backend = emulator(line())
    wanted = np.abs(state(circuit)) ** 2
    (counts,) = backend.run(Program(circuit, shots=20_000, seed=1)).counts or ()
    assert {key for key, p in zip(strings(4), wanted, strict=True) if p > ROUNDING} == set(counts)
    bits = Circuit(3, n_bits=2).x(2).measure(2, 0).measure(0, 1)
    assert backend.run(Program(bits, shots=10, seed=1)).counts == ({"10": 10},)


def state(circuit: Circuit) -> np.ndarray:
    from superpose.circuits.reference import state_vector

    return state_vector(circuit, {})


def strings(n_qubits: int) -> list[str]:
    return [format(index, f"0{n_qubits}b") for index in range(2**n_qubits)]


def test_a_template_is_placed_once_and_new_values_find_it() -> None:
    backend, x = emulator(line()), Parameter("x")
    template = Template(Circuit(2).ry(2 * x + 0.1, 0).cx(0, 1), z_all(2))
    first = backend.lowered(template)
    assert set(first.settings[0].placed.noisy.parameters) == {"x"}
    for value in (0.3, 1.2, [0.1, 0.2, 0.3]):
        found = backend.run(Program(template.circuit, {"x": value}, z_all(2))).expectations
        exact = np.cos(2 * np.atleast_1d(value) + 0.1)
        np.testing.assert_allclose(found, np.stack([exact, exact], axis=1), atol=ROUNDING)
    assert backend.lowered(Template(template.circuit.copy(), z_all(2), ["x"])) is first
    run = backend.compile(template)
    assert run.run({"x": 0.4}).expectations == pytest.approx(np.cos([[0.9, 0.9]]), abs=ROUNDING)


def test_two_processes_would_place_and_sample_alike() -> None:
    circuit = Circuit(4).h(0).cx(0, 1).cx(0, 2).cx(0, 3)
    one, other = emulator(line(flip0=0.1, flip1=0.2)), emulator(line(flip0=0.1, flip1=0.2))
    program = Program(circuit, shots=500, seed=3)
    assert one.transpiled(circuit).instructions == other.transpiled(circuit).instructions
    assert one.run(program).counts == other.run(program).counts


def test_readout_errors_are_in_counts_and_in_exact_expectations() -> None:
    backend = emulator(line(flip0=0.1, flip1=0.3))
    circuit = Circuit(2).x(0)
    found = backend.run(Program(circuit, {}, [Observable("ZI"), Observable("IZ"), Observable({"ZZ": 2.0, "II": 1.0})]))
    assert found.expectations is not None
    np.testing.assert_allclose(found.expectations, [[-0.4, 0.8, 1.0 - 2 * 0.32]], atol=ROUNDING)
    (counts,) = backend.run(Program(circuit, shots=100_000, seed=5)).counts or ()
    for key, wanted in {"10": 0.63, "00": 0.27, "11": 0.07, "01": 0.03}.items():
        assert abs(counts[key] / 100_000 - wanted) < 5 * math.sqrt(wanted / 100_000)  # fails once in a million
    sampled = backend.run(Program(circuit, {}, z_all(2), shots=100_000, seed=6)).expectations
    np.testing.assert_allclose(sampled, [[-0.4, 0.8]], atol=0.016)


def test_waiting_relaxes() -> None:
    backend = emulator(line(t1_us=10.0, t2_us=10.0))
    found = backend.run(Program(Circuit(1).x(0).delay(5_000.0, 0), {}, [Observable("Z")])).expectations
    assert found is not None
    pulse = math.exp(-30.0 / 10_000.0)
    assert found[0, 0] == pytest.approx(1.0 - 2.0 * math.exp(-0.5) * pulse, abs=1e-9)


def test_measurement_in_the_middle_feed_forward_and_reset() -> None:
    circuit = Circuit(3, n_bits=3).h(0).cx(0, 1).measure(0, 0).if_(0, 1, Circuit(3).x(1)).reset(0).measure(1, 1)
    circuit.measure(0, 2)
    (counts,) = emulator(line()).run(Program(circuit, shots=1000, seed=2)).counts or ()
    assert set(counts) == {"000", "100"} and min(counts.values()) > 400
    (noisy,) = emulator(line(flip0=0.2, flip1=0.2)).run(Program(circuit, shots=1000, seed=2)).counts or ()
    assert len(noisy) == 8


def test_it_shows_the_circuit_as_it_runs() -> None:
    backend = emulator(line())
    circuit = Circuit(3, n_bits=3).ry(Parameter("a"), 0).cx(0, 1).cx(0, 2).cx(0, 1).measure_all()
    shown, found = backend.transpiled(circuit), backend.calibration()
    assert shown.n_qubits == 5 and shown.n_bits == 3 and shown.parameters == ("a",)
    for item in shown.instructions:
        assert isinstance(item, Delay | Measure) or (
            isinstance(item, Instruction) and (item.gate, item.qubits) in found.by_gate
        )
    assert any(isinstance(item, Delay) for item in shown.instructions)
    assert {item.bit for item in shown.instructions if isinstance(item, Measure)} == {0, 1, 2}


def test_estimates_tell_what_goes_wrong() -> None:
    circuit = Circuit(2).x(0).x(1)
    bad, good = emulator(line(flip0=0.1, flip1=0.1)), emulator(line())
    assert good.estimate(Program(circuit, shots=1)).fidelity == 1.0
    assert bad.estimate(Program(circuit, shots=1)).fidelity == pytest.approx(0.81)


def test_what_it_cannot_do_is_refused() -> None:
    backend = emulator(line())
    for program in (
        Program(Circuit(6).h(0), shots=10),
        Program(Circuit(1).h(0)),
        Program(Circuit(1).bit_flip(0.1, 0), shots=10),
        Program(Circuit(1), {}, [Observable("Z")], initial_state=[0.6, 0.8]),
    ):
        with pytest.raises(UnsupportedProgramError, match="'line' cannot run"):
            backend.run(program)


def test_what_it_shows_it_runs_as_it_is() -> None:
    backend = emulator(line(flip0=0.02, flip1=0.05, t1_us=20.0, t2_us=15.0))
    assert isinstance(backend, VerbatimBackend)
    there = backend.transpiled(Circuit(3).h(0).cx(0, 2).ry(0.4, 1).cx(1, 2).measure_all())
    circuit = Circuit(3).h(0).cx(0, 2).ry(0.4, 1).cx(1, 2).measure_all()
    moved, own = (
        one.run(Program(made, shots=4000, seed=3)) for one, made in ((backend.verbatim(), there), (backend, circuit))
    )
    assert moved.counts == own.counts and moved.provenance["qubits"] == own.provenance["qubits"]
    assert moved.provenance["fidelity"] == own.provenance["fidelity"]
    twice = Circuit(5, n_bits=1).x(4).x(4).measure(4, 0)  # merged, it would be nothing
    (counts,) = backend.verbatim().run(Program(twice, shots=4000, seed=1)).counts or ()
    assert backend.verbatim().run(Program(twice, shots=4000, seed=1)).provenance["qubits"] == [[4]]
    assert 0.9 < counts["0"] / 4000 < 1.0


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (Program(Circuit(5).x(0), {}, z_all(5), shots=10), "as they are for counts"),
        (Program(Circuit(5).x(0), shots=10), "as they are for counts"),
        (Program(Circuit(5).h(0).measure_all(), shots=10), "gates h"),
        (Program(Circuit(5).cz(0, 2).measure_all(), shots=10), "no cz on qubits"),
        (Program(Circuit(2).x(0).measure_all(), shots=10), "its 5 qubits"),
    ],
)
def test_what_cannot_run_as_it_is(program: Program, told: str) -> None:
    with pytest.raises(UnsupportedProgramError, match=told):
        emulator(line()).verbatim().run(program)
