"""Arrays that are loaded piece by piece, when they are indexed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.circuits.sets.piece_result import PieceFailure, PieceResult
from superpose.circuits.sets.program_set import Piece
from superpose.errors import PieceFailedError, ProgramSetError

__all__ = ["LazyArray", "LazyCounts", "Pieces"]

Index = tuple[int | slice, ...]


@dataclass(frozen=True)
class Pieces:
    """The pieces of one grid: where each begins, what failed, and how one is loaded."""

    pieces: Sequence[Piece]
    failures: dict[int, PieceFailure]
    load: Callable[[Piece], PieceResult]

    def touched(
        self, flat: npt.NDArray[np.int64], *, skip_failed: bool = False
    ) -> Iterator[tuple[PieceResult, npt.NDArray[np.intp], npt.NDArray[np.int64]]]:
        """Results of each piece that holds some of the bindings ``flat``, where those stand in ``flat``, and in it.

        Raises:
            PieceFailedError: One of them has failed; told before any is loaded.
        """
        starts = np.array([piece.start for piece in self.pieces])
        which = np.searchsorted(starts, flat, side="right") - 1
        order = np.argsort(which, kind="stable")
        numbers, firsts = np.unique(which[order], return_index=True)
        ends = [*firsts[1:].tolist(), len(order)][: len(numbers)]
        found = [self.pieces[number] for number in numbers.tolist()]
        failed = [self.failures[piece.number] for piece in found if piece.number in self.failures]
        if failed and not skip_failed:
            more = f", and {len(failed) - 1} more pieces" if len(failed) > 1 else ""
            raise PieceFailedError(
                f"There are no results for {failed[0]}{more}. Ask for other places, or for filled(), which has a value "
                "of your choice there.",
                failures=[failure.to_json() for failure in failed[:100]],
            )
        for piece, first, end in zip(found, firsts.tolist(), ends, strict=True):
            if piece.number not in self.failures:
                places = order[first:end]
                yield self.load(piece), places, flat[places] - piece.start


class LazyArray:
    """Expectations or state vectors of a grid: an array that loads the pieces which an index touches, and no others.

    Index it by integers, slices and ``...`` as a NumPy array; ``numpy.asarray`` loads all of it.

    Attributes:
        shape: The grid's shape, and what each binding adds to it.
        dtype: Of the numbers.

    Raises:
        PieceFailedError: An index touches a piece that has failed; `filled` does without it.
        ProgramSetError: Another kind of index.
    """

    def __init__(self, pieces: Pieces, values: str, shape: tuple[int, ...], tail: tuple[int, ...], dtype: Any) -> None:
        self._pieces = pieces
        self._values = values
        self._bindings = shape
        self._tail = tail
        self.shape = (*shape, *tail)
        self.dtype = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"LazyArray(shape={self.shape}, dtype={self.dtype})"

    def __getitem__(self, index: object) -> Any:
        places = _full(index, self.shape)
        n_axes = len(self._bindings)
        return self._gathered(_flat(self._bindings, places[:n_axes]), places[n_axes:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("A LazyArray is loaded, which makes a copy.")
        return np.asarray(self[...], dtype)

    def filled(self, value: complex = np.nan) -> npt.NDArray[Any]:
        """All of it, with ``value`` where pieces have failed."""
        flat = _flat(self._bindings, (slice(None),) * len(self._bindings))
        return np.asarray(self._gathered(flat, (slice(None),) * len(self._tail), fill=value))

    def _gathered(self, flat: npt.NDArray[np.int64], rest: Index, fill: complex | None = None) -> Any:
        shape = np.empty(self._tail, np.bool_)[rest].shape
        out = np.empty((flat.size, *shape), self.dtype)
        if fill is not None:
            out[...] = fill
        for result, places, inside in self._pieces.touched(flat.reshape(-1), skip_failed=fill is not None):
            out[places] = getattr(result, self._values)[inside][(slice(None), *rest)]
        return out.reshape((*flat.shape, *shape))[()]


class LazyCounts:
    """Counts of a grid: one binding's is a dict, several are an array of dicts; loaded as `LazyArray` is.

    Attributes:
        shape: The grid's shape.
    """

    def __init__(self, pieces: Pieces, shape: tuple[int, ...]) -> None:
        self._pieces = pieces
        self.shape = shape

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"LazyCounts(shape={self.shape})"

    def __getitem__(self, index: object) -> Any:
        flat = _flat(self.shape, _full(index, self.shape))
        out = np.empty(flat.size, object)
        for result, places, inside in self._pieces.touched(flat.reshape(-1)):
            for place, at in zip(places.tolist(), inside.tolist(), strict=True):
                out[place] = result.counts(at)
        return out.reshape(flat.shape)[()]


def _full(index: object, shape: tuple[int, ...]) -> Index:
    """The index with one integer or slice for each axis.

    Raises:
        ProgramSetError: something else stands in it.
        IndexError: too many, or out of range, as NumPy has it.
    """
    given = index if isinstance(index, tuple) else (index,)
    for item in given:
        integer = isinstance(item, int | np.integer) and not isinstance(item, bool)
        if not (integer or item is Ellipsis or isinstance(item, slice)):
            raise ProgramSetError(
                f"Results are indexed by integers, slices and '...', got {type(item).__name__}; load them first for "
                "anything else: numpy.asarray(results)[index]."
            )
    dots = sum(item is Ellipsis for item in given)
    if dots > 1 or len(given) - dots > len(shape):
        raise IndexError(f"too many indices: the results have shape {shape}, got {len(given)}")
    at = next((place for place, item in enumerate(given) if item is Ellipsis), len(given))
    missing = (slice(None),) * (len(shape) - (len(given) - dots))
    places: Index = (*given[:at], *missing, *given[at + 1 :])
    for item, n in zip(places, shape, strict=True):
        if not isinstance(item, slice) and not -n <= item < n:
            raise IndexError(f"index {item} is out of range for an axis of {n}")
    return places


def _flat(shape: tuple[int, ...], places: Index) -> npt.NDArray[np.int64]:
    """Numbers, in C order, of the bindings that an index names."""
    if all(not isinstance(item, slice) for item in places):
        at = tuple(int(item) % n for item, n in zip(places, shape, strict=True) if not isinstance(item, slice))
        return np.asarray(np.ravel_multi_index(at, shape) if shape else 0, np.int64)
    return np.arange(prod(shape), dtype=np.int64).reshape(shape)[places]
