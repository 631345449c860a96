"""TensorCircuit-NG on its JAX backend: jit(vmap), each rotation given as one fused unitary.

Its greedy contraction is the faster one up to 10 qubits and finds a disastrous order at 12 (17 s a step), where its
plain order, gate after gate, is the right one. Separate RZ RY RZ gates compile four times longer and run slower.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import tensorcircuit as tc

from rivals.circuit import Task, z_signs
from rivals.families import blocks
from rivals.protocol import Candidate, Step

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("tensorcircuit-ng", "jax", "jaxlib")


def _turn(axis, angle):
    cos, sin = jnp.cos(angle / 2), jnp.sin(angle / 2)
    if axis == "y":
        return jnp.array([[cos, -sin], [sin, cos]])
    return jnp.array([[jax.lax.complex(cos, -sin), 0], [0, jax.lax.complex(cos, sin)]])


def _rotation(axes, angles):
    if axes == "zyz":
        phi, theta, omega = angles
        cos, sin = jnp.cos(theta / 2), jnp.sin(theta / 2)
        a, b = jnp.exp(-0.5j * (phi + omega)) * cos, jnp.exp(0.5j * (phi - omega)) * sin
        return jnp.array([[a, -b], [b.conj(), a.conj()]])
    product = jnp.eye(2)
    for axis, angle in zip(axes, angles, strict=True):
        product = _turn(axis, angle) @ product
    return product


def _apply(circuit, block, n, inputs, weights):
    for qubit in range(n):
        if block.kind == "encode":
            (circuit.ry if block.axes == "y" else circuit.rz)(qubit, theta=inputs[qubit])
        elif block.kind == "rotate":
            circuit.any(qubit, unitary=_rotation(block.axes, weights[block.layer, qubit]))
        elif block.kind == "hadamard":
            circuit.h(qubit)
        elif block.kind == "ring":
            circuit.cnot(qubit, (qubit + block.reach) % n)
        elif block.kind == "couple" and qubit < n - 1:
            circuit.rzz(qubit, qubit + 1, theta=weights[block.layer, qubit])
        elif block.kind == "signs" and qubit < n - 1:
            circuit.cz(qubit, qubit + 1)


def _build(task: Task, contractor: str, *, from_state: bool) -> Step:
    case, backend = task.case, tc.set_backend("jax")
    tc.set_dtype("complex64")
    tc.set_contractor(contractor)
    signs = jnp.asarray(z_signs(case.n_qubits))

    def one(inputs, weights):
        circuit = tc.Circuit(case.n_qubits)
        for block in blocks(case):
            _apply(circuit, block, case.n_qubits, inputs, weights)
        if from_state:
            return backend.abs(circuit.state()) ** 2 @ signs
        return backend.real(backend.stack([circuit.expectation_ps(z=[qubit]) for qubit in range(case.n_qubits)]))

    batched = backend.vmap(one, vectorized_argnums=0)
    numbers = [jnp.asarray(array) for array in (task.inputs, task.weights, task.upstream)]
    if not task.gradients:
        alone = jax.jit(lambda inputs, weights: (batched(inputs, weights),))
        return Step(lambda: jax.block_until_ready(alone(*numbers[:2])), lambda results: results)

    @jax.jit
    def step(inputs, weights, upstream):
        values, pullback = jax.vjp(batched, inputs, weights)
        return values, *pullback(upstream)

    return Step(lambda: jax.block_until_ready(step(*numbers)), lambda results: results)


def candidates(task: Task) -> list[Candidate]:
    """The state once and all expectations from it; at few qubits also its own expectation calls."""
    if task.case.n_qubits > 10:
        return [Candidate("plain order", "complex64", lambda: _build(task, "plain-experimental", from_state=True))]
    found = [Candidate("greedy, from state", "complex64", lambda: _build(task, "greedy", from_state=True))]
    if task.case.n_qubits <= 8:
        found.append(Candidate("greedy, expectation_ps", "complex64", lambda: _build(task, "greedy", from_state=False)))
    return found
