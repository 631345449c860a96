"""Every pass keeps the unitary, global phase included, on random circuits over the whole gate table."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpose.circuits import GATES, Affine, Circuit, Observable, Parameter, reference
from superpose.engine import compile_program
from superpose.engine.frame import Frame
from superpose.engine.layouts import Layout
from superpose.engine.lowering import layers_of, lower, strings_of
from superpose.engine.passes import PASSES, gather_diagonals, put_unseen_last, translate
from superpose.engine.passes.form import Angle, Form, rotations_of
from superpose.engine.tape import build_tape
from superpose.errors import UnsupportedProgramError

VALUES = {"a": 0.37, "b": -1.21, "c": 2.9}
ALL = list(dict.fromkeys([*PASSES, gather_diagonals]))


@st.composite
def angles(draw: st.DrawFn) -> Affine:
    """Quarters of pi, decimals, and few parameters with few coefficients, so that many angles cancel or add up."""
    number = draw(st.integers(-9, 9).map(lambda k: k * math.pi / 4) | st.sampled_from([0.0, 0.3, -0.3, 1e3]))
    if draw(st.booleans()):
        return Affine((), number)
    return draw(st.sampled_from([1, -1, 0.5])) * Parameter(draw(st.sampled_from("abc"))) + draw(
        st.sampled_from([0.0, number])
    )


@st.composite
def circuits(draw: st.DrawFn, max_qubits: int = 4, max_gates: int = 24) -> Circuit:
    """Circuits over the whole table; gates without angles, and few qubits, make many meet."""
    circuit = Circuit(draw(st.integers(1, max_qubits)))
    rows = [row for row in GATES.values() if row.n_qubits <= circuit.n_qubits]
    for row in draw(st.lists(st.sampled_from(rows), max_size=max_gates)):
        qubits = draw(st.permutations(range(circuit.n_qubits)))[: row.n_qubits]
        circuit.append(row.name, qubits, draw(st.tuples(*[angles()] * row.n_angles)))
        if draw(st.integers(0, 5)) == 0:
            circuit.extend([circuit.instructions[-1].inverse()])
    return circuit


def rounding(circuit: Circuit) -> float:
    """What rounding may change: angles are summed in any order, to thousands, before their sine is taken."""
    angles = (abs(angle.evaluate(VALUES)) for item in circuit.instructions for angle in item.angles)
    return 1e-12 * (2 + sum(angles) / 100)


def value(angle: Angle) -> float:
    return float(sum(factor * affine.evaluate(VALUES) for affine, factor in angle))


def pauli(n_qubits: int, x: int, z: int, k: int) -> np.ndarray:
    """``i^k X^x Z^z``, from its definition."""
    index = np.arange(1 << n_qubits)
    out = np.zeros((len(index), len(index)), dtype=np.complex128)
    out[index ^ x, index] = 1j**k * (-1.0) ** (np.bitwise_count(index & z) & 1)
    return out


def frame_matrix(frame: Frame) -> np.ndarray:
    columns = np.arange(1 << frame.n_qubits)
    out = np.zeros((len(columns), len(columns)), dtype=np.complex128)
    for column in columns:
        row, turns = frame.basis_state(int(column))
        out[row, column] = 1j**turns
    return out


def unitary(form: Form) -> np.ndarray:
    """The form's matrix, item by item."""
    n = form.n_qubits
    out = np.eye(1 << n, dtype=np.complex128)
    for item in form.items:
        if len(item) == 2:
            out = reference.unitary(Circuit(n).append(item[0], item[1])) @ out
        else:
            x, z, angle = item
            half = value(angle) / 2
            string = pauli(n, x, z, (x & z).bit_count() & 1)
            out = math.cos(half) * out - 1j * math.sin(half) * (string @ out)
    return np.exp(1j * value(form.phase)) * (frame_matrix(form.frame) @ out)


def before(one: Callable[[Form], Form], circuit: Circuit) -> Form:
    """What the pass is given when a circuit is lowered."""
    form = translate(circuit)
    for other in (*PASSES, gather_diagonals):
        if other is one:
            break
        form = other(form)
    return form


@settings(max_examples=50, deadline=None)
@given(circuit=circuits())
def test_translation_keeps_the_unitary(circuit):
    want = reference.unitary(circuit, VALUES)
    np.testing.assert_allclose(unitary(translate(circuit)), want, atol=rounding(circuit))


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.__name__)
@settings(max_examples=50, deadline=None)
@given(circuit=circuits())
def test_pass_keeps_the_unitary(one, circuit):
    form = before(one, circuit)
    items, frame = list(form.items), (list(form.frame.x), list(form.frame.z), form.frame.origin, form.frame.quarters)
    after = one(form)
    np.testing.assert_allclose(unitary(after), reference.unitary(circuit, VALUES), atol=rounding(circuit))
    assert len(after.items) <= len(form.items)
    assert form.items == items, "a pass changed what it was given"
    assert (form.frame.x, form.frame.z, form.frame.origin, form.frame.quarters) == frame


@settings(max_examples=50, deadline=None)
@given(circuit=circuits(), letters=st.text("IXYZ", min_size=4, max_size=4))
def test_putting_the_unseen_last_keeps_unitary_and_expectations(circuit, letters):
    form = before(gather_diagonals, circuit)
    observable = Observable({letters[: circuit.n_qubits]: 1.0})
    after, n_seen = put_unseen_last(form, strings_of(form.frame, [observable]))
    want = unitary(form)
    np.testing.assert_allclose(unitary(after), want, atol=rounding(circuit))
    state = unitary(after._replace(items=after.items[:n_seen]))[:, 0]
    image = reference.state_vector(
        Circuit(circuit.n_qubits).extend(
            [
                i
                for q, a in enumerate(letters[: circuit.n_qubits])
                for i in Circuit(circuit.n_qubits).append("id" if a == "I" else a.lower(), [q]).instructions
            ]
        ),
        initial_state=state,
    )
    exact = reference.expectation(circuit, observable, VALUES)
    assert np.vdot(state, image).real == pytest.approx(exact, abs=10 * rounding(circuit))


def left(circuit: Circuit) -> int:
    return sum(len(layer.items) for layer in lower(circuit).layers)


theta, phi = Parameter("theta"), Parameter("phi")


@pytest.mark.parametrize(
    ("circuit", "rotations"),
    [
        (Circuit(3).x(0).cx(0, 1).swap(1, 2).cz(0, 2).s(1).cy(2, 0).sdg(1).y(2), 0),
        (Circuit(2).rx(theta, 0).cx(0, 1).cx(0, 1).rx(phi, 0), 1),
        (Circuit(2).rx(theta, 0).cx(1, 0).rx(phi, 0), 1),
        (Circuit(2).rz(theta, 0).rzz(phi, 0, 1).rz(-theta, 0), 1),
        (Circuit(2).h(0).h(0).rxx(theta, 0, 1).rxx(-theta, 0, 1), 0),
        (Circuit(1).t(0).t(0).sx(0).sx(0).rz(math.pi / 2, 0).ry(3 * math.pi, 0).p(-math.pi / 2, 0), 0),
        (Circuit(2).rx(theta, 0).t(1).rzz(math.pi / 2, 0, 1).t(1).rzz(-math.pi / 2, 0, 1).rx(phi, 0), 1),
        (Circuit(1).rx(theta, 0).rz(1e-9, 0).rx(-theta, 0), 3),
    ],
)
def test_number_of_rotations_that_are_left(circuit, rotations):
    assert left(circuit) == rotations


def test_light_cone():
    """Of a staircase of rotations and CX, the first qubit sees only the start; the last one sees all."""
    circuit = Circuit(6)
    for q in range(6):
        circuit.ry(Parameter(f"a_{q}"), q)
    for q in range(5):
        circuit.crx(Parameter(f"b_{q}"), q, q + 1)
    first, last = Observable({"ZIIIII": 1.0}), Observable({"IIIIIZ": 1.0})
    seen = [
        sum(len(layer.items) for layer in lowered.layers[: lowered.n_seen])
        for lowered in (lower(circuit, [first]), lower(circuit, [last]), lower(circuit, []))
    ]
    assert seen == [1, 16, 0]
    program = compile_program(circuit, [first], dtype="float64")
    w = np.linspace(-1, 1, program.n_weights)
    values, _, grad = program.value_and_grad(None, w, [[1.0]])
    assert values[0, 0] == pytest.approx(math.cos(w[0]), abs=1e-14)
    np.testing.assert_allclose(grad, [-math.sin(w[0]), *[0.0] * 10], atol=1e-14)
    want = reference.state_vector(circuit, dict(zip(program.weight_names, w, strict=True)))
    np.testing.assert_allclose(program.state_vector(None, w)[0], want, atol=1e-13)


def test_diagonals_gather():
    """An RZ behind rotations of other qubits joins the diagonal run in front of them."""
    circuit = Circuit(4).rz(0.1, 0).rx(0.2, 1).rx(0.3, 2).rz(0.4, 3).rzz(0.5, 0, 1).rx(0.6, 3)
    layers = lower(circuit).layers
    assert [(layer.diagonal, len(layer.items)) for layer in layers] == [(True, 2), (False, 3), (True, 1)]
    form = gather_diagonals(before(gather_diagonals, circuit))
    assert [item for layer in layers_of(form) for item in layer.items] == list(rotations_of(form))


def test_rotations_are_asked_for_once_the_gates_are_folded():
    with pytest.raises(ValueError, match="fold_permutations"):
        rotations_of(translate(Circuit(2).cx(0, 1)))


def many_gates(n_gates: int) -> Circuit:
    """Gates as compiled circuits have them, on 18 qubits, with angles that are numbers and some parameters."""
    rng = np.random.default_rng(0)
    circuit = Circuit(18)
    rows = [GATES[name] for name in ("h", "t", "cx", "rz", "s", "x", "cz", "tdg", "u", "rzz", "ry", "ccx")]
    for number, pick in enumerate(rng.integers(len(rows), size=n_gates).tolist()):
        qubits = rng.permutation(18)[: rows[pick].n_qubits].tolist()
        angles = [Parameter(f"p_{number % 50}") if number % 3 else 0.1 * number] * rows[pick].n_angles
        circuit.append(rows[pick].name, qubits, angles)
    return circuit


def test_time_and_memory_per_gate_do_not_grow():
    """Of this thread alone: ten times the gates may take 25 times the time, where a square would take 100 times.

    Up to five tries, as a neighbour on the same core slows one of the two down; a square would never pass.
    """
    circuits = [many_gates(n_gates) for n_gates in (5_000, 50_000)]
    for _ in range(5):
        seconds, sizes = [], []
        for circuit in circuits:
            start = time.thread_time()
            lowered = lower(circuit, [Observable({"Z" * 18: 1.0})])
            tape = build_tape(lowered, ((), circuit.parameters), Layout(18, 4), 16)
            seconds.append(time.thread_time() - start)
            sizes.append(tape.ints.nbytes + tape.floats.nbytes)
        if seconds[1] < 25 * seconds[0]:
            break
    assert seconds[1] < 25 * seconds[0], seconds
    assert sizes[1] < 11 * sizes[0]
    assert sizes[1] < 400 * 50_000, "bytes per gate"
    assert gc.isenabled()


def test_collector_stays_as_it_was():
    gc.disable()
    try:
        lower(Circuit(1).h(0))
        assert not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(UnsupportedProgramError):
        lower(Circuit(1).reset(0))
    assert gc.isenabled()
