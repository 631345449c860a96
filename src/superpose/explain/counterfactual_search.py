"""The search behind `superpose.explain.counterfactuals`: a beam over columns, then bisection back towards the row.

1. From the row on, single changes (points of a column's range, other categories) are joined, a column more at each
   step. Kept are the states that come nearest to the goal, by the model and by what they gain for their distance.
2. Every state that reaches the goal is drawn back: all its numbers together, then one after the other, as far as the
   label stays, and a column that is not needed at all is left as it was.
3. The least costly is given. It is the smallest found, not provably the smallest there is; a test holds it against a
   fine grid.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Goal", "Move", "Mover", "smallest"]

Floats = NDArray[np.float64]

_POINTS = 12
"""Values of a number column that are tried on each step."""

_BEAM = 32
_ALIKE = 2
"""States that are kept, half by either yardstick, and of these by each so many that change the same columns."""

_COLUMNS = 40
"""Columns, those of greatest effect alone, that are joined with others."""

_APART = 3.0
"""Between what reaches the goal and what does not; more than leads of probabilities differ by."""

_DRAWN_BACK = 24
_BISECTIONS = 14
_CHUNK, _ELEMENTS = 16_384, 2**22
"""Rows, and values in them, that are predicted at once."""


@dataclass(frozen=True)
class Mover:
    """A column that may change: its value, the values that are tried, and where they stand in an encoded row.

    Attributes:
        column: its name.
        before: its value in the row.
        values: those tried first.
        limits: low and high of a number.
        unit: what a change is measured in.
        step: numbers are multiples of it; 0 for a category.
        place: of a number's encoded column, with centre and scale; of a category's first encoded column.
        known: categories, in the order of their encoded columns.
    """

    column: str
    before: float | str | None
    values: tuple[float | str, ...]
    limits: tuple[float, float]
    unit: float
    step: float
    place: tuple[int, float, float]
    known: tuple[str, ...] = ()

    @classmethod
    def number(
        cls,
        column: str,
        before: float,
        limits: tuple[float, float],
        unit: float,
        step: float,
        place: tuple[int, float, float],
    ) -> Self:
        """A number column."""
        made = cls(column, before, (), limits, unit, step, place)
        values = {made.snapped(float(value)) for value in np.linspace(*limits, _POINTS)} - {before}
        return cls(column, before, tuple(sorted(values)), limits, unit, step, place)

    @classmethod
    def category(cls, column: str, before: str | None, known: tuple[str, ...], start: int) -> Self:
        """A category column."""
        others = tuple(word for word in known if word != before)
        return cls(column, before, others, (0.0, 0.0), 1.0, 0.0, (start, 0.0, 1.0), known)

    def snapped(self, value: float) -> float:
        """The multiple of the step that is as far from the row's own value, or a little farther, within the limits."""
        own = float(self.before or 0.0)
        turns = value / self.step
        near = round(turns)
        whole = near if abs(turns - near) < 1e-9 else (math.ceil(turns) if value > own else math.floor(turns))
        # Rounding to the digits of the step keeps 0.1 + 0.2 from being told as 0.30000000000000004.
        found = round(whole * self.step, max(0, -math.floor(math.log10(self.step))))
        low, high = self.limits
        return found if low <= found <= high else min(max(value, low), high)

    def size(self, value: float | str) -> float:
        """How far a value is from the row's own, in units."""
        return 1.0 if isinstance(value, str) else abs(value - float(self.before or 0.0)) / self.unit

    def write(self, row: Floats, value: float | str) -> None:
        """Set the value in an encoded row."""
        place, centre, scale = self.place
        if isinstance(value, str):
            row[place : place + len(self.known)] = 0.0
            row[place + self.known.index(value)] = 1.0
        else:
            row[place] = (value - centre) / scale


@dataclass(frozen=True)
class Move:
    """A column's new value."""

    mover: Mover
    value: float | str

    @property
    def size(self) -> float:
        """In units of the column."""
        return self.mover.size(self.value)


Moves = tuple[Move, ...]


@dataclass(frozen=True)
class Goal:
    """What is to be reached from an encoded row ``base``, and what it costs.

    Attributes:
        predict: of encoded rows the probabilities that the model answers with ``(n_rows, n_classes)``, whose largest,
            of equal ones the first, is the label; and others to go by where those are level, as behind an isotonic
            curve, or the same.
        base: the row, ``(n_encoded,)``.
        allowed: which classes are, ``(n_classes,)``.
        min_probability: of the new class.
        norm: "l1" or "l2".
        sparsity: cost of each column that changes.
    """

    predict: Callable[[Floats], tuple[Floats, Floats]]
    base: Floats
    allowed: NDArray[np.bool_]
    min_probability: float
    norm: str
    sparsity: float

    def applied(self, states: Sequence[Moves]) -> Floats:
        """Encoded rows, ``(n_states, n_encoded)``."""
        rows = np.tile(self.base, (len(states), 1))
        for row, moves in zip(rows, states, strict=True):
            for move in moves:
                move.mover.write(row, move.value)
        return rows

    def slack(self, states: Sequence[Moves]) -> Floats:
        """By how much each state is beyond the goal, ``(n_states,)``; what is positive reaches it."""
        found = np.empty(len(states))
        step = max(1, min(_CHUNK, _ELEMENTS // len(self.base)))
        for start in range(0, len(states), step):
            shares, guide = self.predict(self.applied(states[start : start + step]))
            best = shares[:, self.allowed].max(axis=1)
            there = self.allowed[shares.argmax(axis=1)] & (best >= self.min_probability)
            beyond = guide[:, self.allowed].max(axis=1) - guide[:, ~self.allowed].max(axis=1)
            if guide is shares and self.min_probability > 0.0:
                beyond = np.minimum(beyond, best - self.min_probability)
            found[start : start + step] = beyond + np.where(there, _APART, -_APART)
        return found

    def distance(self, moves: Moves) -> float:
        """Of the changes, in the goal's norm."""
        sizes = [move.size for move in moves]
        return float(sum(sizes)) if self.norm == "l1" else math.sqrt(sum(size * size for size in sizes))

    def cost(self, moves: Moves) -> float:
        """Distance, and what touching so many columns costs."""
        return self.distance(moves) + self.sparsity * len(moves)


def smallest(goal: Goal, movers: Sequence[Mover], max_changes: int) -> Moves:
    """The least costly changes found that reach the goal; none where nothing does."""
    reached: list[Moves] = []
    beam: list[Moves] = [()]
    start = float(goal.slack([()])[0])
    for depth in range(max_changes):
        states = [
            (*moves, Move(mover, value))
            for moves in beam
            for mover in movers
            if all(move.mover is not mover for move in moves)
            for value in mover.values
        ]
        states = list({_key(moves): moves for moves in states}.values())
        if not states:
            break
        slack = goal.slack(states)
        there = [place for place in np.flatnonzero(slack > 0.0)]
        reached += sorted((states[place] for place in there), key=goal.cost)[:_DRAWN_BACK]
        beam = _beam(goal, states, slack, start)
        if depth == 0 and len(movers) > _COLUMNS:
            movers = _strongest(movers, states, slack)
        best = min((goal.cost(moves) for moves in reached), default=math.inf)
        beam = [moves for moves in beam if goal.cost(moves) + goal.sparsity < best]
        if not beam:
            break
    reached = sorted(reached, key=goal.cost)[: 2 * _DRAWN_BACK]
    if not reached:
        return ()
    drawn = [moves for turn in (False, True) for moves in _drawn_back(goal, reached, farthest_first=turn)]
    return min(drawn, key=goal.cost)


def _key(moves: Moves) -> tuple[tuple[str, float | str], ...]:
    return tuple(sorted(((move.mover.column, move.value) for move in moves), key=lambda pair: pair[0]))


def _beam(goal: Goal, states: Sequence[Moves], slack: Floats, start: float) -> list[Moves]:
    """Half of those nearest to the goal, half of those that gain most for what they cost; none that is there."""
    short = np.flatnonzero(slack <= 0.0)
    gains = (slack[short] - start) / np.array([goal.cost(states[place]) for place in short])
    nearest = _unlike(states, short[np.argsort(-slack[short], kind="stable")])
    cheapest = _unlike(states, short[np.argsort(-gains, kind="stable")])
    return [states[place] for place in dict.fromkeys([*nearest, *cheapest])]


def _unlike(states: Sequence[Moves], order: NDArray[np.integer]) -> list[int]:
    """Places of the first in an order, few of each set of columns: else one strong column's values would fill it."""
    found: list[int] = []
    n_alike: Counter[frozenset[str]] = Counter()
    for place in order.tolist():
        columns = frozenset(move.mover.column for move in states[place])
        n_alike[columns] += 1
        if n_alike[columns] <= _ALIKE:
            found.append(place)
            if len(found) == _BEAM // 2:
                break
    return found


def _strongest(movers: Sequence[Mover], states: Sequence[Moves], slack: Floats) -> list[Mover]:
    best: dict[str, float] = {}
    for moves, value in zip(states, slack, strict=True):
        name = moves[0].mover.column
        best[name] = max(best.get(name, -math.inf), float(value))
    return sorted(movers, key=lambda mover: -best[mover.column])[:_COLUMNS]


def _drawn_back(goal: Goal, states: Sequence[Moves], *, farthest_first: bool) -> list[Moves]:
    """The states with their numbers as near to the row's own as the label allows, and without needless changes."""
    drawn = _bisected(goal, list(states), [None] * len(states))
    for turn in range(max(len(moves) for moves in drawn)):
        columns = [_in_turn(moves, turn, farthest_first) for moves in drawn]
        drawn = _bisected(goal, drawn, columns)
    for turn in range(max(len(moves) for moves in drawn)):
        fewer = [
            tuple(move for place, move in enumerate(moves) if place != turn) if len(moves) > 1 else moves
            for moves in drawn
        ]
        slack = goal.slack(fewer)
        drawn = [less if ok else moves for less, moves, ok in zip(fewer, drawn, slack > 0.0, strict=True)]
    return drawn


def _in_turn(moves: Moves, turn: int, farthest_first: bool) -> str | None:
    """The number column that is drawn back in a turn; "" where there is none."""
    order = sorted(moves, key=lambda move: move.size, reverse=farthest_first)
    return order[turn].mover.column if turn < len(order) else ""


def _bisected(goal: Goal, states: list[Moves], columns: Sequence[str | None]) -> list[Moves]:
    """States with a column's number (None: all numbers) drawn back together by bisection; each ends where it holds."""
    low: Floats = np.zeros(len(states))  # shares of the way; those of `high` hold
    high: Floats = np.ones(len(states))
    best = list(states)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        tried = [_part(moves, column, share) for moves, column, share in zip(states, columns, middle, strict=True)]
        holds = goal.slack(tried) > 0.0
        low, high = np.where(holds, low, middle), np.where(holds, middle, high)
        best = [new if ok else old for new, old, ok in zip(tried, best, holds, strict=True)]
    return best


def _part(moves: Moves, column: str | None, share: float) -> Moves:
    """Numbers at a share of their way."""
    found = []
    for move in moves:
        if isinstance(move.value, str) or column not in (None, move.mover.column):
            found.append(move)
            continue
        own = float(move.mover.before or 0.0)
        value = move.mover.snapped(own + share * (move.value - own))
        found.append(Move(move.mover, value))
    return tuple(found)
