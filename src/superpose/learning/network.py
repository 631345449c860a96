"""The trained networks: classical layers around a block, and the blocks that the controls put in its place.

Every variant is ``Linear(n_columns -> width)``, then ``max_angle * tanh``, a block ``(batch, width) -> (batch,
width)``, then ``Linear(width -> n_classes)``. Only the block differs, and every block has the same number of
parameters:

- ``hybrid``: the circuit;
- ``no_entanglement``: the same circuit without its gates on two qubits;
- ``frozen``: the circuit with its random initial weights, which are not trained;
- ``classical_twin``: a `ClassicalBlock`.

A fine-tuned model has one more control, ``from_scratch``: ``hybrid`` as it is without a parent.

Variants of one seed start from the same classical weights.
"""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from superpose.learning.evaluation_spec import FROM_SCRATCH
from superpose.learning.fused.parts import FusedParts
from superpose.learning.measured.measurer import Measurer
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.quantum_block import QuantumBlock, build_block
from superpose.learning.quantum_layer import QuantumLayer
from superpose.learning.spec import CONTROLS, ModelSpec
from superpose.learning.torch_chance import borrowed_generator
from superpose.learning.torch_threads import one_torch_thread
from superpose.learning.trained_model import ClassLabel, DressedModel, TrainedModel

__all__ = [
    "EVALUATION_ROWS",
    "VARIANTS",
    "ClassicalBlock",
    "HybridNetwork",
    "NetworkShape",
    "build_network",
    "count_parameters",
    "dressed_values",
    "network_of_model",
    "outputs",
    "probabilities",
    "quantum_block_of",
    "quantum_layer_of",
    "trained_model",
]

EVALUATION_ROWS = 4096
"""Rows of one forward pass outside training: bounds memory, large enough to fill the engine's tiles."""

_SMALL = 1 << 15
"""Numbers below which torch's threads cost more than they give: waiting for one another took 8 ms."""

VARIANTS = ("hybrid", FROM_SCRATCH, *CONTROLS)
"""What `build_network` can build."""


class ClassicalBlock(nn.Module):
    """A classical block ``(batch, width) -> (batch, width)`` of exactly ``n_weights`` parameters, held in one vector.

    As many dense layers ``tanh(W h + b)`` as fit, each of ``width * (width + 1)`` parameters, then one residual layer
    ``h + tanh(W' h + b')`` whose matrix ``[W' b']`` holds the leftover parameters along its diagonals, main diagonal
    first, and zeros elsewhere: few leftovers scale each unit, more mix them.

    Args:
        width: inputs and outputs.
        n_weights: parameters, any number.
    """

    def __init__(self, width: int, n_weights: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        per_layer = width * (width + 1)
        self.width = width
        self.n_dense, leftover = divmod(n_weights, per_layer)
        self.weights = nn.Parameter(torch.empty(n_weights, dtype=dtype))
        place = torch.arange(leftover)
        row = place % width
        column = (row + place // width) % (width + 1)
        self.register_buffer("residual_places", row * (width + 1) + column, persistent=False)
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew, uniform with Glorot's bound for a square layer."""
        bound = math.sqrt(3.0 / self.width)
        with torch.no_grad():
            drawn = torch.rand(self.weights.shape, generator=generator, dtype=torch.float32)
            self.weights.copy_((2.0 * drawn - 1.0) * bound)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, width) -> (batch, width)."""
        return self.with_weights(inputs, self.weights)

    def with_weights(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """What ``forward`` gives with other weights ``(n_weights,)``."""
        width = self.width
        used = self.n_dense * width * (width + 1)
        hidden = inputs
        for layer in weights[:used].view(self.n_dense, width, width + 1):
            hidden = torch.tanh(torch.addmm(layer[:, width], hidden, layer[:, :width].t()))
        places = self.get_buffer("residual_places")
        if places.numel():
            matrix = torch.zeros(width * (width + 1), dtype=weights.dtype)
            matrix = matrix.scatter(0, places, weights[used:]).view(width, width + 1)
            hidden = hidden + torch.tanh(torch.addmm(matrix[:, width], hidden, matrix[:, :width].t()))
        return hidden


class HybridNetwork(nn.Module):
    """Classical layers around a block: encoded rows ``(batch, n_columns)`` to class scores ``(batch, n_classes)``."""

    def __init__(
        self,
        n_columns: int,
        block: nn.Module,
        width: int,
        n_classes: int,
        max_angle: float,
        *,
        n_outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.entry = nn.Linear(n_columns, width)
        self.block = block  # its one parameter is called "weights"
        self.exit = nn.Linear(width if n_outputs is None else n_outputs, n_classes)
        self.max_angle = max_angle

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, n_columns) -> (batch, n_classes), logarithms of unnormalised probabilities."""
        angles = torch.tanh(self.entry(rows)) * self.max_angle  # (batch, width)
        scores: Tensor = self.exit(self.block(angles))
        return scores

    def fused_parts(self) -> FusedParts:
        """The same as parts, for training in compiled code."""
        entry = self.entry
        return FusedParts(self.block, self.exit, "tanh", entry.weight, entry.bias, self.max_angle)


@dataclass(frozen=True)
class NetworkShape:
    """Sizes that come with the data, and the names of the encoded columns where they matter."""

    n_columns: int
    n_classes: int
    column_names: tuple[str, ...] = ()


def quantum_block_of(model: ModelSpec, variant: str = "hybrid") -> QuantumBlock:
    """The circuit that a variant of a model trains."""
    return build_block(
        model.n_qubits,
        model.encoding.name,
        model.ansatz.name,
        model.ansatz.layers,
        entangle=variant != "no_entanglement",
    )


def build_network(
    model: ModelSpec,
    shape: NetworkShape,
    variant: str,
    generator: torch.Generator,
    gradient_method: str = "adjoint",
) -> HybridNetwork:
    """An untrained network; all its randomness comes from ``generator``, classical layers first.

    Args:
        model: the model section of a spec.
        shape: columns after preprocessing, and classes.
        variant: one of `VARIANTS`.
        generator: source of the initial weights.
        gradient_method: how the circuit is differentiated; see `QuantumLayer`.

    Raises:
        ValueError: no variant of this name.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    quantum = quantum_block_of(model, variant)
    block: QuantumLayer | ClassicalBlock
    with borrowed_generator():
        if variant == "classical_twin":
            block = ClassicalBlock(model.n_qubits, quantum.n_weights)
        else:
            block = QuantumLayer.from_block(quantum, gradient_method=gradient_method)
        network = HybridNetwork(shape.n_columns, block, model.n_qubits, shape.n_classes, model.max_angle)
    for linear in (network.entry, network.exit):
        _reset_linear(linear, generator)
    block.reset_parameters(generator)
    if variant == "frozen":
        block.weights.requires_grad_(False)
    return network


def _reset_linear(linear: nn.Linear, generator: torch.Generator) -> None:
    """torch's own initial distribution for Linear, from a given generator."""
    bound = 1.0 / math.sqrt(linear.in_features)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.copy_((2.0 * torch.rand(parameter.shape, generator=generator) - 1.0) * bound)


def count_parameters(network: nn.Module) -> tuple[int, int]:
    """All parameters, and those that are trained."""
    sizes = [(p.numel(), p.requires_grad) for p in network.parameters()]
    return sum(n for n, _ in sizes), sum(n for n, trained in sizes if trained)


def quantum_layer_of(network: nn.Module) -> QuantumLayer:
    """The circuit of a hybrid network, as a layer.

    Raises:
        TypeError: the network has none.
    """
    layer = getattr(network, "block", None)
    if not isinstance(layer, QuantumLayer):
        raise TypeError(f"expected a network around a QuantumLayer, got {type(network).__name__}")
    return layer


def probabilities(
    network: nn.Module, encoded: NDArray[np.float64], measurer: Measurer | None = None
) -> NDArray[np.float64]:
    """Class probabilities ``(n_rows, n_classes)`` of encoded rows, computed in float64 whatever the network's dtype.

    The circuit runs on this machine's engine, or where a measurer that evaluates takes it.
    """
    scores = _wide_outputs(network, encoded, measurer)
    with one_torch_thread():
        found: NDArray[np.float64] = torch.softmax(scores, dim=1).numpy()
    return found


def outputs(network: nn.Module, encoded: NDArray[np.float64], measurer: Measurer | None = None) -> NDArray[np.float64]:
    """What a network gives ``(n_rows, n_outputs)`` for encoded rows, computed as `probabilities` are."""
    found: NDArray[np.float64] = _wide_outputs(network, encoded, measurer).numpy()
    return found


def _wide_outputs(network: nn.Module, encoded: NDArray[np.float64], measurer: Measurer | None) -> Tensor:
    wide = copy.deepcopy(network).double().eval()
    if measurer is not None:
        quantum_layer_of(wide).measured_by(measurer)
    rows = torch.from_numpy(np.ascontiguousarray(encoded, dtype=np.float64))
    small = rows.numel() <= _SMALL
    with torch.no_grad(), one_torch_thread() if small else nullcontext():
        return torch.cat([wide(part) for part in torch.split(rows, EVALUATION_ROWS)])


def dressed_values(network: HybridNetwork) -> tuple[QuantumBlock, dict[str, NDArray[np.floating]], float]:
    """Circuit, arrays and greatest angle of a network around a `QuantumLayer`, as plain values.

    Raises:
        TypeError: the network has no circuit.
    """
    block = network.block
    if not isinstance(block, QuantumLayer):
        raise TypeError(f"only a network around a QuantumLayer makes a model file, got {type(block).__name__}")
    arrays = {name: tensor.detach().numpy().copy() for name, tensor in network.named_parameters()}
    return block.block, arrays, network.max_angle


def trained_model(network: HybridNetwork, preprocessor: Preprocessor, classes: tuple[ClassLabel, ...]) -> TrainedModel:
    """The plain values of a network around a `QuantumLayer`."""
    return TrainedModel(preprocessor, *dressed_values(network), classes=classes)


def network_of_model(model: DressedModel) -> HybridNetwork:
    """The network whose plain values a model holds; the inverse of `dressed_values`."""
    arrays = {name: torch.from_numpy(np.array(array)) for name, array in model.arrays.items()}
    n_outputs = len(model.arrays["exit.bias"])
    with borrowed_generator():
        block = QuantumLayer.from_block(model.block)
        network = HybridNetwork(model.preprocessor.n_encoded, block, model.block.n_inputs, n_outputs, model.max_angle)
    network.load_state_dict(arrays)
    return network
