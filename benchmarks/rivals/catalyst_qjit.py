"""PennyLane Catalyst: qjit over lightning.qubit; the gradient compiled with it, by the adjoint method.

Catalyst 0.15 computes in complex128. Samples run in a compiled loop (``for_loop``) or through ``catalyst.vmap``;
gradients are a vector-Jacobian product per sample, or those of one weighted observable per sample.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pennylane as qml
from catalyst import for_loop, grad, qjit, vjp, vmap

from rivals.circuit import Task
from rivals.pennylane_circuit import apply_circuit
from rivals.protocol import Candidate, Step

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("pennylane-catalyst", "pennylane", "pennylane-lightning", "jax")


def _circuit(task: Task):
    qubits = range(task.case.n_qubits)

    @qml.qnode(qml.device("lightning.qubit", wires=len(qubits)), diff_method="adjoint")
    def circuit(inputs, weights):
        apply_circuit(task.case, inputs, weights)
        return [qml.expval(qml.PauliZ(qubit)) for qubit in qubits]

    def stacked(inputs, weights):
        return jnp.stack(circuit(inputs, weights))

    return stacked


def _numbers(task: Task):
    return [jnp.asarray(array, jnp.float64) for array in (task.inputs, task.weights, task.upstream)]


def _ready(results):
    return jax.block_until_ready(results)


def _forward(task: Task, *, loop: bool) -> Step:
    stacked, (inputs, weights, _) = _circuit(task), _numbers(task)
    shape = task.inputs.shape

    @qjit
    def look(inputs, weights):
        if not loop:
            return vmap(stacked, in_axes=(0, None))(inputs, weights)

        @for_loop(0, shape[0], 1)
        def each(sample, values):
            return values.at[sample].set(stacked(inputs[sample], weights))

        return each(jnp.zeros(shape))

    return Step(lambda: _ready((look(inputs, weights),)), lambda results: results)


def _by_sample(task: Task) -> Step:
    """One vector-Jacobian product per sample, in a compiled loop."""
    stacked, numbers = _circuit(task), _numbers(task)

    @qjit
    def step(inputs, weights, upstream):
        @for_loop(0, inputs.shape[0], 1)
        def each(sample, values, grad_inputs, grad_weights):
            value, (one, shared) = vjp(stacked, (inputs[sample], weights), (upstream[sample],), argnums=(0, 1))
            value = value[0] if isinstance(value, (list, tuple)) else value
            return values.at[sample].set(value), grad_inputs.at[sample].set(one), grad_weights + shared

        return each(jnp.zeros_like(inputs), jnp.zeros_like(inputs), jnp.zeros_like(weights))

    return Step(lambda: _ready(step(*numbers)), lambda results: results)


def _of_one_observable(task: Task) -> Step:
    """The gradient of one weighted sum of Z per sample, and the expectations from a forward pass of their own."""
    stacked, numbers, qubits = _circuit(task), _numbers(task), range(task.case.n_qubits)

    @qml.qnode(qml.device("lightning.qubit", wires=len(qubits)), diff_method="adjoint")
    def weighted(inputs, weights, upstream):
        apply_circuit(task.case, inputs, weights)
        return qml.expval(qml.Hamiltonian(upstream, [qml.PauliZ(qubit) for qubit in qubits]))

    @qjit
    def step(inputs, weights, upstream):
        @for_loop(0, inputs.shape[0], 1)
        def each(sample, values, grad_inputs, grad_weights):
            value = stacked(inputs[sample], weights)
            one, shared = grad(weighted, argnums=(0, 1))(inputs[sample], weights, upstream[sample])
            return values.at[sample].set(value), grad_inputs.at[sample].set(one), grad_weights + shared

        return each(jnp.zeros_like(inputs), jnp.zeros_like(inputs), jnp.zeros_like(weights))

    return Step(lambda: _ready(step(*numbers)), lambda results: results)


def candidates(task: Task) -> list[Candidate]:
    """A compiled loop over samples, and what Catalyst offers beside it."""
    if not task.gradients:
        loop = Candidate("compiled loop", "complex128", lambda: _forward(task, loop=True))
        return [loop, Candidate("vmap", "complex128", lambda: _forward(task, loop=False))]
    return [
        Candidate("vjp per sample", "complex128", lambda: _by_sample(task)),
        Candidate("one weighted observable", "complex128", lambda: _of_one_observable(task)),
    ]
