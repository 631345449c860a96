"""The hybrid CNN: trained convolutions, whose features pass a dressed circuit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from superpose.learning.families.dressed_circuit import dressed_block
from superpose.learning.families.pictures import PictureInput, picture_shape
from superpose.learning.families.variational import VariationalClassifier
from superpose.learning.network import HybridNetwork, NetworkShape

__all__ = ["HybridConvolutionClassifier"]


@dataclass(kw_only=True, eq=False, repr=False)
class HybridConvolutionClassifier(VariationalClassifier):
    """Two 3 x 3 convolutions with ReLU and pooling of 2 x 2, then a dressed circuit on their features.

    Convolutions, linear layers and circuit are trained together from random weights.

    Args:
        channels: of the first convolution; the second has twice as many.
        n_qubits: qubits of the dressed circuit.
        layers: its entangling layers.
        picture_shape: height and width; None for square pictures.
        classical: True puts as many classical parameters in the circuit's place: the family's classical twin.

    Other arguments and attributes: see `VariationalClassifier` and `FamilyClassifier`.

    Cost: that of the convolutions; the circuit is a small part of it.
    Source: the circuit: Mari et al. 2019, arXiv 1912.08278; behind convolutions trained with it: the chest X-ray
    classifiers of docs/families.md.
    """

    family: ClassVar[str] = "hybrid_convolution"

    scaling: str = "none"
    epochs: int = 100
    max_steps: int | None = None
    learning_rate: float = 0.005
    patience: int = 20
    refit: bool = False
    channels: int = 8
    n_qubits: int = 4
    layers: int = 6
    picture_shape: tuple[int, int] | None = None
    classical: bool = False

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        self._check_whole("channels", 1, 1000)
        self._check_whole("n_qubits", 1, 24)
        self._check_whole("layers", 1, 1000)

    def _network(self, shape: NetworkShape) -> nn.Module:
        return _HybridConvolution(self, shape)

    def _prepared(self, network: nn.Module, rows: Tensor) -> tuple[nn.Module, Tensor]:
        pictures = network.get_submodule("pictures")
        if isinstance(pictures, PictureInput):
            pictures.learn(rows)
        return network, rows


class _HybridConvolution(nn.Module):
    def __init__(self, family: HybridConvolutionClassifier, shape: NetworkShape) -> None:
        super().__init__()
        height, width = picture_shape(shape.n_columns, family.picture_shape)
        self.pictures = PictureInput((height, width), span=False)
        wide = 2 * family.channels
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, family.channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(family.channels, wide, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Flatten(),
        )
        n_features = wide * (-(-height // 4)) * (-(-width // 4))
        block = dressed_block(family.n_qubits, family.layers, entangle=not family.separable)
        self.dressed = HybridNetwork(n_features, family._layer(block), family.n_qubits, shape.n_classes, math.pi / 2)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, height * width) -> (batch, n_classes)."""
        scores: Tensor = self.dressed(self.convolutions(self.pictures(rows)))
        return scores
