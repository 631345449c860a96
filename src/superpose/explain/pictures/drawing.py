"""Maps as PNG files: the image, and beside it the image under its map. Needs Matplotlib and no display."""

from __future__ import annotations

import importlib.util
import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from superpose.errors import ExtraMissingError
from superpose.explain.pictures.maps import PixelMaps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_pictures"]

_LEGENDS = {
    "class_activation": "class activation, share of the largest",
    "attribution": "attribution, units of probability",
    "occlusion": "fall of probability when hidden",
}
_WHITES = (1.0, 16.0, 255.0)
"""Values that white may have: shares, 4 bits as scikit-learn's digits have them, 8 bits."""
_WIDTH, _HEIGHT, _DPI = 6.8, 3.3, 100
"""Inches and dots: a picture has 680 x 330 pixels, whatever the image has, and well below a megabyte."""


def draw_pictures(found: PixelMaps) -> list[bytes]:
    """One PNG for each image of ``found``, equal bytes for equal maps.

    Red speaks for the class, blue against it; a class activation is only what speaks for it, from dark to bright.

    Raises:
        ExtraMissingError: Matplotlib is not installed.

    Cost: some 0.2 s a picture.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ExtraMissingError("Pictures need Matplotlib: pip install 'superpose[plots]'", extra="plots")
    return [_drawn(found, place) for place in range(len(found.maps))]


def _drawn(found: PixelMaps, place: int) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, layout="constrained")
    _draw(figure, found, place)
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # boxes stand for them
        figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()


def _draw(figure: Figure, found: PixelMaps, place: int) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    signed = found.kind != "class_activation"
    image, heat = _shown(found.images[place]), found.maps[place]
    top = float(np.abs(heat).max()) or 1.0
    if not signed:
        heat, top = heat / top, 1.0
    norm = Normalize(-top if signed else 0.0, top)
    colours = colormaps["RdBu_r" if signed else "inferno"]
    left, right = figure.subplots(1, 2)
    grey = {"cmap": "gray", "vmin": 0.0, "vmax": 1.0} if image.ndim == 2 else {}
    for axes in (left, right):
        axes.imshow(image, interpolation="nearest", **grey)
        axes.set_axis_off()
    smooth = "bilinear" if found.kind == "class_activation" else "nearest"
    covering = 0.75 * np.clip(np.abs(heat) / top, 0.0, 1.0) ** 0.5  # what is 0 leaves the image as it is
    right.imshow(heat, cmap=colours, norm=norm, alpha=covering, interpolation=smooth)
    label, share = _short(str(found.classes[place])), found.probabilities[place]
    left.set_title("image", fontsize=10)
    right.set_title(f"what spoke for {label} ({share:.3f})", fontsize=10, parse_math=False)
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=right, fraction=0.046)
    bar.set_label(_LEGENDS[found.kind], fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _shown(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels ``(n_channels, height, width)`` from 0 to 1, one channel without its axis, three behind the others."""
    low, high = min(0.0, float(pixels.min())), float(pixels.max())
    top = next((white for white in _WHITES if high <= white), high)
    scaled: NDArray[np.float64] = np.clip((pixels - low) / ((top - low) or 1.0), 0.0, 1.0)
    return scaled[0] if len(scaled) == 1 else scaled.transpose(1, 2, 0)


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:23]}…"
