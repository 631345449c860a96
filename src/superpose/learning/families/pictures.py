"""What the families for pictures share: the shape of a picture, and its values brought to one scale."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from superpose.errors import SpecError

__all__ = ["PictureInput", "picture_shape"]


def picture_shape(n_columns: int, given: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width of pictures of ``n_columns`` values; square unless given.

    Raises:
        SpecError: the shape does not hold as many values, or is smaller than 2 x 2.
    """
    side = math.isqrt(n_columns)
    pair = isinstance(given, tuple | list) and len(given) == 2
    if given is not None and not (pair and all(isinstance(n, int | np.integer) for n in given)):
        raise SpecError(f"must be two whole numbers, (height, width), or None, got {given!r}", "picture_shape")
    if given is None and (side * side != n_columns or side < 2):
        raise SpecError(
            f"rows of {n_columns} columns are no square pictures of at least 2 x 2; give picture_shape=(height, width)",
            "picture_shape",
        )
    height, width = (side, side) if given is None else given
    if height * width != n_columns or min(height, width) < 2:
        raise SpecError(
            f"must be (height, width) of at least 2 x 2 with {n_columns} values, got {given}", "picture_shape"
        )
    return int(height), int(width)


class PictureInput(nn.Module):
    """Rows ``(batch, height * width)`` as pictures ``(batch, 1, height, width)``, all values on one learnt scale.

    One scale for all pixels, since a filter passes over all of them: mean 0 and deviation 1, or the span 0 .. 1.
    """

    def __init__(self, shape: tuple[int, int], *, span: bool) -> None:
        super().__init__()
        self.shape, self.span = shape, span
        self.register_buffer("centre", torch.zeros(1))
        self.register_buffer("width", torch.ones(1))

    def learn(self, rows: Tensor) -> None:
        """Learn the scale from training rows."""
        low, high = (rows.min(), rows.max()) if self.span else (rows.mean(), rows.mean() + rows.std())
        width = high - low
        self.get_buffer("centre").copy_(low)
        self.get_buffer("width").copy_(width if width > 0 else torch.ones_like(width))

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, height * width) -> (batch, 1, height, width)."""
        scaled = (rows - self.get_buffer("centre")) / self.get_buffer("width")
        kept = scaled.clamp(0.0, 1.0) if self.span else scaled
        return kept.reshape(-1, 1, *self.shape)
