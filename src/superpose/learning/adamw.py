"""AdamW over one vector that all trained parameters are views of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from superpose.learning.fused.parts import flattened
from superpose.learning.spec import TrainingOptions

__all__ = ["AdamW"]


class AdamW:
    """AdamW over one vector that all trained parameters are views of: a handful of torch calls per step.

    Source: Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2, with the usual beta = (0.9, 0.999), eps = 1e-8.
    """

    def __init__(
        self, parameters: list[nn.Parameter], options: TrainingOptions, factors: list[float] | None = None
    ) -> None:
        self.vectors = flattened(parameters)
        self.vector, self.grad, self.moment_1, self.moment_2 = self.vectors
        self.n_steps = 0
        self._options = options
        self._rate, self._decay = options.learning_rate, options.learning_rate * options.weight_decay
        self._factors: Tensor | None = None  # of the rate, per number
        if factors is not None:
            parts = [torch.full((p.numel(),), factor) for p, factor in zip(parameters, factors, strict=True)]
            self._factors = torch.cat(parts)

    @property
    def groups(self) -> list[tuple[int, float, float]]:
        """Where each group of numbers ends, its learning rate and its weight decay."""
        return [(self.vector.numel(), self._options.learning_rate, self._options.weight_decay)]

    def step(self) -> None:
        """Move the parameters along the gradient that a backward pass has added up, and set it to zero."""
        self.n_steps += 1
        self.moment_1.lerp_(self.grad, 0.1)
        self.moment_2.mul_(0.999).addcmul_(self.grad, self.grad, value=0.001)
        scale = (self.moment_2 / (1.0 - 0.999**self.n_steps)).sqrt_().add_(1e-8)
        rate = self._rate / (1.0 - 0.9**self.n_steps)
        if self._factors is None:
            self.vector.mul_(1.0 - self._decay)
            self.vector.addcdiv_(self.moment_1, scale, value=-rate)
        else:
            self.vector.mul_(1.0 - self._decay * self._factors)
            self.vector.addcdiv_(self._factors * self.moment_1, scale, value=-rate)
        self.grad.zero_()
