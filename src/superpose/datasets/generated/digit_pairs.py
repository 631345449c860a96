"""Two handwritten digits to tell apart: as few principal components, or as small pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superpose.datasets.generated.parts import LabelledParts, Rows, at_least, split_parts
from superpose.errors import RequestError

__all__ = ["DigitImages", "digit_pair_parts", "digit_pair_pca_parts", "shipped_digits"]


@dataclass(frozen=True, eq=False)
class DigitImages:
    """Pictures of digits.

    Attributes:
        name: where they come from.
        images: ``(n_images, height, width)``, any scale.
        digits: ``(n_images,)``, from 0 to 9.
    """

    name: str
    images: NDArray[np.float64]
    digits: NDArray[np.integer]


def shipped_digits() -> DigitImages:
    """The 1,797 digits of 8 x 8 pixels that come with scikit-learn: a stand-in for MNIST, and an easier one.

    Source: Alpaydin and Kaynak 1998, UCI Machine Learning Repository, Optical Recognition of Handwritten Digits.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return DigitImages("scikit-learn digits", np.asarray(bunch.images, dtype=np.float64), bunch.target)


def digit_pair_parts(
    source: DigitImages, height: int, *, pair: tuple[int, int] = (3, 5), test_fraction: float = 0.2, seed: int = 0
) -> LabelledParts:
    """The pictures of two digits, resized to ``height x height`` and standardised pixel by pixel by the training part.

    Labels are -1 for the first digit of the pair and 1 for the second. Resizing is bilinear.

    Raises:
        RequestError: a height below one, or a digit that the source does not have.

    Source: arXiv 2403.07059, MNIST-CG (there with torchvision's resizing and MNIST's own split).
    """
    at_least(1, height=height)
    return _standardised(_pair(source, pair, test_fraction, seed, height))


def digit_pair_pca_parts(
    source: DigitImages,
    n_features: int,
    *,
    pair: tuple[int, int] = (3, 5),
    test_fraction: float = 0.2,
    n_rows: int | None = None,
    seed: int = 0,
) -> LabelledParts:
    """The leading principal components of two digits' standardised pixels, both learnt from the training part.

    Args:
        source: pictures.
        n_features: components.
        pair: the digit labelled -1 and the one labelled 1.
        test_fraction: share of the pictures in the test part.
        n_rows: draw so many rows, with replacement, from either part afterwards.
        seed: of split and draws.

    Raises:
        RequestError: more components than pixels, fewer than one, or a digit that the source does not have.

    Source: arXiv 2403.07059, MNIST-PCA and, with ``n_rows=250``, MNIST-PCA-.
    """
    at_least(1, n_features=n_features)
    parts = _standardised(_pair(source, pair, test_fraction, seed, None))
    if n_features > min(parts.train.shape):
        raise RequestError(
            f"n_features must be at most {min(parts.train.shape)} for these pictures, got {n_features}",
            field="n_features",
        )
    mean = parts.train.mean(axis=0)
    _, _, axes = np.linalg.svd(parts.train - mean, full_matrices=False)
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]  # one sign on every machine
    train, test = ((part - mean) @ axes[:n_features].T for part in (parts.train, parts.test))
    if n_rows is None:
        return LabelledParts(train, parts.train_labels, test, parts.test_labels)
    at_least(2, n_rows=n_rows)
    rng = np.random.default_rng([seed, 6])
    some, others = rng.integers(len(train), size=n_rows), rng.integers(len(test), size=n_rows)
    return LabelledParts(train[some], parts.train_labels[some], test[others], parts.test_labels[others])


def _pair(
    source: DigitImages, pair: tuple[int, int], test_fraction: float, seed: int, height: int | None
) -> LabelledParts:
    """The pixels of two digits."""
    for digit in pair:
        if not (source.digits == digit).any():
            raise RequestError(f"{source.name} has no digit {digit}", field="pair")
    chosen = np.isin(source.digits, pair)
    images = np.asarray(source.images[chosen], dtype=np.float64)
    if height is not None and images.shape[1:] != (height, height):
        images = _resized(images, height)
    labels = np.where(source.digits[chosen] == pair[1], 1, -1).astype(np.int64)
    return split_parts(images.reshape(len(images), -1), labels, test_fraction=test_fraction, seed=seed)


def _resized(images: NDArray[np.float64], height: int) -> NDArray[np.float64]:
    """(n, h, w) -> (n, height, height), bilinear between pixels' centres."""
    from scipy.ndimage import zoom

    factors = (1.0, height / images.shape[1], height / images.shape[2])
    resized: NDArray[np.float64] = zoom(images, factors, order=1, mode="nearest", grid_mode=True)
    return resized


def _standardised(parts: LabelledParts) -> LabelledParts:
    """By the training part; pixels that never change stay 0 there."""
    mean, spread = parts.train.mean(axis=0), parts.train.std(axis=0)
    scale = np.where(spread > 0.0, spread, 1.0)

    def scaled(rows: Rows) -> Rows:
        standardised: Rows = (rows - mean) / scale
        return standardised

    return LabelledParts(scaled(parts.train), parts.train_labels, scaled(parts.test), parts.test_labels)
