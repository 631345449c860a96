"""The calls: two-step and fused gradients, shapes, copies, initial states, errors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from superpose.circuits import Circuit, Observable, Parameter, reference, z_all
from superpose.engine import compile_program
from superpose.errors import ObservableError, ParameterUnboundError, ShapeError, UnsupportedProgramError


@pytest.fixture(name="program")
def _program(entangling_circuit):
    return compile_program(entangling_circuit(5, 2), z_all(5), inputs=[f"x_{q}" for q in range(5)], dtype="float32")


def arrays(program, batch, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(batch, program.n_inputs)),
        rng.normal(size=program.n_weights),
        rng.normal(size=(batch, program.n_observables)),
    )


def same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_attributes(program):
    assert (program.n_qubits, program.n_inputs, program.n_weights, program.n_observables) == (5, 5, 30, 5)
    assert program.input_names == tuple(f"x_{q}" for q in range(5))
    assert program.weight_names[:4] == ("w_0_0_0", "w_0_0_1", "w_0_0_2", "w_0_1_0")
    assert program.dtype == "float32"
    assert "n_qubits=5" in repr(program)


def test_equal_requests_give_one_program(entangling_circuit):
    first = compile_program(entangling_circuit(3, 1), z_all(3))
    assert compile_program(entangling_circuit(3, 1), z_all(3)) is first
    assert compile_program(entangling_circuit(3, 1), z_all(3), dtype="float64") is not first


def test_later_changes_of_the_circuit_do_not_reach_the_program():
    circuit = Circuit(1).rx(Parameter("a"), 0)
    program = compile_program(circuit, z_all(1), dtype="float64")
    circuit.x(0)
    assert program.expectation(None, [0.0])[0, 0] == pytest.approx(1.0)
    assert compile_program(circuit, z_all(1), dtype="float64").expectation(None, [0.0])[0, 0] == pytest.approx(-1.0)


@pytest.mark.parametrize("batch", [1, 2, 7, 8, 9, 15, 16, 17, 33, 100])
def test_two_calls_equal_the_fused_one_and_rows_do_not_depend_on_the_batch(program, batch):
    x, w, g = arrays(program, batch)
    values, grad_inputs, grad_weights = program.value_and_grad(x, w, g)
    forward, state = program.forward(x, w)
    assert same((values, grad_inputs, grad_weights), (forward, *program.backward(state, g)))
    assert np.array_equal(values, program.expectation(x, w))
    for row in (0, batch - 1):
        alone = program.value_and_grad(x[row : row + 1], w, g[row : row + 1])
        np.testing.assert_array_equal(alone[0][0], values[row])
        np.testing.assert_array_equal(alone[1][0], grad_inputs[row])


def test_states_of_several_forward_calls_do_not_mix(program):
    first, second = arrays(program, 20, seed=1), arrays(program, 37, seed=2)
    values, state = program.forward(*first[:2])
    other_values, other_state = program.forward(*second[:2])
    program.value_and_grad(*second)
    got, other = program.backward(state, first[2]), program.backward(other_state, second[2])
    assert same((values, *got), program.value_and_grad(*first))
    assert same((other_values, *other), program.value_and_grad(*second))


def test_backward_twice_and_after_copies(program):
    x, w, g = arrays(program, 20)
    _, state = program.forward(x, w)
    once = program.backward(state, g)
    assert same(once, program.backward(state, g))
    assert same(once, copy.deepcopy(program).backward(copy.deepcopy(state), g))
    assert same(once, pickle.loads(pickle.dumps(program)).backward(state, g))
    doubled = program.backward(state, 2 * g)
    np.testing.assert_allclose(doubled[1], 2 * once[1], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copied_state_of_a_large_program(dtype, entangling_circuit):
    """Copies of arrays need not start where the kernels want them to."""
    circuit = entangling_circuit(9, 3)
    program = compile_program(circuit, z_all(9), inputs=[f"x_{q}" for q in range(9)], dtype=dtype)
    x, w, g = arrays(program, 2)
    _, state = program.forward(x, w)
    want = program.backward(state, g)
    for _ in range(8):
        state = copy.deepcopy(state)
        assert same(want, program.backward(state, g))
    assert same(want, program.backward(pickle.loads(pickle.dumps(state)), g))


def test_state_keeps_its_own_copy_of_what_came_in(program):
    x, w, g = arrays(program, 20)
    want = program.value_and_grad(x, w, g)[1:]
    _, state = program.forward(x, w)
    x += 1.0
    w += 1.0
    assert same(want, program.backward(state, g))


def test_any_layout_and_dtype_is_taken(program):
    x, w, g = (array.astype(np.float32) for array in arrays(program, 20))
    want = program.value_and_grad(x, w, g)
    strided = np.repeat(x, 2, axis=1)[:, ::2]
    assert not strided.flags.c_contiguous
    assert same(want, program.value_and_grad(strided, w.astype(np.float64), np.asfortranarray(g)))
    assert same(want, program.value_and_grad(x.tolist(), w.tolist(), g.tolist()))
    assert all(array.dtype == np.float32 for array in want)
    whole = program.expectation(np.ones((3, 5), dtype=np.int64), w)
    assert np.array_equal(whole, program.expectation(np.ones((3, 5)), w))


def test_read_only_and_unaligned_arrays_are_taken(program):
    x, w, g = arrays(program, 20)
    want = program.value_and_grad(x, w, g)
    for array in (x, w, g):
        array.setflags(write=False)
    assert same(want, program.value_and_grad(x, w, g))
    odd = np.zeros(x.nbytes + 1, dtype=np.uint8)[1:].view(np.float64).reshape(x.shape)
    odd[:] = x
    assert not odd.flags.aligned
    assert same(want, program.value_and_grad(odd, w, g))
    assert same(want[:1], (program.expectation(np.asarray(x, order="F"), w),))


def test_programs_without_inputs_weights_or_observables():
    bell = compile_program(Circuit(2).h(0).cx(0, 1), [Observable("XX")], dtype="float64")
    values, grad_inputs, grad_weights = bell.value_and_grad(None, None, [[1.0]])
    assert values[0, 0] == pytest.approx(1.0)
    assert grad_inputs.shape == (1, 0)
    assert grad_weights.shape == (0,)
    many = bell.expectation(np.empty((5, 0)), [])
    assert many.shape == (5, 1)
    empty = compile_program(Circuit(3), [], dtype="float64")
    assert empty.expectation(None, None).shape == (1, 0)
    assert empty.state_vector(None, None)[0, 0] == 1.0


@pytest.mark.parametrize("n_qubits", [1, 3, 6, 10])
def test_initial_states(n_qubits, random_circuit, random_observables):
    rng = np.random.default_rng(n_qubits)
    circuit = random_circuit(n_qubits, 30, rng)
    program = compile_program(
        circuit, random_observables(n_qubits, rng), inputs=circuit.parameters[:1], dtype="float64"
    )
    x, w, g = arrays(program, 11)
    states = rng.normal(size=(11, 2**n_qubits)) + 1j * rng.normal(size=(11, 2**n_qubits))
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    values = program.expectation(x, w, initial_state=states)
    finals = program.state_vector(x, w, initial_state=states)
    shared = program.expectation(x, w, initial_state=states[0])
    assert np.array_equal(shared[0], values[0])
    params = dict(zip(program.input_names, x[3], strict=True)) | dict(zip(program.weight_names, w, strict=True))
    want = reference.state_vector(circuit, params, states[3])
    np.testing.assert_allclose(finals[3], want, atol=1e-12)
    exact = [reference.expectation(circuit, o, params, states[3]) for o in program.observables]
    np.testing.assert_allclose(values[3], exact, atol=1e-11)
    both = program.value_and_grad(x, w, g, initial_state=states)
    forward, tape_state = program.forward(x, w, initial_state=states)
    assert same(both, (forward, *program.backward(tape_state, g)))
    step = 1e-5
    for k, unit in enumerate(np.eye(program.n_weights)):
        up, down = (program.expectation(x, w + sign * step * unit, initial_state=states) for sign in (1, -1))
        assert both[2][k] == pytest.approx(((up - down) * g).sum() / (2 * step), abs=1e-7)
    alone = program.expectation(None, w, initial_state=states) if not program.n_inputs else values
    assert alone.shape == (11, 3)


def test_very_large_angles_keep_their_digits():
    circuit = Circuit(2).ry(Parameter("x"), 0).rx(Parameter("w"), 1).cx(0, 1)
    program = compile_program(circuit, z_all(2), inputs=["x"], dtype="float64")
    turns = 2 * np.pi * 40_000
    got = program.value_and_grad([[0.3 + turns]], [0.7 - turns], [[1.0, 1.0]])
    want = program.value_and_grad([[0.3]], [0.7], [[1.0, 1.0]])
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    program.expectation([[1e12]], [-1e12])


@pytest.mark.parametrize("angle", [0.0, np.pi / 2, np.pi, -np.pi, 3 * np.pi, 2 * np.pi, 5.5 * np.pi, 1e-300])
def test_angles_where_a_tangent_would_be_infinite(angle):
    circuit = Circuit(2).h(0).ry(Parameter("a"), 0).rx(Parameter("a"), 1).cx(0, 1).rxx(Parameter("a"), 0, 1)
    observables = [*z_all(2), Observable({"XY": 1.0, "ZZ": 0.5})]
    for dtype, tolerance in (("float64", 1e-13), ("float32", 1e-6)):
        program = compile_program(circuit, observables, dtype=dtype)
        np.testing.assert_allclose(
            program.state_vector(None, [angle])[0], reference.state_vector(circuit, {"a": angle}), atol=tolerance
        )
        values, _, grad = program.value_and_grad(None, [angle], [[1.0, 0.5, 2.0]])
        exact = [reference.expectation(circuit, o, {"a": angle}) for o in observables]
        np.testing.assert_allclose(values[0], exact, atol=2 * tolerance)
        assert np.isfinite(grad).all()


def test_long_runs_of_scaled_rotations_stay_finite():
    """Each leaves the state larger by up to the square root of 2 until that is undone."""
    circuit = Circuit(3)
    for _ in range(400):
        for q in range(3):
            circuit.ry(Parameter("a"), q).rx(Parameter("b"), q)
        circuit.cx(0, 1).cx(1, 2)
    for dtype, tolerance in (("float64", 1e-10), ("float32", 5e-4)):
        program = compile_program(circuit, z_all(3), dtype=dtype)
        values, _, grad = program.value_and_grad(None, [np.pi / 2, 1.5], [[1.0, 1.0, 1.0]])
        exact = [reference.expectation(circuit, o, {"a": np.pi / 2, "b": 1.5}) for o in z_all(3)]
        np.testing.assert_allclose(values[0], exact, atol=tolerance)
        assert np.isfinite(grad).all()


BAD_CALLS = {
    "inputs too narrow": (lambda p, x, w, g: p.value_and_grad(x[:, :4], w, g), r"inputs must have shape \(batch, 5\)"),
    "inputs of one axis": (lambda p, x, w, g: p.expectation(x[0], w), r"inputs must have shape .* got \(5,\)"),
    "no rows": (lambda p, x, w, g: p.expectation(x[:0], w), "batch >= 1"),
    "no inputs": (lambda p, x, w, g: p.expectation(None, w), r"inputs must have shape \(batch, 5\)"),
    "weights too few": (lambda p, x, w, g: p.expectation(x, w[:-1]), r"weights must have shape \(30,\)"),
    "gradient of other rows": (lambda p, x, w, g: p.value_and_grad(x, w, g[:-1]), "grad_expectations must have shape"),
    "NaN input": (lambda p, x, w, g: p.expectation(np.where(x == x[3, 1], np.nan, x), w), "inputs must be finite"),
    "infinite weight": (lambda p, x, w, g: p.expectation(x, [*w[:-1], np.inf]), "weights must be finite"),
    "NaN gradient": (lambda p, x, w, g: p.value_and_grad(x, w, g * np.nan), "grad_expectations must be finite"),
    "complex inputs": (lambda p, x, w, g: p.expectation(x + 0j, w), "real numbers"),
    "words": (lambda p, x, w, g: p.expectation([["a"] * 5], w), "real numbers"),
    "ragged": (lambda p, x, w, g: p.expectation([[1.0], [1.0, 2.0]], w), "real numbers"),
    "initial state": (lambda p, x, w, g: p.expectation(x, w, initial_state=np.ones(31)), r"\(32,\) or \(batch, 32\)"),
    "initial states": (lambda p, x, w, g: p.expectation(x, w, initial_state=np.ones((3, 32))), "3 states"),
    "infinite state": (lambda p, x, w, g: p.expectation(x, w, initial_state=np.full(32, np.inf)), "must be finite"),
    "shots": (lambda p, x, w, g: p.sample(x, w, 0), "shots must be at least 1"),
    "seed": (lambda p, x, w, g: p.counts(x, w, 5, seed=-1), "seed must be 0 or more"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_arrays_are_refused_in_words(program, case):
    call, message = BAD_CALLS[case]
    x, w, g = arrays(program, 20)
    with pytest.raises(ShapeError, match=message):
        call(program, x, w, g)
    assert np.isfinite(program.expectation(x, w)).all()


def test_state_of_another_program_is_refused(program, entangling_circuit):
    other = compile_program(entangling_circuit(4, 2), z_all(4), inputs=[f"x_{q}" for q in range(4)])
    _, state = other.forward(*arrays(other, 3)[:2])
    with pytest.raises(ShapeError, match="another program"):
        program.backward(state, np.ones((3, 5)))


def test_bad_definitions_are_refused():
    circuit = Circuit(2).rx(Parameter("a"), 0)
    with pytest.raises(ObservableError, match="acts on 3 qubits"):
        compile_program(circuit, z_all(3))
    with pytest.raises(ParameterUnboundError, match="distinct parameters"):
        compile_program(circuit, z_all(2), inputs=["b"])
    with pytest.raises(ParameterUnboundError, match="distinct parameters"):
        compile_program(circuit, z_all(2), inputs=["a", "a"])
    with pytest.raises(UnsupportedProgramError, match="float16"):
        compile_program(circuit, z_all(2), dtype="float16")
