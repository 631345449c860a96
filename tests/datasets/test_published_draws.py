"""The very data sets of the published comparison, held against rows that its repository publishes; MNIST's files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from superpose.datasets.generated import (
    DATA_FAMILIES,
    DigitImages,
    digit_pair_parts,
    mnist_digits,
    published_draw,
)
from superpose.errors import RequestError

DRAWN = [name for name in DATA_FAMILIES if not name.startswith("mnist")]


# First test rows of the files in paper/plots/datasets-for-plots of XanaduAI/qml-benchmarks, to eight digits.
@pytest.mark.parametrize(
    ("family", "setting", "row", "labels"),
    [
        ("two_curves_diff", 2, [-1.11253232, -0.83619171, -1.26919760, -1.00410741, -0.79073000], [-1, -1, -1, 1]),
        ("linearly_separable", 10, [0.83952927, 0.28357260, -0.20261102, -0.47282164, 0.81056989], [-1, 1, 1, 1]),
        ("hidden_manifold", 2, [-0.08125442, 0.48836242], [-1, -1, -1, 1]),
    ],
)
def test_rows_are_those_of_the_published_files(family: str, setting: int, row: list[float], labels: list[int]) -> None:
    parts = published_draw(family, setting)
    np.testing.assert_allclose(parts.test[0, : len(row)], row, atol=1e-8)
    assert parts.test_labels[: len(labels)].tolist() == labels


@pytest.mark.parametrize("family", DRAWN)
def test_every_setting_has_the_published_sizes(family: str) -> None:
    for setting in DATA_FAMILIES[family].settings:
        parts = published_draw(family, setting)
        assert (len(parts.train), len(parts.test)) == ((1000, 200) if family == "bars_and_stripes" else (240, 60))
        assert parts.train.shape[1] == parts.test.shape[1]
        assert set(parts.train_labels.tolist()) == {-1, 1}
        if DATA_FAMILIES[family].varied == "features":
            assert parts.train.shape[1] == setting


def test_bars_are_vertical_and_stripes_horizontal() -> None:
    parts = published_draw("bars_and_stripes", 8)
    pictures = parts.train.reshape(-1, 8, 8)
    down, across = (pictures.mean(axis=axis).var(axis=1) for axis in (1, 2))  # of columns, of lines
    plain = np.maximum(down, across) < 0.3  # nothing or everything lit
    assert plain.sum() < 30  # 2 of 256 patterns
    assert np.array_equal(across[~plain] > down[~plain], parts.train_labels[~plain] == 1)


def _write_mnist(directory: Path, *, packed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Small files in MNIST's format: 40 training and 10 test pictures of 6 x 6, digits 3 and 5 and others."""
    rng = np.random.default_rng(5)
    kept = []
    for name, count in (("train", 40), ("t10k", 10)):
        images = rng.integers(0, 256, (count, 6, 6), dtype=np.uint8)
        digits = np.resize(np.array([3, 5, 1, 9], dtype=np.uint8), count)
        for kind, array in ((f"{name}-images-idx3-ubyte", images), (f"{name}-labels-idx1-ubyte", digits)):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = head + array.tobytes()
            if packed:
                (directory / f"{kind}.gz").write_bytes(gzip.compress(content))
            else:
                (directory / kind).write_bytes(content)
        kept.append(images)
    return kept[0], kept[1]


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_read_from_its_files_and_keeps_its_own_split(tmp_path: Path, packed: bool) -> None:
    train, test = _write_mnist(tmp_path, packed=packed)
    source = mnist_digits(tmp_path)
    assert source.test is not None
    np.testing.assert_array_equal(source.images, train)
    np.testing.assert_array_equal(source.test.images, test)
    assert source.digits[:4].tolist() == [3, 5, 1, 9]
    parts = digit_pair_parts(source, 6)
    chosen = np.isin(source.digits, (3, 5))
    pixels = train[chosen].reshape(chosen.sum(), -1).astype(float)
    np.testing.assert_allclose(parts.train, (pixels - pixels.mean(axis=0)) / pixels.std(axis=0), atol=1e-12)
    assert parts.test_labels.tolist() == [-1, 1, -1, 1, -1, 1]
    components = published_draw("mnist_pca", 4, digits=source)
    assert (components.train.shape, components.test.shape) == ((20, 4), (6, 4))
    few = source.first(12, 8)
    assert few.test is not None
    assert (len(few.images), len(few.digits), len(few.test.images)) == (12, 12, 8)


def test_files_that_are_not_mnists_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="t10k-images-idx3-ubyte"):
        mnist_digits(tmp_path)
    _write_mnist(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    whole = labels.read_bytes()
    for broken in (b"", whole[:-1], bytes([0, 0, 9, 1]) + whole[4:]):
        labels.write_bytes(broken)
        with pytest.raises(
            RequestError, match="t10k-labels-idx1-ubyte must be an IDX file of unsigned bytes with 1 axes"
        ):
            mnist_digits(tmp_path)
    labels.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 3, 5]))
    with pytest.raises(RequestError, match="10 pictures and 2 labels"):
        mnist_digits(tmp_path)
    labels.unlink()
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(whole)[:-9])
    with pytest.raises(RequestError, match="cannot read"):
        mnist_digits(tmp_path)


def test_what_was_never_published_is_refused(tmp_path: Path) -> None:
    without_split = DigitImages("some", np.zeros((2, 8, 8)), np.array([3, 5]))
    for family, setting, digits, told in (
        ("spirals", 2, None, "allowed are linearly_separable"),
        ("two_curves", 21, None, "allowed are 2, 3, 4"),
        ("bars_and_stripes", 5, None, "allowed are 4, 8, 16, 32"),
        ("mnist_pca-", 4, None, "without a seed"),
        ("mnist_pca", 4, None, "its own test part"),
        ("mnist_cg", 8, without_split, "its own test part"),
    ):
        with pytest.raises(RequestError, match=told):
            published_draw(family, setting, digits=digits)
