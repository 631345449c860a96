"""PennyLane, default.qubit, backprop, under jax.jit: parameter broadcasting, and jax.vmap over samples."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pennylane as qml

from rivals.circuit import Task
from rivals.pennylane_circuit import apply_circuit
from rivals.protocol import Candidate, Step

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("pennylane", "jax", "jaxlib")


def _build(task: Task, *, broadcast: bool) -> Step:
    qubits = range(task.case.n_qubits)

    @qml.qnode(qml.device("default.qubit", wires=len(qubits)), interface="jax", diff_method="backprop")
    def circuit(inputs, weights):
        apply_circuit(task.case, inputs, weights)
        return [qml.expval(qml.PauliZ(qubit)) for qubit in qubits]

    def stacked(inputs, weights):
        return jnp.stack(circuit(inputs, weights), -1)

    batched = stacked if broadcast else jax.vmap(stacked, (0, None))
    numbers = [jnp.asarray(array) for array in (task.inputs, task.weights, task.upstream)]
    if not task.gradients:
        alone = jax.jit(lambda inputs, weights: (batched(inputs, weights),))
        return Step(lambda: jax.block_until_ready(alone(*numbers[:2])), lambda results: results)

    @jax.jit
    def step(inputs, weights, upstream):
        values, pullback = jax.vjp(batched, inputs, weights)
        return values, *pullback(upstream.astype(values.dtype))

    return Step(lambda: jax.block_until_ready(step(*numbers)), lambda results: results)


def candidates(task: Task) -> list[Candidate]:
    """Both ways up to 8 qubits; above, vmap was the faster one at every size, and compiling both takes minutes."""
    vmap = Candidate("vmap", "complex64", lambda: _build(task, broadcast=False))
    broadcasting = Candidate("broadcasting", "complex64", lambda: _build(task, broadcast=True))
    return [broadcasting, vmap] if task.case.n_qubits <= 8 else [vmap]
