"""Small pictures made by rule."""

from __future__ import annotations

import numpy as np

from superpose.datasets.generated.parts import Labels, Rows, at_least
from superpose.errors import RequestError

__all__ = ["bars_and_stripes"]


def bars_and_stripes(
    n_rows: int, height: int, width: int | None = None, *, noise: float = 0.5, seed: int = 0
) -> tuple[Rows, Labels]:
    """Pictures of vertical bars (-1) or horizontal stripes (1) with noise, a picture a row.

    A picture is of either kind with probability 1/2; each of its columns (or lines) is lit, 1, with probability 1/2,
    the rest is -1; normal noise is added to every pixel. A picture with nothing or everything lit may be of either
    kind, so that no classifier can be right in more than ``1 - 2**-max(height, width)`` of cases.

    Args:
        n_rows: pictures.
        height: pixels from top to bottom.
        width: pixels from left to right; by default as high.
        noise: standard deviation of the noise.
        seed: of everything.

    Returns:
        rows ``(n_rows, height * width)``, line after line, and labels ``(n_rows,)``.

    Raises:
        RequestError: a size below one, or negative noise.

    Source: arXiv 2403.07059, BARS & STRIPES.
    """
    columns = height if width is None else width
    at_least(1, n_rows=n_rows, height=height, width=columns)
    if noise < 0.0:
        raise RequestError(f"noise must not be negative, got {noise}", field="noise")
    rng = np.random.default_rng([seed, 5])
    stripes = rng.uniform(size=n_rows) > 0.5
    lines = np.where(rng.uniform(size=(n_rows, height, 1)) > 0.5, 1.0, -1.0)
    bars = np.where(rng.uniform(size=(n_rows, 1, columns)) > 0.5, 1.0, -1.0)
    shape = (n_rows, height, columns)
    pictures = np.where(stripes[:, None, None], np.broadcast_to(lines, shape), np.broadcast_to(bars, shape))
    pictures = pictures + rng.normal(scale=noise, size=shape)
    return pictures.reshape(n_rows, -1), np.where(stripes, 1, -1).astype(np.int64)
