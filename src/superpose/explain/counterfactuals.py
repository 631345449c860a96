"""Counterfactuals: the smallest changes of a row that change its label, and several different ones.

A change costs ``|to - from|`` in widths of the column's training range (the quantiles 0.01 to 0.99) for a number and 1
for another category; a counterfactual costs the sum of these (``l1``) or the root of the sum of their squares
(``l2``), and `SPARSITY` for each column that it touches. Columns named as fixed stay, numbers stay within their ranges,
whole numbers stay whole, and what is missing stays missing. The model itself has the last word: every counterfactual
was predicted as the row it is. See `superpose.explain.counterfactual_search` for how they are looked for.

Source: Wachter, Mittelstadt and Russell, Harvard J. Law Technol. 31 (2018) 841, arXiv 1711.00399; diversity as in
Mothilal, Sharma and Tan, FAT* 2020, arXiv 1905.07697. What would change the model's mind need not change the world.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import ExplanationError
from superpose.explain.attributions import Look
from superpose.explain.counterfactual_search import Goal, Move, Mover, smallest
from superpose.learning.calibration.maps import Isotonic
from superpose.learning.rows import RowBlock, read_rows

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor
    from superpose.learning.preprocessing import Preprocessor

__all__ = ["NORMS", "Change", "Counterfactual", "CounterfactualOptions", "Counterfactuals", "counterfactuals"]

NORMS = ("l1", "l2")
MAX_FOUND, MAX_CHANGES = 10, 6
SPARSITY = 0.1
"""What touching one more column costs, in widths of a range."""

_ROWS = 16_384
"""Predicted between two looks, of models whose rows take microseconds."""

Floats = NDArray[np.float64]

Range = tuple[float | None, float | None]


@dataclass(frozen=True)
class CounterfactualOptions:
    """What may change, and how far.

    Attributes:
        n: how many to look for, 1 to 10; fewer are given where fewer are found.
        to_class: the class wanted; by default any other than the row's own.
        fixed: columns that must stay.
        ranges: for number columns ``(low, high)``, in place of the training data's; None is the training data's end.
        max_changes: columns that may change at once, 1 to 6.
        norm: "l1" or "l2".
        min_probability: of the new class, 0 to 1.
    """

    n: int = 3
    to_class: Any = None
    fixed: Sequence[str] = ()
    ranges: Mapping[str, Range] = field(default_factory=dict)
    max_changes: int = 4
    norm: str = "l1"
    min_probability: float = 0.0

    def __post_init__(self) -> None:
        _within("n", self.n, 1, MAX_FOUND, whole=True)
        _within("max_changes", self.max_changes, 1, MAX_CHANGES, whole=True)
        _within("min_probability", self.min_probability, 0.0, 1.0)
        if self.norm not in NORMS:
            raise ExplanationError(
                f"norm must be one of {', '.join(NORMS)}, got {str(self.norm)[:40]!r}.", field="norm"
            )
        if isinstance(self.fixed, str):
            raise ExplanationError(f"fixed must be a list of columns, got the text {self.fixed[:40]!r}.", field="fixed")
        if not isinstance(self.ranges, Mapping) or not all(_is_pair(given) for given in self.ranges.values()):
            raise ExplanationError(
                "ranges must be a mapping from columns to pairs (low, high) of numbers, where None is the training "
                f"data's end; got {str(self.ranges)[:80]}.",
                field="ranges",
            )


@dataclass(frozen=True)
class Change:
    """What one column would have to be: a number or a category."""

    column: str
    before: float | str | None
    after: float | str


@dataclass(frozen=True)
class Counterfactual:
    """A row that is nearly the one given and gets another label.

    Attributes:
        label: the class that the model predicts for it.
        probability: of that class.
        changes: of columns, the largest part of the distance first.
        distance: in widths of the columns' ranges; see the module.
    """

    label: Any
    probability: float
    changes: tuple[Change, ...]
    distance: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "class": str(self.label),
            "probability": self.probability,
            "distance": self.distance,
            "changes": {one.column: {"from": one.before, "to": one.after} for one in self.changes},
        }


@dataclass(frozen=True)
class Counterfactuals:
    """Those of one row, the least costly first; none where nothing allowed changes the label.

    Attributes:
        label: what the model predicts for the row itself.
        probability: of that class.
        found: the counterfactuals.
        to_class: the class that was wanted; None for any other.
    """

    label: Any
    probability: float
    found: tuple[Counterfactual, ...]
    to_class: Any = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "class": str(self.label),
            "probability": self.probability,
            "to_class": None if self.to_class is None else str(self.to_class),
            "counterfactuals": [one.to_dict() for one in self.found],
        }


def counterfactuals(
    predictor: Predictor, rows: Any, options: CounterfactualOptions | None = None, look: Look | None = None
) -> tuple[Counterfactuals, ...]:
    """The smallest changes found that give rows another label.

    Args:
        predictor: the loaded model, of whatever kind.
        rows: whatever `Predictor.predict_proba` takes.
        options: what may change.
        look: called before each few predictions; what it raises ends the search.

    Returns:
        For each row its counterfactuals. Each later one leaves alone the column that weighed most in each earlier one,
        so that they differ in kind and not by a hair. A row that already has the class wanted gets none.

    Raises:
        ExplanationError: no such class or column, a range that is none, or nothing that may change.
        FeatureMismatchError: the rows do not fit the model.

    Cost: some ten thousand predictions per counterfactual, more where the table has many columns.
    """
    options = options or CounterfactualOptions()
    preprocessor = predictor.model.preprocessor
    block, encoded = read_rows(rows, preprocessor.columns), predictor.encode(rows)
    wanted = _wanted(predictor, options.to_class)
    limits = _limits(preprocessor, options)
    predict = _watched(predictor, look or (lambda: None))
    probabilities = predict(encoded)[0]
    found = []
    for row, shares in enumerate(probabilities):
        own = int(shares.argmax())
        allowed = np.arange(len(shares)) != own if wanted is None else np.arange(len(shares)) == wanted
        goal = Goal(predict, encoded[row], allowed, options.min_probability, options.norm, SPARSITY)
        few = () if wanted == own else _of_row(goal, _movers(preprocessor, block, row, limits), options)
        told = tuple(_told(predictor, encoded[row], moves, goal) for moves in few)
        to_class = None if wanted is None else predictor.classes[wanted]
        found.append(Counterfactuals(predictor.classes[own], float(shares[own]), told, to_class))
    return tuple(found)


def _watched(predictor: Predictor, look: Look) -> Callable[[Floats], tuple[Floats, Floats]]:
    """The model's probabilities as it answers, and those to search by, with a look before each few rows."""
    model: Any = predictor.model
    step = int(getattr(model, "rows_at_once", _ROWS))  # of a user's module, whose rows may take long
    calibration = predictor.safeguards.calibration

    def predict(encoded: Floats) -> tuple[Floats, Floats]:
        found = []
        for start in range(0, max(1, len(encoded)), step):
            look()
            found.append(model.probabilities(encoded[start : start + step]))
        own = np.concatenate(found)
        answered = predictor.safeguards.calibrated(own)
        return answered, own if isinstance(calibration, Isotonic) else answered

    return predict


def _of_row(goal: Goal, movers: Sequence[Mover], options: CounterfactualOptions) -> list[tuple[Move, ...]]:
    """Several, each without the heaviest column of those before."""
    found: list[tuple[Move, ...]] = []
    left = list(movers)
    while len(found) < options.n and left:
        moves = smallest(goal, left, options.max_changes)
        if not moves:
            break
        found.append(moves)
        heaviest = max(moves, key=lambda move: move.size)
        left = [mover for mover in left if mover.column != heaviest.mover.column]
    return sorted(found, key=goal.cost)


def _told(predictor: Predictor, base: NDArray[np.float64], moves: tuple[Move, ...], goal: Goal) -> Counterfactual:
    shares = predictor.predict_encoded(goal.applied([moves]))[0]
    place = int(shares.argmax())
    order = sorted(moves, key=lambda move: -move.size)
    changes = tuple(Change(move.mover.column, move.mover.before, move.value) for move in order)
    return Counterfactual(predictor.classes[place], float(shares[place]), changes, goal.distance(moves))


def _wanted(predictor: Predictor, to_class: Any) -> int | None:
    if to_class is None:
        return None
    labels = [str(label) for label in predictor.classes]
    if str(to_class) not in labels:
        raise ExplanationError(
            f"The model has no class {str(to_class)[:80]!r}; its classes are {', '.join(labels[:20])}.",
            allowed=labels[:20],
        )
    return labels.index(str(to_class))


def _limits(preprocessor: Preprocessor, options: CounterfactualOptions) -> dict[str, tuple[float, float, float]]:
    """Of each column that may change low, high and the unit of its distance; categories have 0, 0 and 1."""
    columns = preprocessor.columns
    kinds = dict(zip(columns.names, columns.kinds, strict=True))
    for name in (*options.fixed, *options.ranges):
        if name not in kinds:
            raise ExplanationError(
                f"The model has no column {str(name)[:80]!r}; it has {', '.join(columns.names[:20])}.", column=str(name)
            )
    for name in options.ranges:
        if kinds[name] != "number":
            raise ExplanationError(f"Column {name!r} holds categories; a range is for numbers.", column=name)
    found = {name: (0.0, 0.0, 1.0) for _, name in columns.categories}
    for place, (_, name) in enumerate(columns.numbers):
        learnt = (
            None
            if preprocessor.low is None or preprocessor.high is None
            else (float(preprocessor.low[place]), float(preprocessor.high[place]))
        )
        limit = _limit(name, learnt, options.ranges.get(name))
        if limit is not None:
            found[name] = limit
    found = {name: limit for name, limit in found.items() if name not in set(options.fixed)}
    if not found and preprocessor.limits is not None:
        low, high = preprocessor.limits
        raise ExplanationError(
            "Of pictures no pixel may change unless a range is given: which few pixels would turn the label does not"
            f" tell what is seen. Give ranges within {low:g} to {high:g} of the pixels that may, such as "
            f"{columns.names[0]}={low:g}..{high:g}, or ask for a picture of what moved the answer (--png)."
        )
    if not found:
        raise ExplanationError(
            "No column may change: all are fixed, or the model file is of a release that kept no ranges of columns; "
            "fix fewer, give ranges, or train again."
        )
    return found


def _limit(name: str, learnt: tuple[float, float] | None, given: Range | None) -> tuple[float, float, float] | None:
    low, high = given or (None, None)
    low = low if low is not None else (learnt[0] if learnt else None)
    high = high if high is not None else (learnt[1] if learnt else None)
    if given is not None and (low is None or high is None or not -1e30 < low <= high < 1e30):
        raise ExplanationError(f"Column {name!r} needs a range from low to high, got {low} to {high}.", column=name)
    if low is None or high is None or low == high:
        return None
    width = learnt[1] - learnt[0] if learnt and learnt[1] > learnt[0] else high - low
    return low, high, width


def _movers(
    preprocessor: Preprocessor, block: RowBlock, row: int, limits: Mapping[str, tuple[float, float, float]]
) -> list[Mover]:
    """What may change of one row, and to what."""
    columns = preprocessor.columns
    found = []
    for place, (_, name) in enumerate(columns.numbers):
        before = float(block.numbers[row, place])
        if name in limits and not np.isnan(before):
            low, high, unit = limits[name]
            step = 1.0 if name in preprocessor.whole else 10.0 ** (math.floor(math.log10(unit)) - 3)
            if name in preprocessor.whole:
                low, high = float(math.ceil(low)), float(math.floor(high))
                if low > high:
                    continue  # no whole number is between
            centre, scale = float(preprocessor.centre[place]), float(preprocessor.scale[place])
            found.append(Mover.number(name, before, (low, high), unit, step, (place, centre, scale)))
    start = len(columns.numbers)
    for (_, name), known, words in zip(columns.categories, preprocessor.categories, block.categories, strict=True):
        if name in limits and words[row] is not None:
            found.append(Mover.category(name, words[row], known, start))
        start += len(known)
    return [mover for mover in found if mover.values]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(end is None or _is_number(end) for end in value)


def _within(name: str, value: object, least: float, most: float, *, whole: bool = False) -> None:
    fits = isinstance(value, int | np.integer) and not isinstance(value, bool) if whole else _is_number(value)
    if not fits or not least <= value <= most:  # type: ignore[operator]  # a number, which the line before has seen
        kind = "a whole number from " if whole else ""
        raise ExplanationError(f"{name} must be {kind}{least:g} to {most:g}, got {value!r:.40}.", field=name)
