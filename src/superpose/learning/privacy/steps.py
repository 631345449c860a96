"""The step of differentially private training: rows by chance, each row's gradient cut to a length, noise on the sum.

Source: Abadi et al. 2016, arXiv 1607.00133 (DP-SGD). Opacus finds the gradients of classical layers for each row, cuts
them and adds the noise; those of the circuit's weights come from the engine, with the weights of each row as inputs.
"""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from superpose.engine import compile_program
from superpose.learning.network import ClassicalBlock
from superpose.learning.privacy.accounting import PrivacyPlan
from superpose.learning.quantum_layer import QuantumLayer

__all__ = ["PrivateSteps", "weight_gradients"]


class PrivateSteps:
    """Gradients of a network that keep to a plan.

    Args:
        network: what is trained.
        plan: how much noise, and how many rows.
        generator: draws rows and noise; by default one that the operating system's entropy seeds. Who knows its state
            can take the noise away, so it belongs in a checkpoint, and nowhere else.
    """

    def __init__(self, network: nn.Module, plan: PrivacyPlan, generator: torch.Generator | None = None) -> None:
        from opacus import GradSampleModule
        from opacus.grad_sample.utils import register_grad_sampler
        from opacus.optimizers import DPOptimizer

        register_grad_sampler(QuantumLayer)(_of_circuit)
        register_grad_sampler(ClassicalBlock)(_of_block)
        self.plan = plan
        self.generator = torch.Generator() if generator is None else generator
        if generator is None:
            self.generator.manual_seed(secrets.randbits(63))
        self._trained = [p for p in network.parameters() if p.requires_grad]
        self._watched = GradSampleModule(network, loss_reduction="sum", strict=False)
        self._noisy = DPOptimizer(
            torch.optim.SGD(self._trained, lr=0.0),  # only carries the parameters: whoever calls makes the step
            noise_multiplier=plan.noise_multiplier,
            max_grad_norm=plan.max_gradient_norm,
            expected_batch_size=None,
            loss_reduction="sum",
            generator=self.generator,
        )

    def rows(self) -> Tensor:
        """Places of the rows of the next step: each by itself with the plan's probability (Poisson); may be none."""
        drawn = torch.rand(self.plan.n_rows, generator=self.generator)
        return torch.nonzero(drawn < self.plan.sample_rate).flatten()

    def gradient(self, losses: Callable[[], Tensor], n_rows: int) -> tuple[Tensor, float]:
        """The noisy gradient of the mean loss, one vector over all trained parameters, and the mean loss itself.

        Args:
            losses: gives the loss of each row of the step, ``(n_rows,)``; not called for a step without rows.
            n_rows: rows of the step.
        """
        for parameter in self._trained:
            parameter.grad = None
        self._noisy.zero_grad(set_to_none=True)
        mean = 0.0
        if n_rows:
            found = losses()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's, about hooks on rows that need no gradient: none is asked for
                found.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it so
            mean = float(found.detach().mean())
        else:
            for parameter in self._trained:
                nothing = torch.zeros((0, *parameter.shape), dtype=parameter.dtype)
                parameter.grad_sample = nothing  # type: ignore[attr-defined]  # where Opacus looks
        self._noisy.clip_and_accumulate()
        self._noisy.add_noise()
        expected = self.plan.sample_rate * self.plan.n_rows
        noisy = torch.cat([p.grad.reshape(-1) for p in self._trained if p.grad is not None]) / expected
        self._noisy.zero_grad(set_to_none=True)
        return noisy, mean

    def close(self) -> None:
        """Take away what watches the network."""
        self._watched.to_standard_module()


def weight_gradients(layer: QuantumLayer, inputs: Tensor, grad_outputs: Tensor) -> Tensor:
    """Gradients with respect to the weights of each row by itself, ``(batch, n_weights)``.

    Args:
        layer: whose weights.
        inputs: ``(batch, n_inputs)``.
        grad_outputs: ``(batch, n_observables)``, of the row's loss.

    Cost: one adjoint pass with a weight for each row, two to three times one with shared weights.
    """
    block = layer.block
    angles = block.feature_map.apply(inputs.detach().numpy())  # (batch, n_angles)
    weights = np.broadcast_to(layer.weights.detach().numpy(), (len(angles), block.n_weights))
    program = compile_program(
        block.circuit,
        block.observables,
        inputs=(*block.angle_names, *block.weight_names),
        dtype="float64" if layer.weights.dtype is torch.float64 else "float32",
    )
    values = np.ascontiguousarray(np.concatenate([angles, weights], axis=1, dtype=weights.dtype))
    nothing = np.empty(0, dtype=weights.dtype)
    _, gradients, _ = program.value_and_grad(values, nothing, grad_outputs.detach().numpy())
    return torch.from_numpy(np.ascontiguousarray(gradients[:, angles.shape[1] :]))


def _of_circuit(layer: QuantumLayer, activations: list[Tensor], backprops: Tensor) -> dict[nn.Parameter, Any]:
    """What Opacus asks of a kind of layer."""
    if not layer.weights.requires_grad:
        return {}
    return {layer.weights: weight_gradients(layer, activations[0], backprops)}


def _of_block(layer: ClassicalBlock, activations: list[Tensor], backprops: Tensor) -> dict[nn.Parameter, Any]:
    """The same for the block that stands in the circuit's place."""

    def weighted(weights: Tensor, row: Tensor, grad: Tensor) -> Tensor:
        return (layer.with_weights(row[None], weights)[0] * grad).sum()

    each_row = torch.func.vmap(torch.func.grad(weighted), (None, 0, 0))
    return {layer.weights: each_row(layer.weights, activations[0], backprops)}
