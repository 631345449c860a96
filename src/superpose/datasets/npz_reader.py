"""NPZ: arrays ``x`` or ``features`` (n_rows, n_features), ``y`` or ``target`` (n_rows,), and optionally ``names``.

Or a MedMNIST file of grey pictures: ``train_images`` (n, side, side) of uint8, ``train_labels``, and so for ``val`` and
``test``.
"""

from __future__ import annotations

import ast
import math
import re
import sys
import zipfile
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from superpose.datasets.archives import open_archive
from superpose.datasets.arrow_columns import check_target
from superpose.datasets.image_reader import pixel_names
from superpose.datasets.picture_parts import PART, PARTS
from superpose.datasets.table import MAX_CELLS, Table, check_names, check_size, check_width
from superpose.errors import DatasetEmptyError, DatasetFormatError, DatasetTargetError, DatasetTooLargeError

__all__ = ["array_header", "array_of", "npz_arrays", "npz_columns", "read_npz"]

_FEATURE_KEYS = ("x", "features")
_TARGET_KEYS = ("y", "target")
_MEDMNIST = tuple(f"{part}_{what}" for part in PARTS for what in ("images", "labels"))
_MAX_BYTES = 8 * MAX_CELLS
_MAX_HEADER_BYTES = 10_000
_PLAIN = re.compile(r"[<>|=]?(\?|[biufcSU]\d{1,9})")
_LONG = re.compile(r"(\d)L\b")


def read_npz(content: bytes, *, name: str, target: str, max_columns: int) -> Table:
    """A table from NPZ bytes; object arrays are refused, so nothing is ever unpickled.

    ``target`` is the array that holds the labels; where there is none of that name, ``y`` or ``target`` is taken
    and the target is called ``target``. A MedMNIST file becomes a column ``part`` (train, val or test) and grey pixels
    from 0 to 1, as `read_images` names them.

    Raises:
        DatasetError: as ``read_table`` states.
    """
    if not content:
        raise DatasetEmptyError(f"File {name!r} is empty (got 0 bytes).")
    with open_archive(content, "an NPZ archive") as archive:
        keys = _keys(archive)
        if set(_MEDMNIST) <= set(keys) and not set(_FEATURE_KEYS) & set(keys):
            return _medmnist({key: _array(archive, keys, key) for key in _MEDMNIST}, name, target, max_columns)
        features = _array(archive, keys, _one_of(keys, _FEATURE_KEYS))
        _check_features(features.shape, max_columns)
        labels = _array(archive, keys, _target_key(keys, target))
        names = _array(archive, keys, "names") if "names" in keys else None
    column_names = _names(names, features.shape[1])
    check_names([*column_names, target])
    values = _numbers(features)
    columns = {column: np.ascontiguousarray(values[:, i]) for i, column in enumerate(column_names)}
    return Table.from_columns(name, columns, target, _labels(labels, len(values)))


def _medmnist(arrays: dict[str, npt.NDArray[Any]], name: str, target: str, max_columns: int) -> Table:
    parts: list[str] = []
    for key in _MEDMNIST[::2]:
        images = arrays[key]
        if images.ndim != 3 or images.shape[1:] != arrays[_MEDMNIST[0]].shape[2:] * 2 or images.dtype != np.uint8:
            raise DatasetFormatError(
                f"{key} must be grey pictures (n, side, side) of uint8, of one size in all parts, got shape "
                f"{images.shape} and dtype {images.dtype}.",
                array=key,
            )
        parts += [key.partition("_")[0]] * len(images)
    side = arrays[_MEDMNIST[0]].shape[1]
    check_width(side * side + 2, max_columns)
    check_size(len(parts), side * side + 2)
    labels = [_labels(arrays[key], len(arrays[key.replace("labels", "images")])) for key in _MEDMNIST[1::2]]
    pixels = np.concatenate([arrays[key].reshape(-1, side * side) for key in _MEDMNIST[::2]]) / 255.0
    columns: dict[str, npt.NDArray[Any]] = {PART: np.array(parts, dtype=object)}
    columns |= {column: np.ascontiguousarray(pixels[:, i]) for i, column in enumerate(pixel_names(side))}
    return Table.from_columns(name, columns, target, np.concatenate(labels))


def npz_columns(content: bytes, *, name: str, max_columns: int) -> dict[str, npt.NDArray[Any]]:
    """The feature columns of NPZ bytes by name, in order.

    Raises:
        DatasetError: as ``read_table`` states.
    """
    if not content:
        raise DatasetEmptyError(f"File {name!r} is empty (got 0 bytes).")
    with open_archive(content, "an NPZ archive") as archive:
        keys = _keys(archive)
        features = _array(archive, keys, _one_of(keys, _FEATURE_KEYS))
        _check_features(features.shape, max_columns)
        names = _array(archive, keys, "names") if "names" in keys else None
    column_names = _names(names, features.shape[1])
    check_names(column_names)
    values = _numbers(features)
    return {column: np.ascontiguousarray(values[:, i]) for i, column in enumerate(column_names)}


def npz_arrays(content: bytes, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of these names in NPZ bytes; object arrays are refused, so nothing is ever unpickled.

    Raises:
        DatasetEmptyError, DatasetFormatError, DatasetTooLargeError: no such archive, or it lacks one of them.
    """
    if not content:
        raise DatasetEmptyError("The file is empty (got 0 bytes).")
    with open_archive(content, "an NPZ archive") as archive:
        keys = _keys(archive)
        return {name: _array(archive, keys, _one_of(keys, (name,))) for name in names}


def _keys(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Array names, in lower case, to members."""
    members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    if sum(info.file_size for info in members) > _MAX_BYTES:
        raise DatasetTooLargeError(
            f"The arrays take {sum(info.file_size for info in members):,} bytes unpacked; at most {_MAX_BYTES:,} are "
            "allowed.",
            max_bytes=_MAX_BYTES,
        )
    return {info.filename.removesuffix(".npy"): info for info in members} | {
        info.filename.removesuffix(".npy").lower(): info for info in members
    }


def _one_of(keys: dict[str, zipfile.ZipInfo], allowed: tuple[str, ...]) -> str:
    for key in allowed:
        if key in keys:
            return key
    raise DatasetFormatError(
        f"The archive has no array named {' or '.join(allowed)}; it has {', '.join(sorted(keys)[:10]) or 'none'}.",
        arrays=sorted(keys)[:50],
    )


def _target_key(keys: dict[str, zipfile.ZipInfo], target: str) -> str:
    if target in keys and target not in _FEATURE_KEYS and target != "names":
        return target
    for key in _TARGET_KEYS:
        if key in keys:
            return key
    check_target(target, [key for key in sorted(keys) if key not in _FEATURE_KEYS])
    raise DatasetTargetError(f"Array {target!r} cannot be the target.", target=target)


def _array(archive: zipfile.ZipFile, keys: dict[str, zipfile.ZipInfo], key: str) -> npt.NDArray[Any]:
    """One array, by a reader of our own: NumPy's trusts the header before it has seen the data.

    The header's size must be that of the data before memory is taken (NumPy format description, NEP 1).
    """
    with archive.open(keys[key]) as member:
        try:
            dtype, shape, by_columns = array_header(member)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
            raise _unreadable(key, str(error) or type(error).__name__) from None
        n_bytes = math.prod(shape) * dtype.itemsize
        if n_bytes != keys[key].file_size - member.tell():
            raise _unreadable(key, f"shape {shape} and dtype {dtype} do not fit the bytes that are there")
        content = member.read(n_bytes + 1)
    if len(content) != n_bytes:
        raise _unreadable(key, "it is cut off")
    try:
        flat = array_of(content, dtype)
    except ValueError as error:
        raise _unreadable(key, str(error)) from None
    return flat.reshape(shape[::-1]).T if by_columns else flat.reshape(shape)


def array_of(content: bytes, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The values that an array's bytes hold, one after the other.

    Raises:
        ValueError: they cannot be of this type; Python fails on a text of numbers that are no characters.
    """
    flat = np.frombuffer(content, dtype)
    if dtype.kind == "U":
        codes = np.frombuffer(content, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if codes.max(initial=0) > sys.maxunicode:
            raise ValueError("its texts hold what is no character")
    return flat


def array_header(member: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """Type and shape of an array of plain values, and whether columns come one after another.

    Nothing is unpickled; what follows in ``member`` are the array's bytes.

    Raises:
        ValueError, SyntaxError, TypeError, MemoryError, RecursionError: it is no such header.
    """
    magic = member.read(8)
    if len(magic) < 8 or magic[:6] != b"\x93NUMPY" or magic[6] not in (1, 2, 3):
        raise ValueError("it does not begin as an array does")
    length = int.from_bytes(member.read(2 if magic[6] == 1 else 4), "little")
    if length > _MAX_HEADER_BYTES:
        raise ValueError(f"its header has {length:,} bytes")
    header = member.read(length).decode("utf-8")
    facts = ast.literal_eval(_LONG.sub(r"\1", header.strip()))  # 4L: written by Python 2
    if not isinstance(facts, dict) or set(facts) != {"descr", "fortran_order", "shape"}:
        raise ValueError("its header is not one of an array")
    descr, shape = facts["descr"], facts["shape"]
    if not isinstance(descr, str) or not _PLAIN.fullmatch(descr):
        raise ValueError(f"its type is {str(descr)[:40]!r}")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("its shape is not one")
    return np.dtype(descr), shape, facts["fortran_order"] is True


def _unreadable(key: str, why: str) -> DatasetFormatError:
    return DatasetFormatError(
        f"Array {key[:80]!r} cannot be read: {why[:200]}. Allowed are plain numeric and text arrays (object arrays "
        "would need unpickling).",
        array=key[:200],
    )


def _check_features(shape: tuple[int, ...], max_columns: int) -> None:
    if len(shape) != 2:
        raise DatasetFormatError(
            f"Features must have shape (n_rows, n_features), got {shape}. Flatten images to one row per sample.",
            shape=list(shape),
        )
    check_width(shape[1] + 1, max_columns)
    check_size(shape[0], shape[1] + 1)


def _numbers(features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    if features.dtype.kind not in "buif":
        raise DatasetFormatError(
            f"Features must be real numbers, got dtype {features.dtype}. Use CSV or Parquet for text columns.",
            dtype=str(features.dtype),
        )
    return features.astype(np.float64)


def _names(names: npt.NDArray[Any] | None, n_features: int) -> list[str]:
    if names is None:
        return [f"x_{i}" for i in range(n_features)]
    if names.dtype.kind != "U" or names.shape != (n_features,):
        raise DatasetFormatError(
            f"Array 'names' must hold {n_features} texts, one per feature, got dtype {names.dtype} and shape "
            f"{names.shape}.",
        )
    return [str(name).strip() for name in names]


def _labels(labels: npt.NDArray[Any], n_rows: int) -> npt.NDArray[Any]:
    if labels.shape not in ((n_rows,), (n_rows, 1)):
        raise DatasetTargetError(
            f"The target must have one label per row, shape ({n_rows},), got {labels.shape}.", shape=list(labels.shape)
        )
    flat = labels.reshape(n_rows)
    if flat.dtype.kind == "b":
        return np.where(flat, "true", "false").astype(object)
    if flat.dtype.kind in "uif":
        return flat.astype(np.float64)
    if flat.dtype.kind == "U":
        return np.array([str(label).strip() or None for label in flat], dtype=object)
    raise DatasetTargetError(f"Labels must be numbers, booleans or text, got dtype {flat.dtype}.")
