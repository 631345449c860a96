"""Lays rotations out on the tape: blocks of operations, tables of phases, exchanges of lane bits, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from superpose.engine.blocks import Span, duals
from superpose.engine.kernels import layout as at
from superpose.engine.layouts import Layout
from superpose.engine.passes.form import Angle, Rotation

__all__ = ["Sparse", "Turn", "Writer", "below_top", "kind_of"]

TABLE_MIN_TERMS = 3
"""From so many shared diagonal rotations in one layer on, one table of phases is cheaper."""
TABLE_MIN_TERMS_WIDE = 12
"""The same in the wide layout, where a pass takes a 16th of the time, but making a table does not."""
MIN_OWN = 6
"""From so many rotations with inputs on, a layer of the wide layout has a table for each sample, theirs included."""
BLOCK_BITS = 7
"""Cosets have at most so many bits: then both states take 32 KiB, which the fastest cache holds."""
RESET_AFTER = 24
"""So many scaled rotations may make the states grow, each by at most the square root of 2, until that is undone."""

SEARCH_BUNDLE = 24
"""How many rotations are looked at for one that joins a bundle."""
_REAL = (at.REAL, at.REAL_2, at.REAL_3)
_SCALED = (at.SCALED_REAL, at.SCALED_REAL_2, at.SCALED_REAL_3)
_DIAGONAL = (at.DIAGONAL, at.DIAGONAL_2, at.DIAGONAL_3)
_BUNDLES = frozenset((*_REAL, *_SCALED, *_DIAGONAL[1:]))

Turn = tuple[int, int, float, dict[int, float], dict[int, float]]
"""A rotation: masks x and z, and the angle by its constant and the factors of weights and inputs."""

_NOTHING: dict[int, float] = {}


class Sparse:
    """Rows of (index, factor)."""

    def __init__(self, rows: Iterable[dict[int, float]]) -> None:
        start, index, factor = [0], list[int](), list[float]()
        for row in rows:
            if row:
                index += row
                factor += row.values()
            start.append(len(index))
        self.start, self.index, self.factor = start, index, factor


class _Block(NamedTuple):
    """An open block: rotations that wait for their coset."""

    span: Span
    ops: list[tuple[int, int, list[int]]]
    """Kind, number of the first rotation, and the x of the rows of each, up to three; of an exchange the kind, the
    rows whose parity counts, and the partner."""


class Writer:
    """Collects the sections of the tape, step by step."""

    def __init__(self, layout: Layout, inputs: Sequence[str], weights: Sequence[str]) -> None:
        self.layout = layout
        self.n_row_bits = layout.n_row_bits
        self.n_weights, self.n_inputs = len(weights), len(inputs)
        # one look-up per name: weights count from 0 up, inputs from -1 down
        self.places = dict(zip(weights, range(self.n_weights), strict=True))
        self.places.update(zip(inputs, range(-1, -self.n_inputs - 1, -1), strict=True))
        self.turns: list[Turn] = []
        self.placed_zs: list[int] = []
        """Of the rotations in steps that are written."""
        self.books: list[int] = []
        self.n_steps = 0
        self.steps: list[int] = []
        self.ops: list[int] = []
        self.n_ops = 0
        self.first_gradient: int | None = None
        self.n_tables = self.n_shared = 0
        self.own_terms = set[int]()
        """Rotations in tables that each sample has for itself."""
        self.n_scaled = 0  # since the states' growth was undone
        self.elements: list[int] = []
        self.place_of_elements: dict[tuple[tuple[int, int], ...], int] = {}
        self.placed: dict[int, int] = {}  # masks of X, as amplitudes lie now
        self.also_placed: dict[int, int] = {}  # masks of Z
        self.block = self._new_block()

    def _new_block(self) -> _Block:
        return _Block(Span(BLOCK_BITS, self.n_row_bits), [])

    def turn(self, rotation: Rotation) -> Turn:
        """Return a rotation with its parameters by their places."""
        x, z, angle = rotation
        if len(angle) == 1:
            affine, factor = angle[0]
            if not affine.terms:
                return x, z, factor * affine.constant, _NOTHING, _NOTHING
            if len(affine.terms) == 1:
                name, coefficient = affine.terms[0]
                place = self.places[name]
                if place >= 0:
                    return x, z, factor * affine.constant, {place: factor * coefficient}, _NOTHING
                return x, z, factor * affine.constant, _NOTHING, {~place: factor * coefficient}
        return x, z, *self._sum(angle)

    def _sum(self, angle: Angle) -> tuple[float, dict[int, float], dict[int, float]]:
        const, weights, inputs = 0.0, dict[int, float](), dict[int, float]()
        for affine, factor in angle:
            const += factor * affine.constant
            for name, coefficient in affine.terms:
                place = self.places[name]
                where, place = (weights, place) if place >= 0 else (inputs, ~place)
                where[place] = where.get(place, 0.0) + factor * coefficient
        return const, weights, inputs

    def add_rotation(self, turn: Turn, book: int) -> None:
        """Note a rotation of the step that is being written."""
        self.turns.append(turn)
        self.books.append(book)
        if self.first_gradient is None and (turn[3] or turn[4]):
            self.first_gradient = self.n_steps

    def _place_zs(self) -> None:
        """Note where the masks of Z of the step's rotations have moved."""
        place_z = self.place_z
        self.placed_zs += [place_z(turn[1]) for turn in self.turns[len(self.placed_zs) :]]

    def add_step(self, *numbers: int) -> None:
        """Write a step: kind, then what `superpose.engine.kernels.layout` says."""
        self.steps += numbers
        self.n_steps += 1

    def place_x(self, x: int) -> int:
        """Return where a mask of X has moved."""
        placed = self.placed.get(x)
        if placed is None:
            placed = self.placed[x] = self.layout.place_x(x)
        return placed

    def place_z(self, z: int) -> int:
        """Return where a mask of Z has moved."""
        placed = self.also_placed.get(z)
        if placed is None:
            placed = self.also_placed[z] = self.layout.place_z(z)
        return placed

    def runs(self, x: int) -> bool:
        """Return whether a rotation with this mask flips no lane bit as amplitudes lie now."""
        return not self.place_x(x) & self.layout.lanes

    def make_way(self, masks: list[int]) -> None:
        """Exchange lane bits, within blocks, so that the first of these rotations, as many as can be, flip none."""
        self._place_zs()
        shift = self.layout.n_lane_bits
        for one in self.layout.make_way(masks):
            kind, xs = (at.FLIP_LANE, []) if one.flip else (at.SWAP_LANE, [one.partner >> shift])
            self._make_room(xs)
            self.block.ops.append((kind + one.lane_bit, one.rows >> shift << 7, xs))
        self.placed.clear()
        self.also_placed.clear()

    def make_way_now(self, masks: list[int]) -> None:
        """The same in steps of their own, for strings that are measured between them."""
        self.close()
        shift = self.layout.n_lane_bits
        for one in self.layout.make_way(masks):
            rows, partner = one.rows >> shift << 7, one.partner >> shift << 7
            self.add_step(at.EXCHANGE, one.lane_bit, one.flip, below_top(one.partner >> shift, 128), rows, partner)
        self.placed.clear()
        self.also_placed.clear()

    def _make_room(self, xs: Sequence[int]) -> None:
        """Have a block that is open for an operation with these masks."""
        if len(self.block.ops) == at.MAX_OPS or not self.block.span.add(*xs):
            self.close()
            self.block.span.add(*xs)

    def add(self, kind: int, *turns: Turn, book: int = at.PLAIN) -> None:
        """Write an operation of one or more rotations into the open block or a new one."""
        shift = self.layout.n_lane_bits
        xs = [self.place_x(turn[0]) >> shift for turn in turns]
        if kind in _DIAGONAL[1:]:
            xs = duals([self.place_z(turn[1]) >> shift for turn in turns]) or xs
        self._make_room(xs)
        first = len(self.turns)
        if len(turns) > 1 and kind in _SCALED:
            for turn in turns[:-1]:
                self.add_rotation(turn, at.JOINED)
            self.add_rotation(turns[-1], book)
        else:
            for turn in turns:
                self.add_rotation(turn, book)
        self.block.ops.append((kind, first, xs))

    def close(self) -> None:
        """Close the open block, if it has anything."""
        span, waiting = self.block
        if not waiting:
            return
        span.fill()
        self._place_zs()
        shift, lanes, ops = self.layout.n_lane_bits, self.layout.lanes, self.ops
        for kind, r, xs in waiting:
            if kind >= at.SWAP_LANE:
                low = below_top(span.number(xs[0]), 8) if xs else -1
                ops += (kind, 0, -1, low, 0, False, xs[0] << 7 if xs else 0, r)
                ops += _PADDING[0][2:]
                continue
            zs = self.placed_zs[r : r + len(xs)]
            basis, low, low2 = -1, -1, 0
            if kind in _BUNDLES:
                even = span.even_basis([z >> shift for z in zs] if shift else zs, xs)
                basis = self._append_elements([*even, 0])  # the walk's last turn reads one offset in vain
            elif kind != at.DIAGONAL:
                low, low2 = _openers([span.number(x) for x in xs])
            fixed = kind in _SCALED and not any(turn[3] or turn[4] for turn in self.turns[r : r + len(xs)])
            ops += (kind, len(xs), basis, low, low2, fixed)
            for x, z in zip(xs, zs, strict=True):
                ops += (x << 7, z >> shift << 7, z & lanes, r)
                r += 1
            ops += _PADDING[len(xs)]
        first, self.n_ops = self.n_ops, self.n_ops + len(waiting)
        inside = sum(span.basis) << 7 | 127
        self.add_step(at.BLOCK, first, self.n_ops, len(span.basis), self._place_elements(span), inside)
        self.block = self._new_block()

    def _place_elements(self, span: Span) -> int:
        key = () if span.is_whole else tuple(sorted(span.basis.items()))
        place = self.place_of_elements.get(key)
        if place is None:
            place = self.place_of_elements[key] = self._append_elements(span.elements())
        return place

    def _append_elements(self, elements: list[int]) -> int:
        place = len(self.elements)
        self.elements += [element << 7 for element in elements]
        return place

    def add_diagonal_layer(self, items: Sequence[Rotation]) -> None:
        """Write diagonal rotations: shared ones as a table where that is cheaper, the others in bundles."""
        turns = [self.turn(item) for item in items]
        if self.layout.lanes and len(turns) >= TABLE_MIN_TERMS_WIDE and sum(bool(turn[4]) for turn in turns) >= MIN_OWN:
            self._add_table(turns, at.OWN)
            return
        shared, own = [turn for turn in turns if not turn[4]], [turn for turn in turns if turn[4]]
        while own:
            bundle = self._take_diagonals(own)
            self.add(_DIAGONAL[len(bundle) - 1], *bundle)
        if len(shared) < (TABLE_MIN_TERMS_WIDE if self.layout.lanes else TABLE_MIN_TERMS):
            for turn in shared:
                self.add(at.DIAGONAL, turn)
            return
        self._add_table(shared, self.n_shared)
        self.n_shared += 1

    def _add_table(self, turns: list[Turn], number: int) -> None:
        """Write a table with its number among those that all samples share, or ``OWN``."""
        self.close()
        first = len(self.turns)
        self.add_rotation(turns[0], at.FIRST_TABLE + self.n_tables)
        for turn in turns[1:]:
            self.add_rotation(turn, at.PLAIN)
        if number == at.OWN:
            self.own_terms.update(range(first, len(self.turns)))
        self._place_zs()
        self.add_step(at.TABLE, first, len(self.turns), self.n_tables, number, 0)
        self.n_tables += 1
        self.n_scaled = 0

    def _take_diagonals(self, turns: list[Turn]) -> list[Turn]:
        """Take off the first diagonal rotation and those that join its bundle: their masks are independent."""
        shift, bundle = self.layout.n_lane_bits, [turns.pop(0)]
        masks = [self.place_z(bundle[0][1]) >> shift]
        spanned = {0, masks[0]}
        place = 0
        while masks[0] and len(bundle) < at.MOST and place < min(len(turns), SEARCH_BUNDLE):
            mask = self.place_z(turns[place][1]) >> shift
            if mask in spanned:
                place += 1
            else:
                spanned |= {other ^ mask for other in spanned}
                bundle.append(turns.pop(place))
        return bundle

    def add_start(self, items: list[Rotation]) -> tuple[int, list[Rotation]]:
        """Write rotations that commute and whose highest flipped bits differ, with which |0...0> is easily prepared.

        Returns:
            Number of steps written, and the rotations left, which follow them.
        """
        chosen: list[tuple[int, Rotation]] = []
        tops = set[int]()
        rest: list[Rotation] = []
        for place, item in enumerate(items):
            x, z, _ = item
            top = self.place_x(x)
            if _hinders(x, z, rest):
                rest += items[place:]
                break
            if top & self.layout.lanes:
                rest.append(item)
            elif top.bit_length() in tops or any(_anticommute(x, z, other) for _, other in chosen):
                rest += items[place:]
                break
            else:
                chosen.append((top, item))
                tops.add(top.bit_length())
        ordered = [self.turn(item) for _, item in sorted(chosen, key=lambda pair: pair[0])]
        while ordered:
            most = next((n for n in (3, 2) if len(ordered) >= n and _free_of_signs(ordered[:n])), 1)
            kind = at.IMAGINARY if kind_of(*ordered[0][:2]) else _REAL[most - 1]
            self.add(kind, *ordered[:most])
            ordered = ordered[most:]
        self.close()
        return self.n_steps, rest

    def add_layer(self, items: list[Rotation], later: Callable[[], Iterator[int]]) -> None:
        """Write rotations that are not diagonal: neighbours with shared angles, of one kind, in pairs.

        Args:
            items: The rotations.
            later: Gives the masks of X of the rotations that follow, as far as they are known.
        """
        left = [self.turn(item) for item in reversed(items)]
        if not self.layout.lanes:
            while left:
                self._add_next(left)
            return
        free = _commute(items)
        while left:
            if not self.runs(left[-1][0]):
                ready = [turn for turn in left if self.runs(turn[0])] if free else []
                if ready:
                    left = [turn for turn in left if not self.runs(turn[0])] + ready
                else:
                    self.make_way(_first([turn[0] for turn in reversed(left)], later(), self.n_row_bits))
            self._add_next(left)

    def _add_next(self, left: list[Turn]) -> None:
        """Write the last rotation of the list, and others that join it, and take them off."""
        turn = left.pop()
        kind = kind_of(turn[0], turn[1])
        plain = bool(turn[4])
        if not plain and self.n_scaled >= RESET_AFTER:
            self.add(kind, turn, book=at.RESET)
            self.n_scaled = 0
            return
        turns = [turn]
        if kind == at.REAL:
            self._fill_bundle(turns, left, 2 if plain else at.MOST)
            kind = (_REAL if plain else _SCALED)[len(turns) - 1]
        elif not plain and left and self._pairs(turn, left[-1]):
            kind, turns = at.PAIR_IMAGINARY, [turn, left.pop()]
        elif not plain:
            kind = at.SCALED_IMAGINARY
        self.add(kind, *turns, book=at.PLAIN if plain else at.SCALED)
        if not plain:
            self.n_scaled += len(turns)

    def _fill_bundle(self, turns: list[Turn], left: list[Turn], most: int) -> None:
        """Move rotations that join a bundle, and may be done now, from the end of the list to the bundle."""
        plain, skipped = bool(turns[0][4]), list[Turn]()
        for place in range(len(left) - 1, max(-1, len(left) - 1 - SEARCH_BUNDLE), -1):
            if len(turns) == most:
                return
            turn = left[place]
            if bool(turn[4]) == plain and self._joins(turn, turns, skipped):
                turns.append(left.pop(place))
            else:
                skipped.append(turn)

    def _joins(self, turn: Turn, turns: list[Turn], skipped: list[Turn]) -> bool:
        """Return whether a rotation joins a bundle and can move there across those that were skipped."""
        x, z = turn[0], turn[1]
        if not (x & z).bit_count() & 1:
            return False
        for other in turns:
            if (x & other[1]).bit_count() & 1 or (z & other[0]).bit_count() & 1:
                return False
        for other in skipped:
            if ((x & other[1]).bit_count() ^ (z & other[0]).bit_count()) & 1:
                return False
        return self.runs(x)

    def _pairs(self, turn: Turn, other: Turn) -> bool:
        return other[0] != turn[0] and not other[4] and kind_of(*other[:2]) == at.IMAGINARY and self.runs(other[0])


_PADDING = [[0] * (at.OP_WIDTH - at.OP_FIRST - n * at.OP_EACH) for n in range(at.MOST + 1)]


def _openers(numbers: list[int]) -> tuple[int, int]:
    """Return the masks below the highest bits of the numbers of one or two x, those of a coset's elements."""
    n, n2 = numbers[0], numbers[-1]
    low = below_top(n, 8)
    if len(numbers) == 1:
        return low, 0
    low2 = below_top(n2 ^ n if n2 & 1 << (n.bit_length() - 1) else n2, 8)
    return min(low, low2), max(low, low2)


def _free_of_signs(turns: Sequence[Turn]) -> bool:
    """Return whether these are real rotations and each leaves the signs of the others as they are."""
    return all(
        (turn[0] & other[1]).bit_count() & 1 == (place == other_place)
        for place, turn in enumerate(turns)
        for other_place, other in enumerate(turns)
    )


def _anticommute(x: int, z: int, other: Rotation) -> bool:
    return ((x & other[1]).bit_count() ^ (z & other[0]).bit_count()) & 1 == 1


def _hinders(x: int, z: int, rest: Sequence[Rotation]) -> bool:
    """Return whether one of the rotations does not change places with this one."""
    return any(_anticommute(x, z, other) for other in rest)


def _commute(items: Sequence[Rotation]) -> bool:
    """Return whether all of them commute (False for very many, to save the time)."""
    if len(items) > 64:
        return False
    x, z = (np.array([item[place] for item in items], dtype=np.int64) for place in (0, 1))
    odd = np.bitwise_count(x[:, None] & z)
    return not ((odd ^ odd.T) & 1).any()


def _first(masks: list[int], later: Iterator[int], n: int) -> list[int]:
    """Return the first ``2 * n`` masks."""
    for mask in later:
        if len(masks) >= 2 * n:
            break
        masks.append(mask)
    return masks[: 2 * n]


def kind_of(x: int, z: int) -> int:
    """Return the kind of a rotation: REAL with an odd number of Y in its string, else IMAGINARY."""
    return at.REAL if (x & z).bit_count() & 1 else at.IMAGINARY


def below_top(x: int, size: int) -> int:
    """Return the mask, in bytes, of the places below the highest bit of ``x``."""
    return (size << max(x.bit_length() - 1, 0)) - 1
