"""The deletion test for pixels: does the probability fall as fast as a map says?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.explain.pictures.grid import image_grid
from superpose.explain.pictures.maps import PixelMaps

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["pixel_deletion_areas"]

Floats = NDArray[np.float64]


def pixel_deletion_areas(
    predictor: Predictor, rows: Any, found: PixelMaps, orders: list[NDArray[np.integer]], *, n_steps: int = 28
) -> Floats:
    """Mean probability while pixels take their typical values, a share of them at each step.

    Args:
        predictor: the model that was mapped.
        rows: the images that were.
        found: whose classes count; ``np.argsort(-found.maps.reshape(n_rows, -1), axis=1)`` is the order of a map.
        orders: of pixels, counted row after row, each ``(n_rows, height * width)``.
        n_steps: steps until all pixels are typical.

    Returns:
        ``(n_orders, n_rows)``: the smaller, the better the order knew what the prediction stands on.

    Source: Petsiuk, Das and Saenko, BMVC 2018, arXiv 1806.07421.
    """
    grid = image_grid(predictor.model.preprocessor, found.maps.shape[1:])  # type: ignore[arg-type]  # it is a pair
    encoded = predictor.encode(rows)
    labels = [str(label) for label in predictor.classes]
    places = np.array([labels.index(str(label)) for label in found.classes], dtype=np.intp)
    typical, flat = predictor.model.preprocessor.typical, grid.places.reshape(len(grid.places), -1)
    every = np.arange(len(encoded))
    areas = np.zeros((len(orders), len(encoded)))
    for number, order in enumerate(orders):
        left = encoded.copy()
        steps = [predictor.model.probabilities(left)[every, places]]
        for pixels in np.array_split(order, n_steps, axis=1):  # (n_rows, some)
            for columns in flat[:, pixels]:  # of each channel
                left[every[:, None], columns] = typical[columns]
            steps.append(predictor.model.probabilities(left)[every, places])
        areas[number] = np.mean(steps, axis=0)
    return areas
