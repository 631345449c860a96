"""The engine's programs and feature maps as functions that torch differentiates."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from superpose.engine import CompiledProgram
from superpose.engine.gradients import GradientOptions, directional_derivatives, program_gradient
from superpose.errors import UnsupportedProgramError
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["expectation_gradients", "expectations", "mapped_inputs"]


def expectations(angles: Tensor, weights: Tensor, program: CompiledProgram, method: str) -> Tensor:
    """Differentiable ``(batch, n_angles), (n_weights,) -> (batch, n_observables)``, by a method of the table."""
    found: Tensor = _Expectations.apply(angles, weights, program, method)  # type: ignore[no-untyped-call]  # torch leaves it so
    return found


def mapped_inputs(inputs: Tensor, block: QuantumBlock) -> Tensor:
    """Differentiable ``(batch, n_inputs) -> (batch, n_angles)``: the block's feature map."""
    found: Tensor = _MappedInputs.apply(inputs, block)  # type: ignore[no-untyped-call]  # torch leaves it so
    return found


class _Expectations(torch.autograd.Function):
    """Expectations of a compiled program; the backward pass is one of the engine's gradient methods.

    The adjoint method runs the circuit again in the engine's fused call rather than keeping its final states: that
    takes as long (4 qubits x 2 layers x batch 32: 31 instead of 34 us; 8 x 4 x 64: 0.36 instead of 0.33 ms; one thread
    of a 2-core machine) and needs no memory between the passes.
    """

    @staticmethod
    def forward(ctx: Any, angles: Tensor, weights: Tensor, program: CompiledProgram, method: str) -> Tensor:
        """(batch, n_angles), (n_weights,) -> (batch, n_observables)."""
        ctx.program, ctx.method = program, method
        ctx.save_for_backward(angles, weights)
        return torch.from_numpy(program.expectation(angles.detach().numpy(), weights.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, grad_expectations: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """(batch, n_observables) -> (batch, n_angles), (n_weights,), None, None."""
        angles, weights = ctx.saved_tensors  # raises if either was changed in place since forward
        if torch.is_grad_enabled():  # create_graph=True
            found = _Gradients.apply(angles, weights, grad_expectations, ctx.program, ctx.method)  # type: ignore[no-untyped-call]  # as above
        else:
            found = expectation_gradients(angles, weights, grad_expectations, ctx.program, ctx.method)
        return *found, None, None


def expectation_gradients(
    angles: Tensor, weights: Tensor, grad_expectations: Tensor, program: CompiledProgram, method: str
) -> tuple[Tensor, Tensor]:
    """Gradients ``(batch, n_angles)``, ``(n_weights,)`` of the expectations' sum weighted by ``grad_expectations``."""
    x, w, grad = angles.detach().numpy(), weights.detach().numpy(), grad_expectations.detach().numpy()
    if method == "adjoint":
        _, grad_angles, grad_weights = program.value_and_grad(x, w, grad)
    else:
        options = GradientOptions(seed=_seed(x, w))
        grad_angles, grad_weights = program_gradient(program, x, w, grad, method, options)
    return torch.from_numpy(grad_angles), torch.from_numpy(grad_weights)


def _seed(*arrays: np.ndarray[Any, Any]) -> int:
    """A seed that values determine: equal calls give equal gradients, and no generator has to be kept with a model."""
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).digest()
    return int.from_bytes(digest[:8], "little")


class _Gradients(torch.autograd.Function):
    """Adjoint gradients that can be differentiated once more, by the engine's directional derivatives."""

    @staticmethod
    def forward(
        ctx: Any, angles: Tensor, weights: Tensor, grad_expectations: Tensor, program: CompiledProgram, method: str
    ) -> tuple[Tensor, Tensor]:
        """The gradients themselves, (batch, n_angles) and (n_weights,)."""
        ctx.program, ctx.method = program, method
        ctx.save_for_backward(angles, weights, grad_expectations)
        return expectation_gradients(angles, weights, grad_expectations, program, method)

    @staticmethod
    def backward(ctx: Any, grad_angles: Tensor, grad_weights: Tensor) -> tuple[Any, ...]:
        """Hessian-vector products, and the change of expectations along the direction that came in.

        Raises:
            UnsupportedProgramError: a third derivative, or a second one of another method than the adjoint.
        """
        if ctx.method != "adjoint":
            raise UnsupportedProgramError(
                f"Second derivatives of QuantumLayer need gradient_method='adjoint', got {ctx.method!r}"
            )
        given = ctx.saved_tensors
        arrays = tuple(tensor.detach().numpy() for tensor in given)
        directions = grad_angles.detach().numpy(), grad_weights.detach().numpy()
        change = directional_derivatives(ctx.program, arrays, *directions)
        found = [torch.from_numpy(part) for part in (change.grad_inputs, change.grad_weights, change.expectations)]
        if torch.is_grad_enabled():
            found = [_last(part, *given) for part in found]
        return *found, None, None


class _MappedInputs(torch.autograd.Function):
    """A named feature map, differentiated by its own vector-Jacobian product."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, block: QuantumBlock) -> Tensor:
        """(batch, n_inputs) -> (batch, n_angles)."""
        ctx.block = block
        ctx.save_for_backward(inputs)
        angles = block.feature_map.apply(inputs.detach().numpy())
        return torch.from_numpy(angles).to(inputs.dtype)

    @staticmethod
    def backward(ctx: Any, grad_angles: Tensor) -> tuple[Tensor, None]:
        """(batch, n_angles) -> (batch, n_inputs), None."""
        (inputs,) = ctx.saved_tensors
        grad = ctx.block.feature_map.vjp(inputs.detach().numpy(), grad_angles.detach().numpy())
        found = torch.from_numpy(grad).to(inputs.dtype)
        return (_last(found, inputs, grad_angles) if torch.is_grad_enabled() else found), None


class _Last(torch.autograd.Function):
    """A derivative that refuses to be differentiated again, rather than passing for a constant."""

    @staticmethod
    def forward(ctx: Any, derivative: Tensor, *sources: Tensor) -> Tensor:
        """The derivative itself."""
        return derivative.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Refuse.

        Raises:
            UnsupportedProgramError: always.
        """
        raise UnsupportedProgramError(
            "QuantumLayer has first and second derivatives, and only first ones of a feature map's inputs; "
            "this would be one more"
        )


def _last(derivative: Tensor, *sources: Tensor) -> Tensor:
    found: Tensor = _Last.apply(derivative, *sources)  # type: ignore[no-untyped-call]  # torch leaves it so
    return found
