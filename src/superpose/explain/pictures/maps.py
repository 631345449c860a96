"""Maps of an image's pixels: how much each one, or the region around it, moved the prediction.

- ``class_activation``: gradient-weighted class activation (Grad-CAM) of the last convolution of a user's module that
  still has a plane: its channels, weighed by the mean gradient of the class's log odds, summed, and only what speaks
  for the class kept; drawn where its cells look, linear between the middles of what they see. Where branches have one
  each, as the members of an averaged network, theirs are summed. Source: Selvaraju et al., ICCV 2017, arXiv 1610.02391.
- ``attribution``: integrated gradients of each pixel (see `superpose.explain.attributions`), summed over its channels.
- ``occlusion``: how much the probability falls when a square around the pixel takes the typical pixels, mean over the
  squares that cover it. Takes any model. Source: Zeiler and Fergus, ECCV 2014, arXiv 1311.2901.

As elsewhere it is the model's own probability, before calibration: an isotonic curve has plateaus, on which nothing
would fall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import ExplanationError
from superpose.explain.attributions import Look, attribute_watched
from superpose.explain.pictures.class_activation import class_activations, last_convolutions
from superpose.explain.pictures.grid import ImageGrid, image_grid
from superpose.explain.pictures.plane import Axis, laid_on
from superpose.learning.modules.model import ModuleModel

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["KINDS", "PixelMaps", "pixel_maps"]

Floats = NDArray[np.float64]

KINDS = ("class_activation", "attribution", "occlusion")
"""Kinds of maps, in the order in which "auto" takes the first that a model allows."""

_SQUARES = 7
"""Squares that an image is wide."""

_ROWS, _ELEMENTS = 2_048, 2**22
"""Hidden images, and values in them, that are predicted at once; those of one image together in any case."""


@dataclass(frozen=True, eq=False)
class PixelMaps:
    """A map for each image.

    Attributes:
        kind: one of `KINDS`.
        classes: whose probability each map speaks of.
        probabilities: of that class, calibrated where the model is, ``(n_rows,)``.
        maps: ``(n_rows, height, width)``; units of probability before calibration for attribution and occlusion, else
            without a unit.
        images: the pixels, ``(n_rows, n_channels, height, width)``.
        layer: the convolution that a class activation is of, by its name in the module's graph, or several with commas
            between; else None.
    """

    kind: str
    classes: tuple[Any, ...]
    probabilities: Floats
    maps: Floats
    images: Floats
    layer: str | None = None


def pixel_maps(
    predictor: Predictor,
    rows: Any,
    *,
    kind: str = "auto",
    of_class: Any = None,
    shape: tuple[int, int] | None = None,
    look: Look | None = None,
) -> PixelMaps:
    """Map what moved the predictions of images.

    Args:
        predictor: a loaded model whose columns are pixels.
        rows: whatever `Predictor.predict_proba` takes.
        kind: one of `KINDS`, or "auto": the first of them that the model allows.
        of_class: whose probability is mapped; by default each row's own prediction.
        shape: height and width, where the columns' names do not tell and the image is not square.
        look: called again and again meanwhile; what it raises ends the work.

    Raises:
        ExplanationError: the columns are no image, no such kind or class, or the model does not allow the kind.
        FeatureMismatchError: the rows do not fit the model.

    Cost: one run with gradients for class activations, 16 and more for attributions; 170 predictions for occlusion.
    """
    grid = image_grid(predictor.model.preprocessor, shape)
    layers = _convolutions(predictor.model, grid) if kind in ("auto", "class_activation") else {}
    if kind == "auto":
        graded = hasattr(predictor.model, "probability_gradients")
        kind = "class_activation" if layers else "attribution" if graded else "occlusion"
    if kind not in KINDS:
        raise ExplanationError(f"No kind of picture {str(kind)[:40]!r}; there are auto, {', '.join(KINDS)}.", kind=kind)
    if kind == "class_activation" and not layers:
        raise ExplanationError(
            "This model has no convolution over a plane that lies on the picture, so there is no class activation; "
            "take attribution or occlusion.",
            kind=kind,
        )
    encoded = predictor.encode(rows)
    shares = predictor.predict_encoded(encoded)
    places = _places(predictor, shares, of_class)
    found: Floats
    if kind == "attribution":
        values = attribute_watched(
            predictor, rows, "integrated_gradients", look=look, of_class=of_class
        ).values  # (n_rows, n_columns)
        found = values[:, grid.places].sum(axis=1)
    elif isinstance(predictor.model, ModuleModel) and layers:
        found = class_activations(predictor.model, encoded, places, layers, grid.shape)
    else:
        found = _occlusion(predictor, encoded, places, grid, look)
    return PixelMaps(
        kind=kind,
        classes=tuple(predictor.classes[place] for place in places),
        probabilities=shares[np.arange(len(places)), places],
        maps=found,
        images=grid.pixels(encoded),
        layer=", ".join(layers) or None,
    )


def _convolutions(model: Any, grid: ImageGrid) -> dict[str, tuple[Axis, Axis]]:
    """The last convolutions over planes, and where these lie on the picture; none where one does not lie there."""
    found = {}
    for name, plane in last_convolutions(model).items():
        axes = laid_on(model, name, grid, plane)
        if axes is None:
            return {}
        found[name] = axes
    return found


def _places(predictor: Predictor, shares: Floats, of_class: Any) -> NDArray[np.intp]:
    if of_class is None:
        return np.asarray(shares.argmax(axis=1), dtype=np.intp)
    labels = [str(label) for label in predictor.classes]
    if str(of_class) not in labels:
        raise ExplanationError(
            f"The model has no class {str(of_class)[:80]!r}; its classes are {', '.join(labels[:20])}.",
            allowed=labels[:20],
        )
    return np.full(len(shares), labels.index(str(of_class)), dtype=np.intp)


def _occlusion(
    predictor: Predictor, encoded: Floats, places: NDArray[np.intp], grid: ImageGrid, look: Look | None
) -> Floats:
    """Squares a seventh of the image wide, half a square apart."""
    height, width = grid.shape
    squares = [(y, x) for y in _starts(height) for x in _starts(width)]
    tall, wide = _side(height), _side(width)
    typical = predictor.model.preprocessor.typical
    found, covered = np.zeros((len(encoded), height, width)), np.zeros((height, width))
    for top, left in squares:
        covered[top : top + tall, left : left + wide] += 1.0
    step = max(1, min(_ROWS, _ELEMENTS // encoded.shape[1]) // len(squares))
    for start in range(0, len(encoded), step):
        if look is not None:
            look()
        chunk, own = encoded[start : start + step], places[start : start + step]
        whole = predictor.model.probabilities(chunk)[np.arange(len(chunk)), own]
        hidden = np.repeat(chunk, len(squares), axis=0).reshape(len(chunk), len(squares), -1)
        for place, (top, left) in enumerate(squares):
            under = grid.places[:, top : top + tall, left : left + wide].reshape(-1)
            hidden[:, place, under] = typical[under]
        shares = predictor.model.probabilities(hidden.reshape(-1, chunk.shape[1]))
        shares = shares.reshape(len(chunk), len(squares), -1)
        fall = whole[:, None] - shares[np.arange(len(chunk)), :, own]  # (n_rows, n_squares)
        for place, (top, left) in enumerate(squares):
            found[start : start + step, top : top + tall, left : left + wide] += fall[:, place, None, None]
    return found / covered


def _side(length: int) -> int:
    return max(1, round(length / _SQUARES))


def _starts(length: int) -> list[int]:
    side = _side(length)
    return sorted({*range(0, length - side, max(1, side // 2)), length - side})
