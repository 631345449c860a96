"""Runs: rotations that follow one another and are all diagonal, so that they commute, or none of them."""

from __future__ import annotations

from superpose.engine.passes.form import Rotation

__all__ = ["Run"]


class Run:
    """A growing run.

    Attributes:
        diagonal: Whether it is one of diagonal rotations.
        items: The rotations.
        all_x, all_z: Unions of their masks.
    """

    __slots__ = ("all_x", "all_z", "diagonal", "items")

    def __init__(self, *, diagonal: bool) -> None:
        self.diagonal = diagonal
        self.items: list[Rotation] = []
        self.all_x = self.all_z = 0

    def add(self, rotation: Rotation) -> None:
        """Append a rotation, diagonal or not as the run is."""
        self.items.append(rotation)
        self.all_x |= rotation[0]
        self.all_z |= rotation[1]

    def lets_pass(self, x: int, z: int, behind: int = -1) -> bool:
        """Return whether a rotation with these masks commutes with all items, or with those behind a place."""
        if not (x & self.all_z or z & self.all_x):
            return True
        for k in range(len(self.items) - 1, behind, -1):  # the latest first: they are the likeliest
            x2, z2, _ = self.items[k]
            if ((x & z2).bit_count() ^ (z & x2).bit_count()) & 1:
                return False
        return True
