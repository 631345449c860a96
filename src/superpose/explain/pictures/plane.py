"""Where on a picture the cells of a convolution's plane look: the middles of the pixels that can move them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superpose.explain.pictures.grid import ImageGrid
from superpose.learning.modules.model import ModuleModel

__all__ = ["Axis", "laid_on"]

Floats = NDArray[np.float64]
Seen = NDArray[np.bool_]

_LINES, _IMAGES = 7, 4
"""Rows, and columns, of a plane that are looked at, the others lying between them, and noise pictures for each: a unit
that is still on one of them is not on all."""
_STILL = 1e-6
"""A pixel that moves cells by a smaller share than the strongest does not: fast convolutions round."""
_GAP = 7
"""What a line of cells sees may have gaps up to a seventh of the picture, as convolutions with holes leave."""


@dataclass(frozen=True)
class Axis:
    """One direction of a plane on the picture.

    Attributes:
        first: where the middle of what cell 0 sees lies, in pixels.
        step: pixels from one cell to the next.
    """

    first: float
    step: float

    @classmethod
    def spread(cls, n_cells: int, n_pixels: int) -> Axis:
        """Cells side by side over the whole picture, as those of convolutions with padding lie."""
        return cls((n_pixels / n_cells - 1) / 2, n_pixels / n_cells)

    def weights(self, n_cells: int, n_pixels: int) -> Floats:
        """By which cells are drawn on pixels, ``(n_pixels, n_cells)``: linear between middles, level beyond them."""
        places = np.clip((np.arange(n_pixels) - self.first) / self.step, 0, n_cells - 1)
        found: Floats = np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(n_cells)))
        return found


def laid_on(model: ModuleModel, layer: str, grid: ImageGrid, plane: tuple[int, int]) -> tuple[Axis, Axis] | None:
    """Where rows and columns of a layer's plane lie on the picture; None where they do not lie there in their order.

    It is read off which pixels move a row, or a column, of cells, by gradients on noise, and so holds for whatever
    steps come before: convolutions with and without padding, strides, pooling, branches. Where the picture's edges cut
    off what all cells see, nothing tells, and cells are taken to lie side by side over the whole picture.

    Args:
        model: the module.
        layer: a step whose result is ``(batch, n_channels, *plane)``.
        grid: the picture among the columns.
        plane: rows and columns of cells.

    Cost: a run of the module on 56 pictures, with gradients.
    """
    rng = np.random.default_rng(0)
    lines = [np.unique(np.linspace(0, n_cells - 1, _LINES).round().astype(int)) for n_cells in plane]
    owners = np.repeat([0, 1], [len(own) for own in lines])
    weights = np.zeros((len(owners), _IMAGES, *plane))
    for own, axis, line in zip(weights, owners, np.concatenate(lines), strict=True):
        own.swapaxes(1, 1 + axis)[:, line] = rng.normal(size=(_IMAGES, plane[1 - axis]))
    noise = rng.normal(size=(len(owners) * _IMAGES, model.module.n_columns))
    moved = np.abs(model.columns_behind(noise, layer, weights.reshape(-1, *plane)))
    pixels = moved[:, grid.places].sum(axis=1).reshape(len(owners), _IMAGES, *grid.shape).max(axis=1)
    seen = pixels > _STILL * pixels.max(axis=(1, 2), keepdims=True)  # (n_lines, height, width)
    found = [_axis(lines[axis], seen[owners == axis].swapaxes(1, 1 + axis), plane[axis]) for axis in (0, 1)]
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def _axis(lines: NDArray[np.intp], seen: Seen, n_cells: int) -> Axis | None:
    """The straight line through the middles of what ``lines`` see, ``(n_lines, n_pixels, n_along)``, edges left out."""
    n_pixels = seen.shape[1]
    moved = seen.any(axis=(1, 2))
    lines, seen = lines[moved], seen[moved]
    if not len(lines):  # nothing moves them, and nothing will be drawn
        return Axis.spread(n_cells, n_pixels)
    along: Seen = np.any(seen, axis=1)
    across: Seen = np.any(seen, axis=2)
    if (along.sum(axis=1) < along.any(axis=0).sum() / 2).any():  # no line of the picture, as of a plane that is turned
        return None
    if any(np.diff(np.flatnonzero(own)).max(initial=1) > n_pixels / _GAP for own in across):
        return None
    low, high = across.argmax(axis=1), n_pixels - 1 - across[:, ::-1].argmax(axis=1)
    free = np.concatenate([low > low.min(), high < high.max()])  # not cut off by the edge of what all see
    sides = np.repeat([0, 1], len(lines))[free]
    ends, places = np.concatenate([low, high])[free], np.concatenate([lines, lines])[free]
    if len(set(sides)) < 2 or len(set(places)) < 2:
        return Axis.spread(n_cells, n_pixels)
    # the low and the high end of what cell 0 sees, and the step
    known = np.column_stack([sides == 0, sides == 1, places]).astype(np.float64)
    solved, _, rank, _ = np.linalg.lstsq(known, ends.astype(np.float64), rcond=None)
    if rank < 3:
        return Axis.spread(n_cells, n_pixels)
    step = float(solved[2])
    if step <= 0.0 or np.abs(known @ solved - ends).max() > max(1.0, step):
        return None
    return Axis(float(solved[0] + solved[1]) / 2, step)
