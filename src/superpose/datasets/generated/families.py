"""The ten families of data sets of a published comparison, with all their settings: 160 data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from superpose.datasets.generated.digit_pairs import (
    DigitImages,
    digit_pair_parts,
    digit_pair_pca_parts,
    shipped_digits,
)
from superpose.datasets.generated.parts import LabelledParts, split_parts
from superpose.datasets.generated.patterns import bars_and_stripes
from superpose.datasets.generated.surfaces import hidden_manifold, hyperplanes_parity, linearly_separable, two_curves
from superpose.errors import RequestError

__all__ = ["DATA_FAMILIES", "DataFamily", "generate"]

_N_ROWS = 300
_FEATURES = 10
_FROM_2_TO_20 = tuple(range(2, 21))
_HEIGHTS = (4, 8, 16, 32)


@dataclass(frozen=True)
class DataFamily:
    """Data sets that differ in one number.

    Attributes:
        name: as published.
        varied: what that number is.
        settings: its published values.
        image_height: pixels of a picture's side by setting, where rows are square pictures; None for tables.
        from_digits: whether it is made from pictures of digits.
    """

    name: str
    varied: str
    settings: tuple[int, ...]
    make: Callable[[int, int, DigitImages | None], LabelledParts]
    image_height: Callable[[int], int] | None = None
    from_digits: bool = False


def generate(family: str, setting: int, *, seed: int = 0, digits: DigitImages | None = None) -> LabelledParts:
    """One data set of a family, in a training and a test part: 240 and 60 rows where the data come by formula.

    Pictures of bars and stripes are 1,000 and 200. Digits are four fifths and one fifth of what ``digits`` has of 3s
    and 5s, or 250 and 250 drawn from them ("mnist_pca-").

    Args:
        family: a name in `DATA_FAMILIES`.
        setting: the number that the family varies; published values are in its ``settings``, others may be given.
        seed: of data and split.
        digits: pictures for the families of digits; by default `shipped_digits`, which are smaller and easier than
            MNIST's.

    Raises:
        RequestError: no family of this name, or a setting that its maker refuses.
    """
    if family not in DATA_FAMILIES:
        raise RequestError(
            f"There is no family of data sets {family!r}; allowed are {', '.join(DATA_FAMILIES)}.",
            field="family",
            allowed=list(DATA_FAMILIES),
        )
    return DATA_FAMILIES[family].make(setting, seed, digits)


def _linearly_separable(n_features: int, seed: int, digits: DigitImages | None) -> LabelledParts:
    return split_parts(*linearly_separable(_N_ROWS, n_features, seed=seed), seed=seed)


def _hidden_manifold(n_features: int, seed: int, digits: DigitImages | None) -> LabelledParts:
    return split_parts(*hidden_manifold(_N_ROWS, n_features, seed=seed), seed=seed)


def _hidden_manifold_diff(dimension: int, seed: int, digits: DigitImages | None) -> LabelledParts:
    return split_parts(*hidden_manifold(_N_ROWS, _FEATURES, manifold_dimension=dimension, seed=seed), seed=seed)


def _two_curves(n_features: int, seed: int, digits: DigitImages | None) -> LabelledParts:
    return split_parts(*two_curves(_N_ROWS, n_features, seed=seed), seed=seed)


def _two_curves_diff(degree: int, seed: int, digits: DigitImages | None) -> LabelledParts:
    rows, labels = two_curves(_N_ROWS, _FEATURES, degree=degree, offset=1.0 / (2 * degree), seed=seed)
    return split_parts(rows, labels, seed=seed)


def _hyperplanes_diff(n_hyperplanes: int, seed: int, digits: DigitImages | None) -> LabelledParts:
    return split_parts(*hyperplanes_parity(_N_ROWS, _FEATURES, n_hyperplanes=n_hyperplanes, seed=seed), seed=seed)


def _bars_and_stripes(height: int, seed: int, digits: DigitImages | None) -> LabelledParts:
    rows, labels = bars_and_stripes(1200, height, seed=seed)
    return LabelledParts(rows[:1000], labels[:1000], rows[1000:], labels[1000:])


def _digits_pca(n_features: int, seed: int, digits: DigitImages | None) -> LabelledParts:
    return digit_pair_pca_parts(digits or shipped_digits(), n_features, seed=seed)


def _digits_pca_few(n_features: int, seed: int, digits: DigitImages | None) -> LabelledParts:
    return digit_pair_pca_parts(digits or shipped_digits(), n_features, n_rows=250, seed=seed)


def _digits_pictures(height: int, seed: int, digits: DigitImages | None) -> LabelledParts:
    return digit_pair_parts(digits or shipped_digits(), height, seed=seed)


def _itself(setting: int) -> int:
    return setting


_ROWS = (
    DataFamily("linearly_separable", "features", _FROM_2_TO_20, _linearly_separable),
    DataFamily("bars_and_stripes", "height", _HEIGHTS, _bars_and_stripes, image_height=_itself),
    DataFamily("hidden_manifold", "features", _FROM_2_TO_20, _hidden_manifold),
    DataFamily("hidden_manifold_diff", "manifold dimension", _FROM_2_TO_20, _hidden_manifold_diff),
    DataFamily("two_curves", "features", _FROM_2_TO_20, _two_curves),
    DataFamily("two_curves_diff", "degree", _FROM_2_TO_20, _two_curves_diff),
    DataFamily("hyperplanes_diff", "hyperplanes", _FROM_2_TO_20, _hyperplanes_diff),
    DataFamily("mnist_pca", "features", _FROM_2_TO_20, _digits_pca, from_digits=True),
    DataFamily("mnist_pca-", "features", _FROM_2_TO_20, _digits_pca_few, from_digits=True),
    DataFamily("mnist_cg", "height", _HEIGHTS, _digits_pictures, image_height=_itself, from_digits=True),
)

DATA_FAMILIES: Mapping[str, DataFamily] = {family.name: family for family in _ROWS}
"""The ten families, by name."""
