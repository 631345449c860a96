"""Logits of networks for the same pictures, which those that stand on the same convolutions see once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from superpose.learning.templates.pneumonia.members import AveragedClassifiers, members_of
from superpose.learning.templates.pneumonia.networks import PictureClassifier, mean_of

__all__ = ["SharedConvolutions"]


class SharedConvolutions:
    """Logits of one network after another for the same pictures; equal convolutions in succession see them once.

    A hybrid model of several members and heads trained alone behind it differ in what comes after their features. Asked
    for one after another, all but the first are heads applied to features that are there. What made the features is
    compared by its numbers, so a network with convolutions of its own is judged by these, wherever it comes from.

    Args:
        pixels: of the pictures, ``(n_pictures, side * side)``, 0 .. 1.

    Cost: in memory the features that the last network had, float32 ``(members, views, n_pictures, n_features)``, and a
    copy of its convolutions; in time that of heads where these are equal to the last network's.
    """

    def __init__(self, pixels: NDArray[np.float32]) -> None:
        self._pixels = pixels
        self._convolutions: list[_Convolutions] = []
        self._features: list[list[list[Tensor]]] = []  # of each few pictures, for each member, of each view

    def logits(self, network: PictureClassifier | AveragedClassifiers) -> NDArray[np.float64]:
        """Logits of the second class against the first, ``(n_pictures,)``, to the last digit what the network gives."""
        members = members_of(network.eval())
        with torch.no_grad():
            if not self._are_of(members):
                self._features = list(self._convolved(members, network.n_at_once()))
                self._convolutions = [_Convolutions.of(member) for member in members]
            scores = [
                mean_of([member.mean_scores(own) for member, own in zip(members, few, strict=True)])
                for few in self._features
            ]
        return np.concatenate([np.empty(0), *((one[:, 1] - one[:, 0]).double().numpy() for one in scores)])

    def _are_of(self, members: list[PictureClassifier]) -> bool:
        """Whether the features that are there are those of the members."""
        return len(members) == len(self._convolutions) and all(
            own.are_of(member) for own, member in zip(self._convolutions, members, strict=True)
        )

    def _convolved(self, members: list[PictureClassifier], n_at_once: int) -> Iterator[list[list[Tensor]]]:
        for start in range(0, len(self._pixels), n_at_once):
            pixels = torch.from_numpy(self._pixels[start : start + n_at_once])
            yield [member.view_features(pixels.reshape(-1, 1, member.side, member.side)) for member in members]


@dataclass(frozen=True, eq=False)
class _Convolutions:
    """What of a network makes features of pictures, as it is now.

    Attributes:
        views: side of the pictures, and which views there are of each.
        numbers: weights and statistics of the convolutions by name.
    """

    views: tuple[int, bool, bool, bool]
    numbers: dict[str, Tensor]

    @classmethod
    def of(cls, network: PictureClassifier) -> _Convolutions:
        return cls(_views(network), {name: value.clone() for name, value in network.features.state_dict().items()})

    def are_of(self, network: PictureClassifier) -> bool:
        found = network.features.state_dict()
        same_names = self.views == _views(network) and self.numbers.keys() == found.keys()
        return same_names and all(torch.equal(value, found[name]) for name, value in self.numbers.items())


def _views(network: PictureClassifier) -> tuple[int, bool, bool, bool]:
    return network.side, network.shifts, network.flips, network.zooms is not None
