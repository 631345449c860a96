"""From rows to numbers: missing values filled, categories one-hot encoded, number columns scaled.

All that is learnt is a few plain arrays and the category names, so that a model file can hold it and a predictor can
apply it without torch, pandas or scikit-learn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from superpose.datasets.arrow_columns import truths_as_written
from superpose.errors import FeatureMismatchError
from superpose.learning.rows import ColumnKind, ColumnNames, RowBlock, read_rows

if TYPE_CHECKING:
    from superpose.learning.spec import PreprocessingSpec

__all__ = ["Encoded", "Preprocessor"]

LARGEST = 1e30
"""Largest encoded value: sums of weighted inputs stay finite in float32."""


@dataclass(frozen=True)
class Encoded:
    """Encoded rows, and how often each category column held a category that the model does not know."""

    values: NDArray[np.float64]
    unknown_categories: dict[str, int]


@dataclass(frozen=True, eq=False)
class Preprocessor:
    """Learnt preprocessing: number columns become ``(x - centre) / scale``, each category column its one-hot block.

    The encoded columns are all number columns in order, then for each category column one column per known category. An
    unknown category becomes zeros in its whole block; a missing one becomes ``category_fill``. After those comes one
    column per name in ``indicators``: 1 where the value is missing; a missing category of such a column becomes zeros.

    Attributes:
        columns: names and kinds.
        fill: ``(n_number_columns,)``, what replaces a missing number.
        centre: ``(n_number_columns,)``.
        scale: ``(n_number_columns,)``, none of them 0.
        categories: known categories of each category column.
        category_fill: most frequent category of each, or None where none is known.
        indicators: names of the columns whose missing values have an indicator, in the order of ``columns``.
        refuses_missing: whether a missing value is an error.
        low, high: ``(n_number_columns,)``, between which 98 % of the training rows lie (the quantiles 0.01 and 0.99: no
            single person's extreme value); None in a file of an earlier release.
        whole: names of the number columns that held whole numbers only.
        limits: least and greatest value that a number column takes, such as 0 and 1 of pixels; None if any finite one.
    """

    columns: ColumnNames
    fill: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    categories: tuple[tuple[str, ...], ...]
    category_fill: tuple[str | None, ...]
    indicators: tuple[str, ...] = ()
    refuses_missing: bool = False
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    whole: frozenset[str] = frozenset()
    limits: tuple[float, float] | None = None

    @classmethod
    def fit(cls, rows: Any, names: Sequence[str], kinds: Sequence[ColumnKind], options: PreprocessingSpec) -> Self:
        """Learn from training rows only.

        Args:
            rows: whatever `superpose.learning.rows.read_rows` reads.
            names: column names, in order.
            kinds: "number" or "category" per column.
            options: how to fill and scale.

        Raises:
            FeatureMismatchError: a row does not fit the columns, or has a missing value that the options refuse.
        """
        columns = ColumnNames(tuple(names), tuple(kinds))
        block = read_rows(rows, columns)
        if options.missing == "refuse":
            _refuse_missing(columns, block)
        with np.errstate(over="ignore", invalid="ignore"):
            fill, centre, scale = _fit_numbers(block.numbers, options)
        learnt = np.isfinite(fill) & np.isfinite(centre) & np.isfinite(scale)
        if not learnt.all():
            name = columns.numbers[int(np.argmin(learnt))][1]
            raise FeatureMismatchError(
                f"column {name!r} holds numbers too large to be scaled; give them in another unit, or leave the column "
                "out",
                column=name,
            )
        known = [_known_categories(values, options) for values in block.categories]
        low, high = _ranges(block.numbers)
        return cls(
            columns=columns,
            fill=fill,
            centre=centre,
            scale=scale,
            categories=tuple(tuple(sorted(counts)) for counts in known),
            category_fill=tuple(min(c, key=lambda word: (-c[word], word)) if c else None for c in known),
            indicators=tuple(_with_gaps(columns, block)) if options.missing == "indicator" else (),
            refuses_missing=options.missing == "refuse",
            low=low,
            high=high,
            whole=frozenset(n for i, (_, n) in enumerate(columns.numbers) if _is_whole(block.numbers[:, i])),
        )

    def in_order(self, names: Sequence[str]) -> Self:
        """The same preprocessing for rows whose columns, the same ones, stand in another order.

        Args:
            names: every column's name, in the new order.
        """
        if tuple(names) == self.columns.names:
            return self
        kinds = dict(zip(self.columns.names, self.columns.kinds, strict=True))
        columns = ColumnNames(tuple(names), tuple(kinds[name] for name in names))
        number_of = {name: i for i, (_, name) in enumerate(self.columns.numbers)}
        word_of = {name: i for i, (_, name) in enumerate(self.columns.categories)}
        numbers = [number_of[name] for _, name in columns.numbers]
        words = [word_of[name] for _, name in columns.categories]
        return replace(
            self,
            columns=columns,
            fill=self.fill[numbers],
            centre=self.centre[numbers],
            scale=self.scale[numbers],
            categories=tuple(self.categories[i] for i in words),
            category_fill=tuple(self.category_fill[i] for i in words),
            indicators=tuple(name for name in names if name in self.indicators),
            low=None if self.low is None else self.low[numbers],
            high=None if self.high is None else self.high[numbers],
        )

    @property
    def n_encoded(self) -> int:
        """Number of encoded columns."""
        return len(self.columns.numbers) + sum(len(known) for known in self.categories) + len(self.indicators)

    @property
    def encoded_names(self) -> tuple[str, ...]:
        """Name of each encoded column; a category's is ``column=category``, an indicator's ``column is missing``."""
        numbers = [name for _, name in self.columns.numbers]
        pairs = zip(self.columns.categories, self.categories, strict=True)
        words = (f"{name}={word}" for (_, name), known in pairs for word in known)
        return (*numbers, *words, *(f"{name} is missing" for name in self.indicators))

    @cached_property
    def places_of_columns(self) -> tuple[tuple[int, ...], ...]:
        """For each column, in the order of ``columns``, the encoded columns that it is in."""
        names = [name for _, name in self.columns.numbers]
        for (_, name), known in zip(self.columns.categories, self.categories, strict=True):
            names += [name] * len(known)
        names += self.indicators
        places: dict[str, list[int]] = {column: [] for column in self.columns.names}
        for place, name in enumerate(names):
            places[name].append(place)
        return tuple(map(tuple, places.values()))

    @cached_property
    def typical(self) -> NDArray[np.float64]:
        """The encoded row ``(n_encoded,)`` of nobody in particular: of what fills missing numbers and categories."""
        row = np.zeros(self.n_encoded)
        row[: len(self.fill)] = (self.fill - self.centre) / self.scale
        start = len(self.fill)
        for known, fill in zip(self.categories, self.category_fill, strict=True):
            if fill is not None:
                row[start + known.index(fill)] = 1.0
            start += len(known)
        return row

    @cached_property
    def _places(self) -> tuple[dict[str | None, int], ...]:
        """For each category column, the encoded place of a category within its block; None stands for missing."""
        places: list[dict[str | None, int]] = []
        columns = zip(self.columns.categories, self.categories, self.category_fill, strict=True)
        for (_, name), known, fill in columns:
            place: dict[str | None, int] = {word: i for i, word in enumerate(known)}
            place |= {truth: place[word] for truth, word in truths_as_written(known).items()}
            if fill is not None and name not in self.indicators:
                place[None] = place[fill]
            places.append(place)
        return tuple(places)

    def encode(self, rows: Any) -> Encoded:
        """Encode rows, float64 ``(n_rows, n_encoded)``, and count the categories that are not known.

        Raises:
            FeatureMismatchError: a row does not fit the columns.
        """
        return self.encode_block(read_rows(rows, self.columns))

    def transform(self, rows: Any) -> NDArray[np.float64]:
        """Encode rows, float64 ``(n_rows, n_encoded)``."""
        return self.encode(rows).values

    def encode_block(self, block: RowBlock) -> Encoded:
        """Encode rows that have been read.

        Raises:
            FeatureMismatchError: a number is too large to compute with or beyond the limits, or a value is missing that
                must not be; the message names its column.
        """
        if self.refuses_missing:
            _refuse_missing(self.columns, block)
        if self.limits is not None:
            _refuse_beyond(self.limits, self.columns, block)
        filled = np.where(np.isnan(block.numbers), self.fill, block.numbers)
        with np.errstate(over="ignore"):
            scaled = (filled - self.centre) / self.scale
        if not (np.abs(scaled) <= LARGEST).all():
            raise self._too_large(filled, ~(np.abs(scaled) <= LARGEST))
        if not self.categories and not self.indicators:
            return Encoded(scaled, {})
        n_rows = len(block.numbers)
        parts = [scaled]
        unknown: dict[str, int] = {}
        columns = zip(self.columns.categories, self.categories, block.categories, self._places, strict=True)
        for (_, name), known, words, place in columns:
            part = np.zeros((n_rows, len(known)))  # (n_rows, n_categories)
            places = np.fromiter((place.get(word, -1) for word in words), dtype=np.intp, count=n_rows)
            seen = np.flatnonzero(places >= 0)
            part[seen, places[seen]] = 1.0
            parts.append(part)
            n_unknown = sum(word is not None and word not in place for word in words)
            if n_unknown:
                unknown[name] = n_unknown
        gaps = _gaps(self.columns, block)
        parts += [gaps[name][:, None].astype(np.float64) for name in self.indicators]
        return Encoded(np.concatenate(parts, axis=1), unknown)

    def _too_large(self, numbers: NDArray[np.float64], refused: NDArray[np.bool_]) -> FeatureMismatchError:
        """Of the first number that is refused."""
        row, place = (int(i) for i in np.argwhere(refused)[0])
        name, centre, scale = self.columns.numbers[place][1], self.centre[place], self.scale[place]
        return FeatureMismatchError(
            f"column {name!r} holds {numbers[row, place]:.6g} in row {row}, too far from {centre:.6g} (in steps of "
            f"{scale:.6g}) to compute with; a missing value is given as null",
            column=name,
            row=row,
        )

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
        """The preprocessor as a JSON description and plain arrays."""
        described = [{"name": n, "kind": k} for n, k in zip(self.columns.names, self.columns.kinds, strict=True)]
        for (place, _), known, fill in zip(self.columns.categories, self.categories, self.category_fill, strict=True):
            described[place] |= {"categories": list(known), "fill": fill}  # type: ignore[dict-item]  # JSON is mixed
        for column in described:
            if column["name"] in self.indicators:
                column["indicator"] = True  # type: ignore[assignment]  # JSON is mixed
            if column["name"] in self.whole:
                column["whole"] = True  # type: ignore[assignment]  # JSON is mixed
        description: dict[str, Any] = {"columns": described}
        if self.refuses_missing:
            description["missing"] = "refuse"
        if self.limits is not None:
            description["limits"] = list(self.limits)
        arrays = {"fill": self.fill, "centre": self.centre, "scale": self.scale}
        if self.low is not None and self.high is not None:
            arrays |= {"low": self.low, "high": self.high}
        return description, arrays

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float64]]) -> Self:
        """The inverse of `to_parts`.

        Raises:
            FeatureMismatchError: the parts do not fit one another.
        """
        described = description["columns"]
        columns = ColumnNames(tuple(c["name"] for c in described), tuple(c["kind"] for c in described))
        vectors = [np.array(arrays[name], dtype=np.float64) for name in ("fill", "centre", "scale")]
        usable = all(v.shape == (len(columns.numbers),) and np.isfinite(v).all() for v in vectors)
        if not all(isinstance(name, str) for name in columns.names) or not {*columns.kinds} <= {"number", "category"}:
            raise FeatureMismatchError('each column must have a text as its name, and be a "number" or a "category"')
        if not usable or not np.all(vectors[2]) or len(columns.name_set) != len(columns.names):
            raise FeatureMismatchError(
                f"fill, centre and scale must be finite vectors of {len(columns.numbers)} values, no scale 0, and "
                f"column names unique; got shapes {[v.shape for v in vectors]}"
            )
        limits = [np.array(arrays[name], dtype=np.float64) for name in ("low", "high") if name in arrays]
        if limits and not (len(limits) == 2 and all(v.shape == vectors[0].shape for v in limits)):
            raise FeatureMismatchError(
                f"low and high must be vectors of {len(columns.numbers)} values, got {[v.shape for v in limits]}"
            )
        words = [described[place] for place, _ in columns.categories]
        for column in words:
            _check_words(column)
        fill, centre, scale = vectors
        return cls(
            columns=columns,
            fill=fill,
            centre=centre,
            scale=scale,
            categories=tuple(tuple(c["categories"]) for c in words),
            category_fill=tuple(c["fill"] for c in words),
            indicators=tuple(c["name"] for c in described if c.get("indicator") is True),
            refuses_missing=description.get("missing") == "refuse",
            low=limits[0] if limits else None,
            high=limits[1] if limits else None,
            whole=frozenset(c["name"] for c in described if c.get("whole") is True),
            limits=_limits_of(description.get("limits")),
        )


def _check_words(column: Mapping[str, Any]) -> None:
    """Refuse categories that no fit gives.

    Raises:
        FeatureMismatchError: they are no different texts, or what fills missing ones is none of them.
    """
    known, fill = column["categories"], column["fill"]
    texts = isinstance(known, list) and all(isinstance(word, str) for word in known)
    if not texts or len(set(known)) != len(known) or not (fill is None or fill in known):
        raise FeatureMismatchError(
            f"column {column['name']!r} must have different texts as categories, and one of them or null as fill"
        )


def _limits_of(described: Any) -> tuple[float, float] | None:
    """Limits as a description has them.

    Raises:
        FeatureMismatchError: they are no two numbers, the least first.
    """
    if described is None:
        return None
    numbers = isinstance(described, list) and len(described) == 2
    if not numbers or not all(type(end) in (int, float) for end in described) or not described[0] < described[1]:
        raise FeatureMismatchError(f"limits must be two numbers, the least first, got {described!r}")
    return float(described[0]), float(described[1])


def _gaps(columns: ColumnNames, block: RowBlock) -> dict[str, NDArray[np.bool_]]:
    """Where each column has no value, ``(n_rows,)`` by name."""
    gaps = {name: np.isnan(block.numbers[:, place]) for place, (_, name) in enumerate(columns.numbers)}
    for (_, name), words in zip(columns.categories, block.categories, strict=True):
        gaps[name] = np.fromiter((word is None for word in words), dtype=bool, count=len(words))
    return gaps


def _with_gaps(columns: ColumnNames, block: RowBlock) -> list[str]:
    """Names of the columns that have missing values, in order."""
    gaps = _gaps(columns, block)
    return [name for name in columns.names if gaps[name].any()]


def _refuse_missing(columns: ColumnNames, block: RowBlock) -> None:
    for name, gap in _gaps(columns, block).items():
        if gap.any():
            raise FeatureMismatchError(
                f"column {name!r} has no value in row {int(gap.argmax())}, and preprocessing.missing is 'refuse'; give "
                "the value, or train with 'impute' or 'indicator'",
                column=name,
                row=int(gap.argmax()),
            )


def _refuse_beyond(limits: tuple[float, float], columns: ColumnNames, block: RowBlock) -> None:
    low, high = limits
    beyond = (block.numbers < low) | (block.numbers > high)  # a gap is neither
    if beyond.any():
        row, place = (int(i) for i in np.argwhere(beyond)[0])
        name, got = columns.numbers[place][1], block.numbers[row, place]
        raise FeatureMismatchError(
            f"column {name!r} takes {low:g} to {high:g}, as in training, got {got:.6g} in row {row}; bring values "
            "there: pixels of 8 bits are divided by 255, of 16 bits by 65535",
            column=name,
            row=row,
        )


def _known_categories(values: Sequence[str | None], options: PreprocessingSpec) -> Counter[str]:
    """Categories with their counts that are frequent enough to be known; of equally frequent ones the first by name."""
    counts = Counter(word for word in values if word is not None)
    frequent = sorted(
        ((word, n) for word, n in counts.items() if n >= options.min_category_rows),
        key=lambda pair: (-pair[1], pair[0]),
    )
    return Counter(dict(frequent[: options.max_categories]))


def _fit_numbers(
    numbers: NDArray[np.float64], options: PreprocessingSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fill, centre and scale per column, missing values left out; a column without values gets 0, 0 and 1."""
    n_columns = numbers.shape[1]
    fill, centre, scale = np.zeros(n_columns), np.zeros(n_columns), np.ones(n_columns)
    for place in range(n_columns):
        values = numbers[:, place]
        values = values[~np.isnan(values)]
        if not values.size:
            continue
        fill[place] = np.median(values) if options.imputation == "median" else values.mean()
        centre[place], spread = _centre_and_spread(values, options.scaling)
        # A spread below rounding of the values themselves is noise of a constant column.
        if spread > 1e-12 * float(np.abs(values).max()):
            scale[place] = spread
    return fill, centre, scale


def _ranges(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Quantiles 0.01 and 0.99 of each column, ``(n_number_columns,)``; 0 and 0 for a column without values."""
    ranges = np.zeros((2, numbers.shape[1]))
    for place in range(numbers.shape[1]):
        values = numbers[:, place]
        values = values[~np.isnan(values)]
        if values.size:
            ranges[:, place] = np.quantile(values, (0.01, 0.99))
    return ranges[0], ranges[1]


def _is_whole(values: NDArray[np.float64]) -> bool:
    values = values[~np.isnan(values)]
    return bool(values.size and np.array_equal(values, np.rint(values)))


def _centre_and_spread(values: NDArray[np.float64], scaling: str) -> tuple[float, float]:
    """Location and width of one column."""
    if scaling == "standard":
        return float(values.mean()), float(values.std())
    if scaling == "robust":
        low, middle, high = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
        return middle, high - low
    if scaling == "minmax":
        return float(values.min()), float(values.max() - values.min())
    return 0.0, 1.0
