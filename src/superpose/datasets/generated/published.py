"""The very data sets of a published comparison, from the seeds that its repository names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from superpose.datasets.generated.digit_pairs import DigitImages, digit_pair_parts, digit_pair_pca_parts
from superpose.datasets.generated.families import DATA_FAMILIES
from superpose.datasets.generated.parts import LabelledParts, Labels, Rows
from superpose.datasets.generated.surfaces import (
    along_curves,
    draw_hidden_manifold,
    draw_hyperplanes,
    draw_linearly_separable,
)
from superpose.errors import RequestError

__all__ = ["published_draw"]

_N_ROWS = 300
_FEATURES = 10
_FROM_2_TO_20 = range(2, 21)
_DIGITS = ("mnist_pca", "mnist_cg")
_STREAMS = {
    "linearly_separable": "planes",
    "hidden_manifold": "manifolds",
    "hidden_manifold_diff": "manifolds",
    "two_curves": "curves",
    "two_curves_diff": "curves",
    "hyperplanes_diff": "parities",
}
"""By family, the sequence of random numbers that its data sets were drawn from, one after the other."""

Drawn = Iterator[tuple[str, int, Rows, Labels]]


def published_draw(family: str, setting: int, *, digits: DigitImages | None = None) -> LabelledParts:
    """One of the data sets on which models were compared in public, number by number.

    So an accuracy here can be held against a published one of the same data set, training part and test part. The
    random numbers are NumPy's legacy ones, which are the same in every release.

    Args:
        family: a name in `DATA_FAMILIES`.
        setting: one of its published settings.
        digits: MNIST with its own test part (`mnist_digits`), for "mnist_pca" and "mnist_cg".

    Raises:
        RequestError: no such family or setting; digits without a test part; or "mnist_pca-", whose published rows
            were drawn without a seed.

    Source: Bowles, Ahmed, Schuld 2024, arXiv 2403.07059; seeds and order of draws of its data repository,
    XanaduAI/qml-benchmarks, whose split is scikit-learn's.
    """
    if family not in DATA_FAMILIES or setting not in DATA_FAMILIES[family].settings:
        allowed = DATA_FAMILIES[family].settings if family in DATA_FAMILIES else tuple(DATA_FAMILIES)
        raise RequestError(
            f"There is no published data set {family!r} of setting {setting!r}; allowed are "
            f"{', '.join(str(value) for value in allowed)}.",
            field="setting" if family in DATA_FAMILIES else "family",
        )
    if family in _STREAMS:
        return _stream(_STREAMS[family])[family, setting]
    if family == "bars_and_stripes":
        return _pictures(setting)
    if family not in _DIGITS:
        raise RequestError(f"The published rows of {family!r} were drawn without a seed; use generate.", field="family")
    if digits is None or digits.test is None:
        raise RequestError(f"{family!r} needs MNIST with its own test part: give digits=mnist_digits(...).")
    return digit_pair_pca_parts(digits, setting) if family == "mnist_pca" else digit_pair_parts(digits, setting)


@cache
def _stream(name: str) -> dict[tuple[str, int], LabelledParts]:
    """All data sets of a sequence of random numbers, each split as soon as it is drawn."""
    seed, drawn = {
        "planes": (42, _planes),
        "manifolds": (3, _manifolds),
        "curves": (3, _curves),
        "parities": (1, _parities),
    }[name]
    rng = np.random.RandomState(seed)
    return {(family, setting): _split(rng, rows, labels) for family, setting, rows, labels in drawn(rng)}


def _split(rng: np.random.RandomState, rows: Rows, labels: Labels) -> LabelledParts:
    """A fifth for testing, the first ones of a permutation, as scikit-learn splits."""
    order, n_test = rng.permutation(len(rows)), len(rows) // 5
    test, train = order[:n_test], order[n_test:]
    return LabelledParts(rows[train], labels[train], rows[test], labels[test])


def _planes(rng: np.random.RandomState) -> Drawn:
    for n_features in _FROM_2_TO_20:
        drawn = draw_linearly_separable(rng, _N_ROWS, n_features, 0.02 * n_features)
        yield "linearly_separable", n_features, *drawn


def _manifolds(rng: np.random.RandomState) -> Drawn:
    for n_features in _FROM_2_TO_20:
        yield "hidden_manifold", n_features, *draw_hidden_manifold(rng, _N_ROWS, n_features, 6)
    for dimension in _FROM_2_TO_20:
        yield "hidden_manifold_diff", dimension, *draw_hidden_manifold(rng, _N_ROWS, _FEATURES, dimension)


def _parities(rng: np.random.RandomState) -> Drawn:
    for n_hyperplanes in _FROM_2_TO_20:
        yield "hyperplanes_diff", n_hyperplanes, *draw_hyperplanes(rng, _N_ROWS, _FEATURES, n_hyperplanes, 3)


def _curves(rng: np.random.RandomState) -> Drawn:
    for n_features in _FROM_2_TO_20:
        yield "two_curves", n_features, *_two_curves(rng, n_features, 5, 0.1)
    for degree in _FROM_2_TO_20:
        yield "two_curves_diff", degree, *_two_curves(rng, _FEATURES, degree, 1.0 / (2 * degree))


def _two_curves(rng: np.random.RandomState, n_features: int, degree: int, offset: float) -> tuple[Rows, Labels]:
    """Each row's place is drawn, then its noise."""
    coefficients = rng.uniform(size=(n_features, degree + 1, 2))
    coefficients /= np.linalg.norm(coefficients)
    places, noise = np.empty(_N_ROWS), np.empty((_N_ROWS, n_features))
    for row in range(_N_ROWS):
        places[row] = rng.uniform()
        noise[row] = rng.normal(scale=0.01, size=n_features)
    return along_curves(coefficients.transpose(2, 0, 1), places, noise, offset)


@cache
def _pictures(height: int) -> LabelledParts:
    """Bars and stripes; each size has the same seed, and the test part follows the training part."""
    rng = np.random.RandomState(42)
    return LabelledParts(*_bars_and_stripes(rng, 1000, height), *_bars_and_stripes(rng, 200, height))


def _bars_and_stripes(rng: np.random.RandomState, n_rows: int, height: int) -> tuple[Rows, Labels]:
    """Each picture's kind is drawn, then its lines, then its noise."""
    pictures, stripes = np.full((n_rows, height, height), -1.0), np.empty(n_rows, dtype=bool)
    for picture, index in zip(pictures, range(n_rows), strict=True):
        stripes[index] = rng.uniform() > 0.5
        lit = rng.uniform(size=height) > 0.5
        picture[(lit, slice(None)) if stripes[index] else (slice(None), lit)] = 1.0
        picture += rng.normal(0.0, 0.5, size=picture.shape)
    return pictures.reshape(n_rows, -1), np.where(stripes, 1, -1).astype(np.int64)
