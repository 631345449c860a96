"""Framed circuits do the same, whatever the frames; references are worth what is said of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from superpose.backends import LocalBackend
from superpose.backends.mitigation.cliffords import clifford_table
from superpose.backends.mitigation.frames import FramedCircuit, Frames
from superpose.backends.mitigation.lowering import in_turns_about_z
from superpose.backends.mitigation.references import references
from superpose.circuits import GATES, Circuit, Observable, Parameter, Program, z_all
from superpose.circuits.reference import state_vector
from superpose.errors import UnsupportedProgramError

NATIVE = {"ibm": ("sx", "cx"), "heron": ("sx", "cz"), "eagle": ("sx", "ecr"), "google": ("rx", "cz")}


def native_circuit(kind: str, seed: int, n_qubits: int = 3, depth: int = 3) -> Circuit:
    """Random angles between pulses and two-qubit gates."""
    rng = np.random.default_rng(seed)
    pulse, pair = NATIVE[kind]
    circuit = Circuit(n_qubits)
    for _ in range(depth):
        for qubit in range(n_qubits):
            for _ in range(2):
                circuit.rz(float(rng.uniform(-3, 3)), qubit)
                circuit.append(pulse, [qubit], [float(rng.uniform(-3, 3))] if pulse == "rx" else [])
            circuit.rz(float(rng.uniform(-3, 3)), qubit)
        for qubit in range(n_qubits - 1):
            circuit.append(pair, [qubit, qubit + 1])
    return circuit.measure_all()


def expectations(framed: FramedCircuit, angles: npt.NDArray[np.float64], frames: Frames) -> npt.NDArray[np.float64]:
    """Of the Z that each measurement reads, frames undone, ``(rows, n_measurements)``."""
    body, _ = framed.template.without_final_measurements()
    program = Program(body, framed.params(frames.angles(angles)), z_all(body.n_qubits))
    found = LocalBackend().run(program).expectations
    assert found is not None
    return found[:, [framed.qubits[item.qubit] for item in framed.finals]] * (1 - 2 * frames.flips)


@pytest.mark.parametrize("kind", NATIVE)
def test_every_frame_does_the_same(kind: str) -> None:
    circuit = native_circuit(kind, 1)
    framed, rng = FramedCircuit(circuit), np.random.default_rng(2)
    frames = framed.frames(rng, 32)
    exact = LocalBackend().run(Program(circuit.without_final_measurements()[0], {}, z_all(3))).expectations
    found = expectations(framed, framed.base((), np.zeros((1, 0))), frames)
    assert exact is not None and np.allclose(found, exact, atol=1e-12)
    assert (frames.flips[::2] != frames.flips[1::2]).all() and frames.halves.any(axis=0).mean() >= 0.8


def test_a_framed_circuit_has_the_pulses_of_the_circuit() -> None:
    circuit = native_circuit("ibm", 3)
    framed = FramedCircuit(circuit)

    def pulses(one: Circuit) -> list[tuple[str, tuple[int, ...]]]:
        body, _ = one.without_final_measurements()
        return [(call.gate, call.qubits) for call in body.gate_calls() if call.gate != "rz"]

    assert pulses(framed.template) == pulses(circuit)


def test_parameters_and_rzz_stay() -> None:
    a = Parameter("a")
    circuit = Circuit(2).sx(0).rz(2 * a + 0.1, 0).sx(0).sx(1).rzz(a, 0, 1).x(1).sx(1).measure_all()
    framed, rng = FramedCircuit(circuit), np.random.default_rng(4)
    values = np.array([[0.3], [-1.2]])
    base = framed.base(("a",), values)  # (2, n_slots)
    exact = LocalBackend().run(Program(circuit.without_final_measurements()[0], {"a": values[:, 0]}, z_all(2)))
    assert exact.expectations is not None
    for entry in range(2):
        found = expectations(framed, base[entry], framed.frames(rng, 16))
        assert np.allclose(found, exact.expectations[entry], atol=1e-12)


def test_paulis_put_in_on_purpose_are_there() -> None:
    """X behind the CX, on its control: a later CX takes it to both."""
    circuit = Circuit(2).rz(0.3, 0).sx(0).rz(0.4, 0).sx(1).cx(0, 1).rz(0.7, 0).sx(0).cx(0, 1).measure_all()
    with_x = Circuit(2).rz(0.3, 0).sx(0).rz(0.4, 0).sx(1).cx(0, 1).x(0).rz(0.7, 0).sx(0).cx(0, 1)
    framed, rng = FramedCircuit(circuit), np.random.default_rng(5)
    behind = next(number for number, event in enumerate(framed.events) if getattr(event, "gate", "") == "cx")
    codes = np.tile(np.array([1, 0], np.int8), (16, 1))
    found = expectations(framed, framed.base((), np.zeros((1, 0))), framed.frames(rng, 16, {behind: codes}))
    exact = LocalBackend().run(Program(with_x, {}, z_all(2))).expectations
    assert exact is not None and np.allclose(found, exact, atol=1e-12)
    plain = LocalBackend().run(Program(circuit.without_final_measurements()[0], {}, z_all(2))).expectations
    assert plain is not None and not np.allclose(exact, plain, atol=0.05)


def test_qubits_without_pulses_are_flipped_too() -> None:
    framed = FramedCircuit(Circuit(2).measure_all())
    frames = framed.frames(np.random.default_rng(6), 64)
    assert 0.2 < frames.flips.mean() < 0.8
    assert np.allclose(expectations(framed, framed.base((), np.zeros((1, 0))), frames), 1.0)


@pytest.mark.parametrize("kind", NATIVE)
def test_references_are_worth_what_is_said(kind: str) -> None:
    framed, rng = FramedCircuit(native_circuit(kind, 7)), np.random.default_rng(8)
    base = framed.base((), np.zeros((1, 0)))
    like = references(framed, base, [(0,), (1,), (2,), (0, 1, 2)], 64, rng)
    assert len(like.turns) >= 48 and like.turns.shape[1] == framed.n_slots
    assert (np.abs(like.values).sum(axis=0) >= 12).all()  # each string is known in a row or five
    body, _ = framed.template.without_final_measurements()
    asked = [Observable(text) for text in ("ZII", "IZI", "IIZ", "ZZZ")]
    exact = LocalBackend().run(Program(body, framed.params(like.angles()), asked)).expectations
    assert exact is not None and np.allclose(exact, like.values, atol=1e-12)


def test_references_of_clifford_circuits_are_these_circuits() -> None:
    """Their only path is taken."""
    circuit = Circuit(2).sx(0).rz(np.pi / 2, 0).sx(0).cx(0, 1).rz(np.pi, 1).measure_all()
    framed = FramedCircuit(circuit)
    like = references(framed, framed.base((), np.zeros((1, 0))), [(0, 1)], 8, np.random.default_rng(9))
    exact = LocalBackend().run(Program(circuit.without_final_measurements()[0], {}, [Observable("ZZ")])).expectations
    assert exact is not None and abs(exact[0, 0]) == pytest.approx(1.0)
    assert (like.values[:, 0] == round(exact[0, 0])).all() and len(like.values) == 8


@pytest.mark.parametrize("name", [row.name for row in GATES.values() if row.n_qubits <= 2 and not row.n_angles])
def test_tables_of_clifford_gates_are_undone_by_their_inverses(name: str) -> None:
    table = clifford_table(name)
    inverse = clifford_table(GATES[name].inverse.gate)
    if table is None:
        assert name in ("t", "tdg", "ch") or inverse is None
        return
    assert inverse is not None
    assert np.array_equal(inverse.to, table.inverse().to) and np.array_equal(inverse.sign, table.inverse().sign)


@pytest.mark.parametrize("name", [row.name for row in GATES.values() if row.n_qubits <= 3])
def test_gates_in_turns_about_z_do_the_same(name: str) -> None:
    row = GATES[name]
    circuit = Circuit(row.n_qubits)
    for qubit in range(row.n_qubits):
        circuit.ry(0.4 + qubit, qubit).rz(0.3 * qubit, qubit)
    circuit.append(name, range(row.n_qubits), [0.3 + 0.2 * place for place in range(row.n_angles)])
    for qubit in range(row.n_qubits):
        circuit.rx(0.7 - qubit, qubit)
    made = in_turns_about_z(circuit)
    assert abs(abs(np.vdot(state_vector(circuit), state_vector(made))) - 1.0) < 1e-12
    FramedCircuit(made.copy().measure_all())


@pytest.mark.parametrize(
    ("circuit", "told"),
    [
        (Circuit(1).t(0), "the gate t"),
        (Circuit(1).reset(0).x(0), "a reset"),
        (Circuit(1, n_bits=2).measure(0, 0).x(0).measure(0, 1), "a measure"),
    ],
)
def test_circuits_that_cannot_be_framed(circuit: Circuit, told: str) -> None:
    with pytest.raises(UnsupportedProgramError, match=told):
        FramedCircuit(circuit)
