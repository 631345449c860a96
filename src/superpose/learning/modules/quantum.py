"""The quantum layer as a PyTorch operator, `superpose::quantum_layer`, for `torch.export` and `torch.compile`.

A graph cannot hold a circuit, so the operator takes a name: the digest of the layer's circuit, inputs and observables,
under which this process knows the layer once `register_layer` was called. `QuantumLayer.forward` calls the operator
only while a module is captured; otherwise it takes its own shorter way to the same engine calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, library

from superpose.circuits import circuit_to_json
from superpose.engine import CompiledProgram, compile_program
from superpose.errors import NotFoundError, UnsupportedProgramError
from superpose.learning.autograd import expectation_gradients, expectations, mapped_inputs
from superpose.learning.canonical import digest_json
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["LayerRuntime", "known_layer", "layer_document", "layer_name", "quantum_layer", "register_layer"]

_ENGINE_DTYPES: dict[torch.dtype, Literal["float32", "float64"]] = {torch.float32: "float32", torch.float64: "float64"}


class LayerRuntime:
    """A block with its compiled programs, one per dtype."""

    def __init__(self, block: QuantumBlock) -> None:
        self.block = block
        self._programs: dict[torch.dtype, CompiledProgram] = {}

    def program(self, dtype: torch.dtype) -> CompiledProgram:
        """The compiled circuit.

        Raises:
            UnsupportedProgramError: neither float32 nor float64.
        """
        found = self._programs.get(dtype)
        if found is None:
            if dtype not in _ENGINE_DTYPES:
                raise UnsupportedProgramError(f"a quantum layer computes in float32 or float64, got {dtype}")
            block = self.block
            found = compile_program(
                block.circuit, block.observables, inputs=block.angle_names, dtype=_ENGINE_DTYPES[dtype]
            )
            self._programs[dtype] = found
        return found

    def __call__(self, inputs: Tensor, weights: Tensor, method: str) -> Tensor:
        """Differentiable ``(batch, n_inputs), (n_weights,) -> (batch, n_observables)``."""
        program = self.program(weights.dtype)
        if not inputs.shape[0]:
            return inputs.new_zeros(0, self.block.n_outputs)
        angles = inputs if self.block.feature_map_name == "identity" else mapped_inputs(inputs, self.block)
        if torch.is_grad_enabled() and (inputs.requires_grad or weights.requires_grad):
            return expectations(angles, weights, program, method)
        return torch.from_numpy(program.expectation(angles.detach().numpy(), weights.detach().numpy()))


_check: Callable[[Any], None] = torch._check  # typed here, as torch leaves it

_known: dict[str, LayerRuntime] = {}
_changing = threading.Lock()


def layer_document(block: QuantumBlock) -> dict[str, Any]:
    """All of a layer but its weights, as JSON."""
    return {**block.to_dict(), "circuit": circuit_to_json(block.circuit)}


def layer_name(block: QuantumBlock) -> str:
    """The layer's digest: equal for equal circuits, inputs and observables."""
    return digest_json(layer_document(block))


def register_layer(block: QuantumBlock) -> str:
    """Make a layer known to the operator in this process, and return its name."""
    name = layer_name(block)
    with _changing:
        if name not in _known:
            _known[name] = LayerRuntime(block)
    return name


def known_layer(name: str) -> LayerRuntime:
    """The layer of a name.

    Raises:
        NotFoundError: `register_layer` was not called for it in this process.
    """
    try:
        return _known[name]
    except KeyError:
        raise NotFoundError(
            f"No quantum layer {name[:12]} is known in this process; register_layer it first."
        ) from None


@library.custom_op("superpose::quantum_layer", mutates_args=(), device_types="cpu")
def quantum_layer(inputs: Tensor, weights: Tensor, layer: str, gradient_method: str) -> Tensor:
    """Expectations ``(batch, n_observables)`` of a known layer's circuit.

    Args:
        inputs: ``(batch, n_inputs)``, of the weights' dtype.
        weights: ``(n_weights,)``, float32 or float64.
        layer: a name from `register_layer`.
        gradient_method: a row of `superpose.engine.gradients.GRADIENT_METHODS`.
    """
    with torch.no_grad():
        return known_layer(layer)(inputs.detach(), weights.detach(), gradient_method)


@quantum_layer.register_fake
def _fake_layer(inputs: Tensor, weights: Tensor, layer: str, gradient_method: str) -> Tensor:
    block = known_layer(layer).block
    _check(inputs.dim() == 2 and weights.dim() == 1)
    _check(inputs.shape[1] == block.n_inputs)
    _check(weights.shape[0] == block.n_weights)
    _check(inputs.dtype == weights.dtype)
    return inputs.new_empty(inputs.shape[0], block.n_outputs)


@library.custom_op("superpose::quantum_layer_gradients", mutates_args=(), device_types="cpu")
def _layer_gradients(
    inputs: Tensor, weights: Tensor, grad: Tensor, layer: str, gradient_method: str
) -> tuple[Tensor, Tensor]:
    """Gradients ``(batch, n_inputs)`` and ``(n_weights,)``."""
    runtime = known_layer(layer)
    block, x, w = runtime.block, inputs.detach(), weights.detach()
    mapped = block.feature_map_name != "identity"
    angles = torch.from_numpy(block.feature_map.apply(x.numpy())).to(x.dtype) if mapped else x  # (batch, n_angles)
    grad_angles, grad_weights = expectation_gradients(angles, w, grad, runtime.program(w.dtype), gradient_method)
    if mapped:
        grad_angles = torch.from_numpy(block.feature_map.vjp(x.numpy(), grad_angles.numpy())).to(x.dtype)
    return grad_angles, grad_weights


@_layer_gradients.register_fake
def _fake_gradients(
    inputs: Tensor, weights: Tensor, grad: Tensor, layer: str, gradient_method: str
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(inputs), torch.empty_like(weights)


def _set_up(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, w, ctx.layer, ctx.gradient_method = inputs
    ctx.save_for_backward(x, w)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
    x, w = ctx.saved_tensors
    grad_inputs, grad_weights = _layer_gradients(x, w, grad.contiguous(), ctx.layer, ctx.gradient_method)
    return grad_inputs, grad_weights, None, None


quantum_layer.register_autograd(_backward, setup_context=_set_up)
