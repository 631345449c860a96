"""Several threads in one large state."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from superpose.circuits import Observable, reference, z_all
from superpose.engine import compile_program, runner, set_threads

N_QUBITS = 12


@pytest.fixture(name="share_all", autouse=True)
def _share_all(monkeypatch):
    """Small states too, which gain nothing by it but run the same code."""
    monkeypatch.setattr(runner, "SHARED_ROWS", 512)


@pytest.fixture(name="job")
def _job(entangling_circuit):
    """Float64 fills 512 rows with 12 qubits."""
    observables = [*z_all(N_QUBITS), Observable("XY" + "Z" * (N_QUBITS - 2)), Observable("I" * (N_QUBITS - 1) + "X")]
    inputs = [f"x_{q}" for q in range(N_QUBITS)]
    program = compile_program(entangling_circuit(N_QUBITS, 3), observables, inputs=inputs, dtype="float64")
    rng = np.random.default_rng(0)
    shapes = (1, N_QUBITS), program.n_weights, (1, len(observables))
    return program, tuple(rng.normal(size=shape) for shape in shapes)


def same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_results_do_not_depend_on_the_number_of_threads(job):
    program, arrays = job
    results = []
    for n_threads in (1, 2, 3, 20):
        set_threads(n_threads)
        results += [program.value_and_grad(*arrays) for _ in range(10)]
    assert all(same(results[0], other) for other in results[1:])


def test_results_are_right(job):
    program, (x, w, g) = job
    set_threads(2)
    values, grad_inputs, grad_weights = program.value_and_grad(x, w, g)
    params = dict(zip(program.input_names, x[0], strict=True)) | dict(zip(program.weight_names, w, strict=True))
    want = [reference.expectation(program.circuit, o, params) for o in program.observables]
    np.testing.assert_allclose(values[0], want, atol=1e-12)
    np.testing.assert_allclose(
        program.state_vector(x, w)[0], reference.state_vector(program.circuit, params), atol=1e-12
    )
    step = 1e-5
    for array, grad, place in ((x, grad_inputs, (0, 3)), (w, grad_weights, (17,)), (w, grad_weights, (-1,))):
        ends = []
        for sign in (1, -1):
            array[place] += sign * step
            ends.append(float((program.expectation(x, w) * g).sum()))
            array[place] -= sign * step
        assert grad[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-8)


def test_many_callers_on_one_processor(job):
    """More threads than processors: whoever holds a chunk may be put aside at any time."""
    program, arrays = job
    set_threads(3)
    want, wrong = program.value_and_grad(*arrays), []

    def call():
        for _ in range(30):
            if not same(want, program.value_and_grad(*arrays)):
                wrong.append(threading.get_ident())

    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        if allowed:
            os.sched_setaffinity(0, {min(allowed)})
        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(60)
        assert not any(caller.is_alive() for caller in callers)
    finally:
        if allowed:
            os.sched_setaffinity(0, allowed)
    assert not wrong


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_shares_among_its_own_threads(job):
    program, arrays = job
    set_threads(2)
    want = program.value_and_grad(*arrays)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, b"y" if all(same(want, program.value_and_grad(*arrays)) for _ in range(3)) else b"n")
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 1) == b"y"
    os.close(read)
    os.waitpid(child, 0)


def test_errors_end_the_call_for_helpers_too(job):
    from superpose.errors import ShapeError

    program, (x, w, g) = job
    set_threads(2)
    for _ in range(3):
        with pytest.raises(ShapeError, match="weights must be finite"):
            program.value_and_grad(x, np.full_like(w, np.nan), g)
    assert np.isfinite(program.value_and_grad(x, w, g)[0]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tables_made_piece_by_piece_equal_whole_ones(dtype, entangling_circuit):
    """Three samples are worth whole tables, one is not; more qubits than KEPT_TABLES_BITS never are."""
    circuit = entangling_circuit(13, 2)
    program = compile_program(circuit, z_all(13), inputs=[f"x_{q}" for q in range(13)], dtype=dtype)
    rng = np.random.default_rng(4)
    x, w, g = rng.normal(size=(3, 13)), rng.normal(size=program.n_weights), rng.normal(size=(3, 13))
    whole = program.value_and_grad(x, w, g)
    parts = [program.value_and_grad(x[k : k + 1], w, g[k : k + 1]) for k in range(3)]
    atol = 2e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(np.concatenate([part[0] for part in parts]), whole[0], atol=atol)
    np.testing.assert_allclose(np.concatenate([part[1] for part in parts]), whole[1], atol=atol)
    np.testing.assert_allclose(sum(part[2] for part in parts), whole[2], atol=atol)
