"""What a network says of itself so that its steps may run as compiled code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from superpose.learning.quantum_layer import QuantumLayer

__all__ = ["FusedParts", "SaysItsParts", "flattened"]


def flattened(parameters: Sequence[nn.Parameter]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Make parameters and their gradients views of one vector each.

    Returns:
        These two vectors, the gradient zero, and two more zeros of their size for an optimizer's moments.
    """
    vector = torch.cat([p.detach().reshape(-1) for p in parameters])
    sizes = [p.numel() for p in parameters]
    grad, moment_1, moment_2 = vector.new_zeros(3, vector.numel())
    views = zip(parameters, vector.split_with_sizes(sizes), grad.split_with_sizes(sizes), strict=True)
    for parameter, own, gradient in views:
        parameter.data, parameter.grad = own.view_as(parameter), gradient.view_as(parameter)
    return vector, grad, moment_1, moment_2


@dataclass(frozen=True, eq=False)
class FusedParts:
    """Scores as ``exit(layer(entry(fixed(rows))))``.

    Attributes:
        layer: the circuit.
        exit: behind it.
        entry: "tanh": ``max_angle * tanh(rows @ entry_weight.T + entry_bias)``; "scale": ``(rows[:, None] *
            entry_weight).flatten(1)``; "none": the rows are the circuit's inputs.
        entry_weight, entry_bias, max_angle: of the entry, where it has them.
        fixed: what no parameter changes and comes first, such as an encoding; it is applied once, not in each step.
    """

    layer: nn.Module
    exit: nn.Linear
    entry: Literal["tanh", "scale", "none"] = "none"
    entry_weight: Tensor | None = None
    entry_bias: Tensor | None = None
    max_angle: float = 1.0
    fixed: Callable[[Tensor], Tensor] | None = None

    @property
    def parameters(self) -> tuple[Tensor | None, ...]:
        """Weight and bias of the entry, the circuit's weights, weight and bias behind it."""
        weights = getattr(self.layer, "weights", None)
        return self.entry_weight, self.entry_bias, weights, self.exit.weight, self.exit.bias

    @property
    def circuit(self) -> QuantumLayer:
        """The layer, where it is a circuit.

        Raises:
            TypeError: it is something else.
        """
        from superpose.learning.quantum_layer import QuantumLayer

        if not isinstance(self.layer, QuantumLayer):
            raise TypeError(f"expected a QuantumLayer, got {type(self.layer).__name__}")
        return self.layer


class SaysItsParts(Protocol):
    """A network whose ``forward`` is what its parts say; a subclass with another ``forward`` is asked anew."""

    def fused_parts(self) -> FusedParts:
        """The parts."""
