"""The quanvolutional network: random circuits as filters over patches, a small trained network behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from superpose.learning.families.pictures import PictureInput, picture_shape
from superpose.learning.families.variational import VariationalClassifier
from superpose.learning.network import NetworkShape
from superpose.learning.quantum_block import build_block

__all__ = ["QuanvolutionalClassifier"]

_PATCH = 2
"""Side of a patch: a circuit has a qubit for each of its values."""


@dataclass(kw_only=True, eq=False, repr=False)
class QuanvolutionalClassifier(VariationalClassifier):
    """Patches of 2 x 2 pixels through random circuits, whose <Z> are the channels of a picture; a CNN behind.

    A pixel ``v`` between 0 and 1 enters as RY(pi v); the circuit's strongly entangling layers have random weights that
    are never trained, so the filtered pictures are computed once. Behind them: 3 x 3 convolutions to ``channels``
    channels, ReLU, pooling of 2 x 2, a linear layer.

    The source draws the gates of a filter at random too; here their kinds are fixed and their angles random, so that
    a model file says all of a filter.

    Args:
        n_filters: random circuits, each of which gives four channels.
        layers: strongly entangling layers of each.
        channels: of the trained convolution.
        picture_shape: height and width; None for square pictures.
        classical: True puts as many random classical parameters in the circuits' place: the classical twin.

    Other arguments and attributes: see `VariationalClassifier` and `FamilyClassifier`.

    Cost: ``n_filters * (height - 1) * (width - 1)`` runs of four qubits for each picture, once.
    Source: Henderson et al. 2019, arXiv 1904.04767, sec. II and III.
    """

    family: ClassVar[str] = "quanvolution"

    scaling: str = "none"
    epochs: int = 100
    max_steps: int | None = None
    patience: int = 20
    refit: bool = False
    n_filters: int = 2
    layers: int = 2
    channels: int = 16
    picture_shape: tuple[int, int] | None = None
    classical: bool = False

    def _check_hyperparameters(self) -> None:
        super()._check_hyperparameters()
        for name, most in (("n_filters", 1000), ("layers", 1000), ("channels", 1000)):
            self._check_whole(name, 1, most)

    def _network(self, shape: NetworkShape) -> nn.Module:
        filters = _Filters(self, picture_shape(shape.n_columns, self.picture_shape))
        return _Quanvolutional(filters, _head(filters.shape, self.channels, shape.n_classes))

    def _prepared(self, network: nn.Module, rows: Tensor) -> tuple[nn.Module, Tensor]:
        """The filtered pictures are the same in every epoch, so only the head trains, on them."""
        scale = network.get_submodule("filters.pictures")
        if isinstance(scale, PictureInput):
            scale.learn(rows)
        return network.get_submodule("head"), self._features(network, rows)

    def _features(self, network: nn.Module, rows: Tensor) -> Tensor:
        filters = network.get_submodule("filters")
        with torch.no_grad():
            return torch.cat([filters(part) for part in torch.split(rows, 256)])


class _Filters(nn.Module):
    """(batch, height * width) -> (batch, 4 * n_filters, height - 1, width - 1)."""

    def __init__(self, family: QuanvolutionalClassifier, shape: tuple[int, int]) -> None:
        super().__init__()
        self.pictures = PictureInput(shape, span=True)
        block = build_block(_PATCH**2, "angle", "strongly_entangling", family.layers, entangle=not family.separable)
        self.layers = nn.ModuleList(family._layer(block) for _ in range(family.n_filters))
        for parameter in self.layers.parameters():
            parameter.requires_grad_(False)
        self.shape = (block.n_outputs * family.n_filters, shape[0] - _PATCH + 1, shape[1] - _PATCH + 1)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, height * width) -> (batch, 4 * n_filters, height - 1, width - 1)."""
        patches = nn.functional.unfold(self.pictures(rows), _PATCH)  # (batch, 4, n_places)
        angles = (patches.transpose(1, 2) * math.pi).flatten(0, 1)  # (batch * n_places, 4)
        found = torch.cat([layer(angles) for layer in self.layers], dim=1)  # (batch * n_places, 4 * n_filters)
        by_place = found.reshape(-1, self.shape[1] * self.shape[2], self.shape[0])  # (batch, n_places, 4 * n_filters)
        return by_place.transpose(1, 2).reshape(-1, *self.shape)


class _Quanvolutional(nn.Module):
    def __init__(self, filters: _Filters, head: nn.Module) -> None:
        super().__init__()
        self.filters, self.head = filters, head

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, height * width) -> (batch, n_classes)."""
        scores: Tensor = self.head(self.filters(rows))
        return scores


def _head(shape: tuple[int, int, int], channels: int, n_classes: int) -> nn.Sequential:
    """(batch, *shape) -> (batch, n_classes)."""
    n_left = channels * (-(-shape[1] // 2)) * (-(-shape[2] // 2))
    return nn.Sequential(
        nn.Conv2d(shape[0], channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(n_left, n_classes),
    )
