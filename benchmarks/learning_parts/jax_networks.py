"""Our networks as functions of JAX arrays, for the rival that does everything in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from torch import nn

from superpose.learning.network import HybridNetwork
from superpose.learning.quantum_block import QuantumBlock
from superpose.learning.quantum_layer import QuantumLayer

__all__ = ["network_function"]

Scores = Callable[[dict[str, Any], Any], Any]
MakeCircuit = Callable[[QuantumBlock], Callable[[Any, Any], Any]]


def network_function(network: nn.Module, make_circuit: MakeCircuit) -> tuple[Scores, dict[str, Any]]:
    """``(params, rows) -> scores`` of a network, and its parameters by name.

    Raises:
        NotImplementedError: a network that nobody has written down here.
    """
    params = {name: jnp.asarray(value.detach().numpy()) for name, value in network.named_parameters()}
    if not isinstance(network, HybridNetwork) or not isinstance(network.block, QuantumLayer):
        raise NotImplementedError(type(network).__name__)
    circuit = make_circuit(network.block.block)
    bound = network.max_angle

    def scores(params: dict[str, Any], rows: Any) -> Any:
        angles = jnp.tanh(rows @ params["entry.weight"].T + params["entry.bias"]) * bound
        return circuit(angles, params["block.weights"]) @ params["exit.weight"].T + params["exit.bias"]

    return scores, params
