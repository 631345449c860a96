"""Several networks in one, which differ by their seeds alone, and whose scores are averaged."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from superpose.learning.templates.pneumonia.networks import PictureClassifier, mean_of

__all__ = ["AveragedClassifiers", "averaged", "member_seeds", "members_of"]


class AveragedClassifiers(nn.Module):
    """The mean of the scores of several networks for the same pictures.

    Args:
        members: the networks, for pictures of one side; at least one.
    """

    def __init__(self, members: Sequence[PictureClassifier]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.side = members[0].side

    def n_at_once(self) -> int:
        """As of one of the members: they predict one after another."""
        return self.members[0].n_at_once()  # type: ignore[operator,no-any-return]  # torch's type is wider

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores ``(batch, 2)`` of pixels ``(batch, side * side)``."""
        return mean_of([member(pixels) for member in self.members])


def member_seeds(n_members: int, seed: int) -> range:
    """The seeds of the members of the network of a seed; no two networks share one."""
    return range(n_members * seed, n_members * (seed + 1))


def members_of(network: PictureClassifier | AveragedClassifiers) -> list[PictureClassifier]:
    """The members of a network: itself where it is one."""
    if isinstance(network, AveragedClassifiers):
        return list(network.members)  # type: ignore[arg-type]  # torch's type of a list's modules is wider
    return [network]


def averaged(members: Sequence[PictureClassifier]) -> PictureClassifier | AveragedClassifiers:
    """One network that gives the mean of the members' scores: the member itself where there is one."""
    return members[0] if len(members) == 1 else AveragedClassifiers(members).eval()
