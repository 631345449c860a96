"""Two handwritten digits to tell apart: as few principal components, or as small pictures."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from superpose.datasets.generated.parts import LabelledParts, Labels, Rows, at_least, split_parts
from superpose.errors import RequestError

__all__ = ["DigitImages", "digit_pair_parts", "digit_pair_pca_parts", "mnist_digits", "shipped_digits"]


@dataclass(frozen=True, eq=False)
class DigitImages:
    """Pictures of digits.

    Attributes:
        name: where they come from.
        images: ``(n_images, height, width)``, any scale.
        digits: ``(n_images,)``, from 0 to 9.
        test: pictures of a test part that comes with them; None where parts are drawn.
    """

    name: str
    images: NDArray[np.float64]
    digits: NDArray[np.integer]
    test: DigitImages | None = None

    def first(self, n_images: int, n_test: int) -> DigitImages:
        """The first so many pictures, and of the test part where it has one."""
        test = None if self.test is None else self.test.first(n_test, 0)
        return DigitImages(self.name, self.images[:n_images], self.digits[:n_images], test)


def shipped_digits() -> DigitImages:
    """The 1,797 digits of 8 x 8 pixels that come with scikit-learn: a stand-in for MNIST, and an easier one.

    Source: Alpaydin and Kaynak 1998, UCI Machine Learning Repository, Optical Recognition of Handwritten Digits.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return DigitImages("scikit-learn digits", np.asarray(bunch.images, dtype=np.float64), bunch.target)


def mnist_digits(directory: Path) -> DigitImages:
    """MNIST's 60,000 training and 10,000 test pictures, from its four files.

    Args:
        directory: with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
            ``t10k-labels-idx1-ubyte``, as published, or each with ``.gz`` behind its name.

    Raises:
        RequestError: a file is missing, or is no IDX file of that kind.

    Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits (1998), with its file format.
    """

    def part(name: str, test: DigitImages | None) -> DigitImages:
        images = _idx(directory, f"{name}-images-idx3-ubyte", 3)
        digits = _idx(directory, f"{name}-labels-idx1-ubyte", 1)
        if len(images) != len(digits):
            raise RequestError(f"{name} in {directory} has {len(images)} pictures and {len(digits)} labels")
        return DigitImages("MNIST", images.astype(np.float64), digits.astype(np.int64), test)

    return part("train", part("t10k", None))


def _idx(directory: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    """An array of unsigned bytes in IDX format: two zeros, 8 for bytes, the number of axes, the axes big-endian."""
    plain, packed = directory / name, directory / f"{name}.gz"
    try:
        content = plain.read_bytes() if plain.exists() or not packed.exists() else gzip.decompress(packed.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise RequestError(f"cannot read {plain} (or {packed.name}): {error}") from None
    head = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, head, 4))
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) != head + prod(shape):
        raise RequestError(f"{plain} must be an IDX file of unsigned bytes with {dimensions} axes, as MNIST's are")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def digit_pair_parts(
    source: DigitImages, height: int, *, pair: tuple[int, int] = (3, 5), test_fraction: float = 0.2, seed: int = 0
) -> LabelledParts:
    """The pictures of two digits, resized to ``height x height`` and standardised pixel by pixel by the training part.

    Labels are -1 for the first digit of the pair and 1 for the second. Resizing is bilinear. Parts are the source's own
    where it has a test part, else drawn.

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
        seed: of split and draws; a source with a test part of its own is not split.

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
    axes = _principal_axes(parts.train - mean, n_features)
    train, test = ((part - mean) @ axes.T for part in (parts.train, parts.test))
    if n_rows is None:
        return LabelledParts(train, parts.train_labels, test, parts.test_labels)
    at_least(2, n_rows=n_rows)
    rng = np.random.default_rng([seed, 6])
    some, others = rng.integers(len(train), size=n_rows), rng.integers(len(test), size=n_rows)
    return LabelledParts(train[some], parts.train_labels[some], test[others], parts.test_labels[others])


def _principal_axes(centred: Rows, n_axes: int) -> Rows:
    """Directions of greatest variance ``(n_axes, n_columns)``, of rows whose mean is 0."""
    if len(centred) > centred.shape[1]:
        axes = np.linalg.eigh(centred.T @ centred)[1].T[::-1][:n_axes]  # of ascending variance before
    else:
        axes = np.linalg.svd(centred, full_matrices=False)[2][:n_axes]
    signs = np.sign(axes[np.arange(n_axes), np.abs(axes).argmax(axis=1)])  # one sign on every machine
    turned: Rows = axes * signs[:, None]
    return turned


def _pair(
    source: DigitImages, pair: tuple[int, int], test_fraction: float, seed: int, height: int | None
) -> LabelledParts:
    """The pixels of two digits."""
    rows, labels = _pixels(source, pair, height)
    if source.test is None:
        return split_parts(rows, labels, test_fraction=test_fraction, seed=seed)
    return LabelledParts(rows, labels, *_pixels(source.test, pair, height))


def _pixels(source: DigitImages, pair: tuple[int, int], height: int | None) -> tuple[Rows, Labels]:
    """The pictures of two digits as rows, with labels -1 and 1."""
    for digit in pair:
        if not (source.digits == digit).any():
            raise RequestError(f"{source.name} has no digit {digit}", field="pair")
    chosen = np.isin(source.digits, pair)
    images = np.asarray(source.images[chosen], dtype=np.float64)
    if height is not None and images.shape[1:] != (height, height):
        images = _resized(images, height)
    labels = np.where(source.digits[chosen] == pair[1], 1, -1).astype(np.int64)
    return images.reshape(len(images), -1), labels


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
