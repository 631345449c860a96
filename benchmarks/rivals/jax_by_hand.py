"""Hand-written JAX, jitted: whole states as in ``whole_state.py``, each gather with the inverse gather as its adjoint
(JAX would scatter). Gate-by-gate forms were tried too and were 2 to 5 times slower from 8 qubits on."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from rivals.circuit import Task
from rivals.protocol import Candidate, Step
from rivals.whole_state import Form, Library, forms, forward

__all__ = ["PACKAGES", "candidates"]

PACKAGES = ("jax", "jaxlib")


def _gather(permutation):
    forth, back = jnp.asarray(permutation), jnp.asarray(np.argsort(permutation))

    def take(state, index, axis):
        return jnp.take(state, index, axis=axis, unique_indices=True, mode="clip")

    def apply(state, axis):
        @jax.custom_vjp
        def gather(state):
            return take(state, forth, axis)

        gather.defvjp(lambda state: (gather(state), None), lambda _, grad: (take(grad, back, axis),))
        return gather(state)

    return apply


_LIBRARY = Library(jnp, jnp.asarray, _gather, lambda array: array.astype(jnp.complex64))


def _build(task: Task, form: Form) -> Step:
    expectations = forward(task.case, _LIBRARY, form)
    if not task.gradients:
        alone = jax.jit(lambda inputs, weights: (expectations(inputs, weights),))
        given = jnp.asarray(task.inputs), jnp.asarray(task.weights)
        return Step(lambda: jax.block_until_ready(alone(*given)), lambda results: results)

    @jax.jit
    def step(inputs, weights, upstream):
        values, pullback = jax.vjp(expectations, inputs, weights)
        return values, *pullback(upstream)

    numbers = [jnp.asarray(array) for array in (task.inputs, task.weights, task.upstream)]
    return Step(lambda: jax.block_until_ready(step(*numbers)), lambda results: results)


def candidates(task: Task) -> list[Candidate]:
    """All forms, the usually fastest first."""
    return [Candidate(str(form), "complex64", lambda form=form: _build(task, form)) for form in forms(task.case)]
