"""The same network all in JAX, its circuit in PennyLane: whole steps, or whole epochs, under one ``jax.jit``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
from jax import lax

from learning_parts.jax_networks import network_function
from learning_parts.pennylane_gates import apply_gates, gate_list
from learning_parts.training_problem import LEARNING_RATE, WEIGHT_DECAY, Outcome, Problem
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["JaxTraining"]

Params = dict[str, Any]


def circuit_function(block: QuantumBlock, *, broadcast: bool) -> Callable[[Any, Any], Any]:
    """``(inputs (batch, n), weights) -> (batch, n_observables)`` by default.qubit and backprop."""
    calls = gate_list(block)
    texts = [observable.terms[0][0] for observable in block.observables]
    if block.feature_map_name != "identity":
        raise NotImplementedError(block.feature_map_name)

    @qml.qnode(qml.device("default.qubit", wires=block.circuit.n_qubits), interface="jax", diff_method="backprop")
    def circuit(inputs: Any, weights: Any) -> list[qml.measurements.ExpectationMP]:
        values = {name: inputs[..., place] for place, name in enumerate(block.angle_names)}
        values |= {name: weights[place] for place, name in enumerate(block.weight_names)}
        apply_gates(calls, values)
        return [qml.expval(qml.pauli.string_to_pauli_word(text, _places(text))) for text in texts]

    def stacked(inputs: Any, weights: Any) -> Any:
        return jnp.stack(circuit(inputs, weights), -1)

    return stacked if broadcast else jax.vmap(stacked, (0, None))


def _places(text: str) -> dict[int, int]:
    return {place: place for place in range(len(text))}


class JaxTraining:
    """A compiled training; calling it trains anew.

    Args:
        problem: what to train.
        broadcast: PennyLane's parameter broadcasting over the batch; otherwise ``jax.vmap``.
        whole_epochs: an epoch is one compiled call (``lax.scan`` over its steps); otherwise a step is.
    """

    def __init__(self, problem: Problem, *, broadcast: bool, whole_epochs: bool) -> None:
        self.problem, self.whole_epochs = problem, whole_epochs
        scores, self.initial = network_function(
            problem.network, lambda block: circuit_function(block, broadcast=broadcast)
        )

        def loss_of(params: Params, rows: Any, classes: Any) -> Any:
            logs = jax.nn.log_softmax(scores(params, rows), axis=1)
            return -jnp.take_along_axis(logs, classes[:, None], axis=1).mean()

        gradient = jax.value_and_grad(loss_of)

        def step(carried: tuple[Params, Params, Params, Any], chosen: Any) -> tuple[Any, Any]:
            params, first, second, count = carried
            loss, grads = gradient(params, self.rows[chosen], self.classes[chosen])
            count = count + 1
            first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
            second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, grads)
            rate, root = LEARNING_RATE / (1 - 0.9**count), 1 - 0.999**count
            params = jax.tree.map(
                lambda p, m, v: p * (1 - LEARNING_RATE * WEIGHT_DECAY) - rate * m / (jnp.sqrt(v / root) + 1e-8),
                params, first, second,
            )  # fmt: skip
            return (params, first, second, count), loss

        self.rows, self.classes = (
            jnp.asarray(problem.training.rows.numpy()),
            jnp.asarray(problem.training.classes.numpy()),
        )
        self.step = jax.jit(step)
        self.epoch = jax.jit(lambda carried, chosen: lax.scan(step, carried, chosen))
        rows, classes = jnp.asarray(problem.validation.rows.numpy()), jnp.asarray(problem.validation.classes.numpy())
        self.validation_loss = jax.jit(lambda params: loss_of(params, rows, classes))
        self.answer = jax.jit(lambda params: jax.nn.softmax(scores(params, rows), axis=1))

    def __call__(self, problem: Problem) -> Outcome:
        """Trains from the initial weights."""
        zeros = jax.tree.map(jnp.zeros_like, self.initial)
        carried = (self.initial, zeros, zeros, jnp.float32(0))
        losses: list[float] = []
        checked: list[float] = []
        best, best_epoch = self.initial, 0
        for epoch, order in enumerate(jnp.asarray(problem.orders()), 1):
            chosen = order.reshape(-1, problem.batch_size)
            if self.whole_epochs:
                carried, found = self.epoch(carried, chosen)
            else:
                found = []
                for rows in chosen:
                    carried, loss = self.step(carried, rows)
                    found.append(loss)
            losses.append(float(np.mean(found)))
            checked.append(float(self.validation_loss(carried[0])))
            if checked[-1] == min(checked):
                best, best_epoch = carried[0], epoch
            if epoch - best_epoch >= problem.patience:
                break
        return Outcome(losses, checked, np.asarray(self.answer(best)))
