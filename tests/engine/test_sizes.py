"""Large states, long circuits, and how long lowering takes."""

from __future__ import annotations

import time

import numpy as np
import pytest

from superpose.circuits import Circuit, Parameter, reference, z_all
from superpose.engine import compile_program, memory_required, set_threads
from superpose.errors import StateTooLargeError


@pytest.mark.parametrize("n_qubits", [9, 10, 12, 13])
def test_large_states_equal_the_reference(n_qubits, random_circuit, random_observables):
    rng = np.random.default_rng(n_qubits)
    circuit = random_circuit(n_qubits, 60, rng)
    observables = random_observables(n_qubits, rng, 2)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        program = compile_program(circuit, observables, inputs=circuit.parameters[:2], dtype=dtype)
        x, w = rng.normal(size=(3, 2)), rng.normal(size=program.n_weights)
        params = dict(zip(program.input_names, x[2], strict=True)) | dict(zip(program.weight_names, w, strict=True))
        want = reference.state_vector(circuit, params)
        np.testing.assert_allclose(program.state_vector(x, w)[2], want, atol=tolerance, rtol=0)
        exact = [reference.expectation(circuit, o, params) for o in observables]
        np.testing.assert_allclose(program.expectation(x, w)[2], exact, atol=5 * tolerance, rtol=0)


@pytest.mark.parametrize("n_qubits", [11, 12, 14])
def test_gradients_of_large_states(n_qubits, entangling_circuit):
    """float32 against float64, and float64 against a finite difference along a random direction."""
    circuit, names = entangling_circuit(n_qubits, 2), [f"x_{q}" for q in range(n_qubits)]
    rng = np.random.default_rng(n_qubits)
    exact = compile_program(circuit, z_all(n_qubits), inputs=names, dtype="float64")
    rough = compile_program(circuit, z_all(n_qubits), inputs=names, dtype="float32")
    x, w, g = rng.normal(size=(9, n_qubits)), rng.normal(size=exact.n_weights), rng.normal(size=(9, n_qubits))
    results = exact.value_and_grad(x, w, g)
    for want, got in zip(results, rough.value_and_grad(x, w, g), strict=True):
        np.testing.assert_allclose(got, want, atol=2e-5, rtol=0)
    dx, dw, step = rng.normal(size=x.shape), rng.normal(size=w.shape), 1e-5
    up, down = (exact.expectation(x + sign * dx, w + sign * dw) for sign in (step, -step))
    slope = (results[1] * dx).sum() + (results[2] * dw).sum()
    assert slope == pytest.approx(((up - down) * g).sum() / (2 * step), abs=1e-6)


def test_lowering_takes_milliseconds(entangling_circuit):
    """12 qubits, 4 layers: below 2 ms of this thread; the bound leaves room for slower machines."""
    observables = z_all(12)
    times = []
    for k in range(5):
        circuit = entangling_circuit(12, 4).rx(float(k), 0)
        circuit.digest  # noqa: B018  # the key of the cache is not what is timed
        begin = time.thread_time()
        compile_program(circuit, observables, inputs=[f"x_{q}" for q in range(12)])
        times.append(time.thread_time() - begin)
    assert min(times) < 0.02


def test_a_hundred_thousand_gates():
    rng = np.random.default_rng(0)
    circuit = Circuit(4)
    a, b = Parameter("a"), Parameter("b")
    for choice in rng.integers(6, size=100_000):
        q = int(choice) % 4
        (
            circuit.h(q) if choice == 0 else circuit.t(q) if choice == 1 else circuit.cx(q, (q + 1) % 4) if choice == 2
            else circuit.rx(a, q) if choice == 3 else circuit.rz(b, q) if choice == 4 else circuit.sx(q)
        )  # fmt: skip
    begin = time.thread_time()
    program = compile_program(circuit, z_all(4), dtype="float64")
    assert time.thread_time() - begin < 20
    values, _, grad = program.value_and_grad(None, [0.3, 0.1], np.ones((1, 4)))
    state = reference.state_vector(circuit, {"a": 0.3, "b": 0.1})
    signs = 1 - 2 * (np.arange(16)[:, None] >> np.arange(3, -1, -1) & 1)
    np.testing.assert_allclose(values[0], (np.abs(state) ** 2) @ signs, atol=1e-9)
    assert np.isfinite(grad).all()


def test_memory_is_stated_and_refused_before_it_is_taken(entangling_circuit):
    set_threads(2)
    assert memory_required(10, 16, dtype="float32", gradients=False) < memory_required(
        10, 160, dtype="float32", gradients=True
    )
    assert memory_required(11, 16, dtype="float64", gradients=True) == pytest.approx(
        2 * memory_required(10, 16, dtype="float64", gradients=True), rel=0.01
    )
    circuit = Circuit(40).h(0).cx(0, 39)
    program = compile_program(circuit, z_all(40))
    with pytest.raises(StateTooLargeError, match=r"40 qubits needs .* (TiB|PiB) of memory") as caught:
        program.expectation(None, None)
    with pytest.raises(StateTooLargeError, match="2000 qubits"):
        compile_program(Circuit(2000).h(0), []).expectation(None, None)
    details = caught.value.details
    assert details["n_qubits"] == 40
    assert details["needed_bytes"] > details["available_bytes"] > 0
