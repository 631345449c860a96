"""Classes parted by surfaces: one plane, several planes, a hidden manifold; and two curves side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from superpose.datasets.generated.parts import Labels, Rows, at_least
from superpose.errors import RequestError

__all__ = [
    "Draws",
    "along_curves",
    "draw_hidden_manifold",
    "draw_hyperplanes",
    "draw_linearly_separable",
    "hidden_manifold",
    "hyperplanes_parity",
    "linearly_separable",
    "two_curves",
]

Draws = np.random.Generator | np.random.RandomState
"""Where random numbers come from; the makers' own are the former, published draws the latter."""

_POINTS_PER_ROW = 4
"""Of so many points per row wanted, half a row's worth must lie in each class, or the planes are drawn anew."""


def linearly_separable(
    n_rows: int, n_features: int, *, margin: float | None = None, seed: int = 0
) -> tuple[Rows, Labels]:
    """Points of the cube ``[-1, 1]^n_features``, parted by the plane whose normal is (1, ..., 1).

    Uniform in the cube without the slab ``|sum(x)| <= margin``; -1 where the sum is positive, else 1.

    Args:
        n_rows: rows.
        n_features: columns.
        margin: half the slab's width, times ``sqrt(n_features)``; by default 0.02 per feature, as published.
        seed: of the points.

    Raises:
        RequestError: fewer than one row or feature, or a margin that leaves nothing of the cube.

    Source: arXiv 2403.07059, LINEARLY SEPARABLE.
    """
    at_least(1, n_rows=n_rows, n_features=n_features)
    width = 0.02 * n_features if margin is None else margin
    if not 0.0 <= width <= 0.5 * n_features:
        raise RequestError(f"margin must be from 0 to half of n_features, got {width}", field="margin")
    return draw_linearly_separable(np.random.default_rng([seed, 1]), n_rows, n_features, width)


def draw_linearly_separable(rng: Draws, n_rows: int, n_features: int, margin: float) -> tuple[Rows, Labels]:
    """`linearly_separable` of these random numbers."""
    kept = np.empty((0, n_features))
    while len(kept) < n_rows:
        drawn = rng.uniform(-1.0, 1.0, (2 * n_rows, n_features))
        kept = np.concatenate([kept, drawn[np.abs(drawn.sum(axis=1)) > margin]])
    rows = kept[:n_rows]
    return rows, _signs(rows.sum(axis=1) <= 0.0)


def hidden_manifold(n_rows: int, n_features: int, *, manifold_dimension: int = 6, seed: int = 0) -> tuple[Rows, Labels]:
    """Points of a low-dimensional manifold bent into ``n_features`` dimensions, labelled by a network on the manifold.

    With ``c`` normal in ``manifold_dimension`` dimensions and random normal ``F``, ``W``, ``v``: rows are
    ``tanh(c F / sqrt(manifold_dimension) - b)``, ``b`` uniform in [-1, 1]; labels say whether
    ``v . tanh(W c) / sqrt(manifold_dimension)`` is below its median (-1) or not (1), so that classes are balanced.

    Args:
        n_rows: rows, an even number.
        n_features: columns.
        manifold_dimension: dimensions of the manifold.
        seed: of everything.

    Raises:
        RequestError: an odd number of rows, or a size below one.

    Source: Goldt et al. 2020, Phys. Rev. X 10, 041044; arXiv 2403.07059, HIDDEN MANIFOLD.
    """
    at_least(1, n_features=n_features, manifold_dimension=manifold_dimension)
    _even(n_rows)
    return draw_hidden_manifold(np.random.default_rng([seed, 2]), n_rows, n_features, manifold_dimension)


def draw_hidden_manifold(rng: Draws, n_rows: int, n_features: int, manifold_dimension: int) -> tuple[Rows, Labels]:
    """`hidden_manifold` of these random numbers."""
    root = np.sqrt(manifold_dimension)
    embedding = rng.normal(size=(manifold_dimension, n_features))
    inner = rng.normal(size=(n_rows, manifold_dimension))
    biases = rng.uniform(-1.0, 1.0, n_features)
    rows = np.tanh(inner @ embedding / root - biases)
    weights = rng.normal(size=(manifold_dimension, manifold_dimension))
    outer = rng.normal(size=manifold_dimension)
    scores = np.tanh(inner @ weights.T) @ outer / root  # (n_rows,)
    return rows, _signs(scores >= np.median(scores))


def hyperplanes_parity(
    n_rows: int, n_features: int, *, n_hyperplanes: int, plane_dimension: int = 3, seed: int = 0
) -> tuple[Rows, Labels]:
    """Points labelled by how many of several planes they lie above: -1 for an even number, 1 for an odd one.

    Points are normal in ``plane_dimension`` dimensions, normals and offsets of the planes uniform in [0, 1]; classes
    are balanced by leaving points out; then a uniform random matrix takes the points to ``n_features`` dimensions, and
    each column is standardised over all rows. Planes that leave a class without enough of four points per row are
    drawn anew.

    Args:
        n_rows: rows, an even number.
        n_features: columns.
        n_hyperplanes: planes.
        plane_dimension: dimensions in which they lie.
        seed: of everything.

    Raises:
        RequestError: an odd number of rows, or a size below one.

    Source: arXiv 2403.07059, HYPERPLANES (its class names are the other way round).
    """
    at_least(1, n_features=n_features, n_hyperplanes=n_hyperplanes, plane_dimension=plane_dimension)
    _even(n_rows)
    return draw_hyperplanes(np.random.default_rng([seed, 3]), n_rows, n_features, n_hyperplanes, plane_dimension)


def draw_hyperplanes(
    rng: Draws, n_rows: int, n_features: int, n_hyperplanes: int, plane_dimension: int
) -> tuple[Rows, Labels]:
    """`hyperplanes_parity` of these random numbers."""
    half = n_rows // 2
    while True:
        normals = rng.uniform(size=(n_hyperplanes, plane_dimension))
        offsets = rng.uniform(size=n_hyperplanes)
        points = rng.normal(size=(_POINTS_PER_ROW * n_rows, plane_dimension))
        odd = (points @ normals.T + offsets > 0.0).sum(axis=1) % 2 == 1  # (4 * n_rows,)
        if min(odd.sum(), (~odd).sum()) >= half:
            break
    chosen = np.concatenate([points[~odd][:half], points[odd][:half]])
    labels = np.repeat(np.array([-1, 1], dtype=np.int64), half)
    return _standardised(chosen @ rng.uniform(size=(plane_dimension, n_features))), labels


def two_curves(
    n_rows: int, n_features: int, *, degree: int = 5, offset: float = 0.1, noise: float = 0.01, seed: int = 0
) -> tuple[Rows, Labels]:
    """Points along a closed-form curve (-1) and along the same curve moved by ``offset`` in every coordinate (1).

    Each coordinate is a Fourier series ``sum_k a_k cos(pi k t) + b_k sin(pi k t)`` up to ``degree``, in ``t`` uniform
    in [0, 1]; its constant term is ``a_0 + b_0``. Coefficients are uniform in [0, 1], all of them together scaled to
    norm 1. Normal noise is added to every coordinate, and each column is standardised over all rows.

    Args:
        n_rows: rows, an even number.
        n_features: columns.
        degree: highest frequency; the more, the more the curve winds.
        offset: distance of the curves in each coordinate, before standardising.
        noise: standard deviation of the noise, before standardising.
        seed: of everything.

    Raises:
        RequestError: an odd number of rows, a size below one, or negative noise.

    Source: Buchanan, Gilboa, Wright 2020, arXiv 2008.11245; arXiv 2403.07059, TWO CURVES.
    """
    at_least(1, n_features=n_features, degree=degree)
    _even(n_rows)
    if noise < 0.0:
        raise RequestError(f"noise must not be negative, got {noise}", field="noise")
    rng = np.random.default_rng([seed, 4])
    coefficients = rng.uniform(size=(2, n_features, degree + 1))
    coefficients /= np.linalg.norm(coefficients)
    places = rng.uniform(size=n_rows)
    return along_curves(coefficients, places, rng.normal(scale=noise, size=(n_rows, n_features)), offset)


def along_curves(coefficients: Rows, places: Rows, noise: Rows, offset: float) -> tuple[Rows, Labels]:
    """Points of a curve, the second half of them moved by ``offset``; each column standardised.

    Args:
        coefficients: of cosines and sines, ``(2, n_features, degree + 1)``.
        places: ``t`` of each row, ``(n_rows,)``.
        noise: ``(n_rows, n_features)``.
        offset: of the second curve.
    """
    n_rows = len(places)
    phases = np.pi * places[:, None] * np.arange(1, coefficients.shape[2])  # (n_rows, degree)
    curve = np.cos(phases) @ coefficients[0, :, 1:].T + np.sin(phases) @ coefficients[1, :, 1:].T
    rows = curve + coefficients[:, :, 0].sum(axis=0) + noise
    labels = np.repeat(np.array([-1, 1], dtype=np.int64), n_rows // 2)
    return _standardised(rows + offset * (labels == 1)[:, None]), labels


def _even(n_rows: int) -> None:
    at_least(2, n_rows=n_rows)
    if n_rows % 2:
        raise RequestError(f"n_rows must be even, so that classes can be balanced; got {n_rows}", field="n_rows")


def _signs(positive: NDArray[np.bool_]) -> Labels:
    return np.where(positive, 1, -1).astype(np.int64)


def _standardised(rows: Rows) -> Rows:
    """Mean 0 and standard deviation 1 in each column."""
    centred = rows - rows.mean(axis=0)
    standardised: Rows = centred / centred.std(axis=0)
    return standardised
