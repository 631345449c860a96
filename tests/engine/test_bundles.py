"""Bundles of rotations: the algebra that finds their offsets, and circuits that are full of them."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.circuits import Circuit, Parameter, reference, z_all
from superpose.engine import compile_program
from superpose.engine.blocks import Span, duals


def parity(mask):
    return mask.bit_count() & 1


@pytest.mark.parametrize("seed", range(20))
def test_duals_and_even_basis(seed):
    rng = np.random.default_rng(seed)
    n_bits, n = int(rng.integers(3, 12)), int(rng.integers(1, 4))
    zs = [int(z) for z in rng.integers(1, 1 << n_bits, n)]
    ys = duals(zs)
    dependent = any(
        not np.bitwise_xor.reduce([z for k, z in enumerate(zs) if choice >> k & 1]) for choice in range(1, 1 << n)
    )
    assert (ys is None) == dependent
    if ys is None:
        return
    assert [[parity(y & z) for z in zs] for y in ys] == np.eye(n, dtype=int).tolist()
    span = Span(min(n_bits, n + 2), n_bits)
    assert span.add(*ys)
    span.fill()
    basis = span.even_basis(zs, ys)
    assert len(basis) == len(span.basis) - n
    assert not any(parity(vector & z) for vector in basis for z in zs)
    reached = {0}
    for vector in (*basis, *ys):
        reached |= {mask ^ vector for mask in reached}
    assert reached == set(span.elements())


def reuploading(n, layers):
    circuit = Circuit(n)
    for layer in range(layers):
        for q in range(n):
            circuit.ry(Parameter(f"x_{q}"), q)
        for q in range(n):
            circuit.rz(Parameter(f"a_{layer}_{q}"), q).ry(Parameter(f"b_{layer}_{q}"), q)
        for q in range(n - 1):
            circuit.cx(q, q + 1)
    return circuit


def instantaneous(n, layers):
    circuit = Circuit(n)
    for layer in range(layers):
        for q in range(n):
            circuit.h(q).rz(Parameter(f"x_{q}"), q)
        for q in range(n - 1):
            circuit.rzz(Parameter(f"w_{layer}_{q}"), q, q + 1)
            circuit.rzz(Parameter(f"x_{q}") * 0.5, q, q + 1)
    for q in range(n):
        circuit.h(q)
    return circuit


def hardware_efficient(n, layers):
    circuit = Circuit(n)
    for q in range(n):
        circuit.ry(Parameter(f"x_{q}"), q)
    for layer in range(layers):
        for q in range(n):
            circuit.ry(Parameter(f"a_{layer}_{q}"), q).rx(Parameter(f"b_{layer}_{q}"), q)
        for q in range(n - 1):
            circuit.cz(q, q + 1)
    return circuit


@pytest.mark.parametrize("n_qubits", [2, 3, 5, 9])
@pytest.mark.parametrize("family", [reuploading, instantaneous, hardware_efficient])
def test_families(family, n_qubits):
    """States equal the reference; gradients equal a finite difference along random directions."""
    circuit, names = family(n_qubits, 3), [f"x_{q}" for q in range(n_qubits)]
    rng = np.random.default_rng(n_qubits)
    program = compile_program(circuit, z_all(n_qubits), inputs=names, dtype="float64")
    x, w = rng.normal(size=(9, n_qubits)), rng.normal(size=program.n_weights)
    g = rng.normal(size=(9, n_qubits))
    params = dict(zip(names, x[3], strict=True)) | dict(zip(program.weight_names, w, strict=True))
    np.testing.assert_allclose(
        program.state_vector(x, w)[3], reference.state_vector(circuit, params), atol=1e-12, rtol=0
    )
    _, grad_inputs, grad_weights = program.value_and_grad(x, w, g)
    for _ in range(3):
        dx, dw, step = rng.normal(size=x.shape), rng.normal(size=w.shape), 1e-5
        up, down = (program.expectation(x + sign * dx, w + sign * dw) for sign in (step, -step))
        slope = (grad_inputs * dx).sum() + (grad_weights * dw).sum()
        assert slope == pytest.approx(((up - down) * g).sum() / (2 * step), abs=1e-6)
    rough = compile_program(circuit, z_all(n_qubits), inputs=names, dtype="float32")
    for got, want in zip(rough.value_and_grad(x, w, g)[1:], (grad_inputs, grad_weights), strict=True):
        np.testing.assert_allclose(got, want, atol=3e-5 * n_qubits, rtol=0)
