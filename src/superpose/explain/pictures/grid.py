"""Which columns of a model are which pixels of an image."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from superpose.datasets.image_reader import IMAGE_MODES
from superpose.errors import ExplanationError

if TYPE_CHECKING:
    from superpose.learning.preprocessing import Preprocessor

__all__ = ["ImageGrid", "image_grid", "named_image_grid"]

_CHANNELS = {channel for channels in IMAGE_MODES.values() for channel in channels}
_NAME = re.compile(rf"({'|'.join(sorted(_CHANNELS))})_(\d+)_(\d+)")
_LARGEST = 1024
_WITHOUT = "leave the picture out (--png, or picture in a request), since attributions by column need none"


@dataclass(frozen=True, eq=False)
class ImageGrid:
    """The pixels of an image among the encoded columns.

    Attributes:
        places: of each pixel's encoded column, ``(n_channels, height, width)``, 1 or 3 channels.
        centre, scale: of those columns, so that a pixel is ``encoded * scale + centre``; of the same shape.
    """

    places: NDArray[np.intp]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.places.shape[1]), int(self.places.shape[2])

    def pixels(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels ``(n_rows, n_channels, height, width)`` of encoded rows, as they were given."""
        found: NDArray[np.float64] = encoded[:, self.places] * self.scale + self.centre
        return found


def image_grid(preprocessor: Preprocessor, shape: tuple[int, int] | None = None) -> ImageGrid:
    """The grid of a model whose columns are pixels.

    Columns of image data sets say by their names where they stand (``grey_03_17``). Others must be all numbers, channel
    after channel and row after row, as an image is flattened; without ``shape`` the image is square.

    Args:
        preprocessor: of the model.
        shape: height and width.

    Raises:
        ExplanationError: the columns are no image, or one of another shape.
    """
    columns = preprocessor.columns
    n_columns = len(columns.names)
    named = [_NAME.fullmatch(name) for name in columns.names]
    if columns.categories:
        raise ExplanationError(f"The model's columns are no pixels: some hold categories; {_WITHOUT}.")
    if all(named):
        spots = [(match[1], int(match[2]), int(match[3])) for match in named if match]
        places = _from_names(spots)
        if shape is not None and places.shape[1:] != tuple(shape):
            raise ExplanationError(
                f"The images are {places.shape[1]} x {places.shape[2]} pixels, not {shape[0]} x {shape[1]}."
            )
    else:
        places = _flattened(n_columns, shape)
    return ImageGrid(places, preprocessor.centre[places], preprocessor.scale[places])


def named_image_grid(preprocessor: Preprocessor) -> ImageGrid:
    """As `image_grid`, of columns that say by their names which pixels they are; others are not guessed to be any.

    Raises:
        ExplanationError: their names do not say so.
    """
    if not all(_NAME.fullmatch(name) for name in preprocessor.columns.names):
        raise ExplanationError("The model's columns do not say by their names that they are pixels.")
    return image_grid(preprocessor)


def _from_names(spots: list[tuple[str, int, int]]) -> NDArray[np.intp]:
    found = list(dict.fromkeys(channel for channel, _, _ in spots))
    channels = next((list(names) for names in IMAGE_MODES.values() if set(names) == set(found)), found)
    height, width = max(row for _, row, _ in spots) + 1, max(column for _, _, column in spots) + 1
    if len(set(spots)) < len(spots) or len(channels) * height * width != len(spots):
        raise ExplanationError(
            "The model's columns are pixels, but not all of an image, or some twice: some were left out of training.",
            missing=len(channels) * height * width - len(set(spots)),
        )
    places = np.full((len(channels), height, width), -1, dtype=np.intp)
    for place, (channel, row, column) in enumerate(spots):
        places[channels.index(channel), row, column] = place
    if len(channels) not in (1, 3):
        raise ExplanationError(
            f"The model's columns are pixels of {len(channels)} channels; images of 1 or 3 are drawn."
        )
    return places


def _flattened(n_columns: int, shape: tuple[int, int] | None) -> NDArray[np.intp]:
    for n_channels in (1, 3):
        side = math.isqrt(n_columns // n_channels)
        height, width = shape or (side, side)
        fits = n_channels * height * width == n_columns and 1 < height <= _LARGEST and 1 < width <= _LARGEST
        if fits:
            return np.arange(n_columns, dtype=np.intp).reshape(n_channels, height, width)
    said = f"{shape[0]} x {shape[1]}" if shape else "square"
    raise ExplanationError(
        f"The model's {n_columns} columns are no {said} image of 1 or 3 channels. If they are pixels, name "
        f"height and width; if not, {_WITHOUT}."
    )
