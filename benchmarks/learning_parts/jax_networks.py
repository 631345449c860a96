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
    block = getattr(network, "block", None)
    if not isinstance(block, QuantumLayer):
        raise NotImplementedError(type(network).__name__)
    circuit = make_circuit(block.block)
    if isinstance(network, HybridNetwork):
        bound = network.max_angle
    elif isinstance(getattr(network, "amplitudes", None), nn.Identity):  # rows are the circuit's angles
        bound = None
    else:
        raise NotImplementedError(type(network).__name__)

    def scores(params: dict[str, Any], rows: Any) -> Any:
        angles = rows
        if bound is not None:
            angles = jnp.tanh(rows @ params["entry.weight"].T + params["entry.bias"]) * bound
        return circuit(angles, params["block.weights"]) @ params["exit.weight"].T + params["exit.bias"]

    return scores, params
