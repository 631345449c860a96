"""Lays rotations out on the tape: blocks of operations, tables of phases, exchanges of lane bits, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.engine.blocks import Span, duals
from superpose.engine.frame import anticommute
from superpose.engine.kernels import layout as at
from superpose.engine.layouts import Layout
from superpose.engine.lowering import Angle, Layer

__all__ = ["Item", "Sparse", "Writer", "below_top", "kind_of"]

TABLE_MIN_TERMS = 3
"""From so many shared diagonal rotations in one layer on, one table of phases is cheaper."""
TABLE_MIN_TERMS_WIDE = 12
"""The same in the wide layout, where a pass takes a 16th of the time, but making a table does not."""
BLOCK_BITS = 7
"""Cosets have at most so many bits: then both states take 32 KiB, which the fastest cache holds."""
RESET_AFTER = 24
"""So many scaled rotations may make the states grow, each by at most the square root of 2, until that is undone."""

SEARCH_BUNDLE = 24
"""How many rotations are looked at for one that joins a bundle."""
_REAL = (at.REAL, at.REAL_2, at.REAL_3)
_SCALED = (at.SCALED_REAL, at.SCALED_REAL_2, at.SCALED_REAL_3)
_DIAGONAL = (at.DIAGONAL, at.DIAGONAL_2, at.DIAGONAL_3)
_BUNDLES = (*_REAL, *_SCALED, *_DIAGONAL[1:])

Item = tuple[int, int, Angle]
"""A rotation: masks (x, z) and angle."""


class Sparse:
    """Rows of (index, factor)."""

    def __init__(self) -> None:
        self.start, self.index, self.factor = [0], list[int](), list[float]()

    def add_row(self, row: dict[int, float]) -> None:
        """Add a row, given as a mapping from index to factor."""
        self.index.extend(row)
        self.factor.extend(row.values())
        self.start.append(len(self.index))


class _Block(NamedTuple):
    """An open block: rotations as (kind, masks and numbers) that wait for their coset."""

    span: Span
    ops: list[tuple[int, list[tuple[int, int, int, int]]]]
    """Kind, and up to three of (x of the rows, z of the rows, z of the lanes, rotation)."""


class Writer:
    """Collects the sections of the tape, step by step."""

    def __init__(self, layout: Layout, inputs: Sequence[str], weights: Sequence[str]) -> None:
        self.layout = layout
        self.n_row_bits = layout.n_row_bits
        self.place_of_input = {name: k for k, name in enumerate(inputs)}
        self.place_of_weight = {name: k for k, name in enumerate(weights)}
        self.const: list[float] = []
        self.weights, self.inputs = Sparse(), Sparse()
        self.xs: list[int] = []
        self.zs: list[int] = []
        self.placed_zs: list[int] = []
        self.books: list[int] = []
        self.of_lanes: list[int] = []
        self.steps: list[list[int]] = []
        self.ops: list[tuple[int, ...]] = []
        self.first_gradient: int | None = None
        self.n_tables = 0
        self.n_scaled = 0  # since the states' growth was undone
        self.elements: list[npt.NDArray[np.int64]] = []
        self.n_elements = 0
        self.place_of_elements: dict[tuple[tuple[int, int], ...], int] = {}
        self.block = self._new_block()

    def _new_block(self) -> _Block:
        return _Block(Span(BLOCK_BITS, self.n_row_bits), [])

    def depends_on_inputs(self, angle: Angle) -> bool:
        """Return whether the samples' angles differ."""
        return any(name in self.place_of_input for affine, _ in angle for name, _ in affine.terms)

    def add_rotation(self, x: int, z: int, angle: Angle, book: int) -> int:
        """Note a rotation of the step that is being written and return its number."""
        const, weights, inputs = 0.0, dict[int, float](), dict[int, float]()
        for affine, factor in angle:
            const += factor * affine.constant
            for name, coefficient in affine.terms:
                where, place = weights, self.place_of_weight.get(name)
                if place is None:
                    where, place = inputs, self.place_of_input[name]
                where[place] = where.get(place, 0.0) + factor * coefficient
        r = len(self.const)
        self.const.append(const)
        self.weights.add_row(weights)
        self.inputs.add_row(inputs)
        self.xs.append(x)
        self.zs.append(z)
        self.placed_zs.append(self.layout.place_z(z))
        self.books.append(book)
        if inputs:
            self.of_lanes.append(r)
        if self.first_gradient is None and (weights or inputs):
            self.first_gradient = len(self.steps)
        return r

    def runs(self, x: int) -> bool:
        """Return whether a rotation with this mask flips no lane bit as amplitudes lie now."""
        return not self.layout.place_x(x) & self.layout.lanes

    def make_way(self, masks: Callable[[], list[int]]) -> None:
        """Exchange lane bits so that the first of these rotations, as many as can be, flip none."""
        self.close()
        shift = self.layout.n_lane_bits
        for one in self.layout.make_way(masks()):
            rows, partner = one.rows >> shift << 7, one.partner >> shift << 7
            self.steps.append(
                [at.EXCHANGE, one.lane_bit, one.flip, below_top(one.partner >> shift, 128), rows, partner]
            )

    def add(self, kind: int, *items: Item, book: int = at.PLAIN) -> None:
        """Write an operation of one or more rotations into the open block or a new one."""
        shift = self.layout.n_lane_bits
        xs = [self.layout.place_x(x) >> shift for x, _, _ in items]
        if kind in _DIAGONAL[1:]:
            xs = duals([self.layout.place_z(z) >> shift for _, z, _ in items]) or xs
        if len(self.block.ops) == at.MAX_OPS or not self.block.span.add(*xs):
            self.close()
            self.block.span.add(*xs)
        rotations = []
        for place, (row_x, (x, z, angle)) in enumerate(zip(xs, items, strict=True), 1):
            joined = kind in _SCALED and place < len(items)
            r = self.add_rotation(x, z, angle, at.JOINED if joined else book)
            rotations.append((row_x, self.placed_zs[r] >> shift, self.placed_zs[r] & self.layout.lanes, r))
        self.block.ops.append((kind, rotations))

    def close(self) -> None:
        """Close the open block, if it has anything."""
        span, waiting = self.block
        if not waiting:
            return
        span.fill()
        first = len(self.ops)
        for kind, rotations in waiting:
            basis, lows = -1, [-1, 0]
            if kind in _BUNDLES:
                basis = self._place_basis(span, rotations)
            elif kind != at.DIAGONAL:
                n, n2 = span.number(rotations[0][0]), span.number(rotations[-1][0])
                lows = [below_top(n, 8), 0]
                if len(rotations) == 2:
                    top = 1 << (n.bit_length() - 1)
                    lows = sorted((lows[0], below_top(n2 ^ n if n2 & top else n2, 8)))
            row = [entry for x, z, sign, r in rotations for entry in (x << 7, z << 7, sign, r)]
            row += [0] * (at.OP_WIDTH - at.OP_FIRST - len(row))
            self.ops.append((kind, len(rotations), basis, *lows, *row))
        inside = sum(span.basis) << 7 | 127
        elements = self._place_elements(span)
        self.steps.append([at.BLOCK, first, len(self.ops), len(span.basis), elements, inside])
        self.block = self._new_block()

    def _place_elements(self, span: Span) -> int:
        key = tuple(sorted(span.basis.items())) if span.dimension < self.n_row_bits else ()
        place = self.place_of_elements.get(key)
        if place is None:
            place = self.place_of_elements[key] = self._append_elements(span.elements() << 7)
        return place

    def _place_basis(self, span: Span, rotations: Sequence[tuple[int, int, int, int]]) -> int:
        """Write the offsets that a bundle's walk adds, and one that its last turn reads in vain."""
        xs, zs = [x for x, _, _, _ in rotations], [z for _, z, _, _ in rotations]
        return self._append_elements(np.array([*span.even_basis(zs, xs), 0], dtype=np.int64) << 7)

    def _append_elements(self, elements: npt.NDArray[np.int64]) -> int:
        place = self.n_elements
        self.elements.append(elements)
        self.n_elements += len(elements)
        return place

    def add_diagonal_layer(self, layer: Layer) -> None:
        """Write diagonal rotations: shared ones as a table where that is cheaper, the others one by one."""
        shared, own = [], list[Item]()
        for (_, z), angle in zip(layer.masks, layer.angles, strict=True):
            if self.depends_on_inputs(angle):
                own.append((0, z, angle))
            else:
                shared.append((z, angle))
        while own:
            bundle = self._take_diagonals(own)
            self.add(_DIAGONAL[len(bundle) - 1], *bundle)
        if len(shared) < (TABLE_MIN_TERMS_WIDE if self.layout.lanes else TABLE_MIN_TERMS):
            for z, angle in shared:
                self.add(at.DIAGONAL, (0, z, angle))
            return
        self.close()
        first = len(self.const)
        for k, (z, angle) in enumerate(shared):
            self.add_rotation(0, z, angle, at.FIRST_TABLE + self.n_tables if k == 0 else at.PLAIN)
        self.steps.append([at.TABLE, first, len(self.const), self.n_tables, 0, 0])
        self.n_tables += 1
        self.n_scaled = 0

    def _take_diagonals(self, items: list[Item]) -> list[Item]:
        """Take off the first diagonal rotation and those that join its bundle: their masks are independent."""
        shift, bundle = self.layout.n_lane_bits, [items.pop(0)]
        masks = [self.layout.place_z(bundle[0][1]) >> shift]
        place = 0
        while masks[0] and len(bundle) < at.MOST and place < min(len(items), SEARCH_BUNDLE):
            mask = self.layout.place_z(items[place][1]) >> shift
            if duals([*masks, mask]) is None:
                place += 1
            else:
                masks.append(mask)
                bundle.append(items.pop(place))
        return bundle

    def add_start(self, items: list[Item]) -> tuple[int, list[Item]]:
        """Write rotations that commute and whose highest flipped bits differ, with which |0...0> is easily prepared.

        Returns:
            Number of steps written, and the rotations left, which follow them.
        """
        chosen: list[tuple[int, Item]] = []
        rest: list[Item] = []
        for place, item in enumerate(items):
            x, z, _ = item
            top = self.layout.place_x(x)
            if any(anticommute(x, z, *other[:2]) for other in rest):
                rest += items[place:]
                break
            if not self.runs(x):
                rest.append(item)
            elif any(
                top.bit_length() == other_top.bit_length() or anticommute(x, z, *other[:2])
                for other_top, other in chosen
            ):
                rest += items[place:]
                break
            else:
                chosen.append((top, item))
        ordered = [item for _, item in sorted(chosen, key=lambda pair: pair[0])]
        while ordered:
            most = next((n for n in (3, 2) if len(ordered) >= n and _free_of_signs(ordered[:n])), 1)
            kind = at.IMAGINARY if kind_of(*ordered[0][:2]) else _REAL[most - 1]
            self.add(kind, *ordered[:most])
            ordered = ordered[most:]
        self.close()
        return len(self.steps), rest

    def add_layer(self, items: list[Item], later: Callable[[], Iterator[int]]) -> None:
        """Write rotations that are not diagonal: neighbours with shared angles, of one kind, in pairs.

        Args:
            items: The rotations.
            later: Gives the masks of X of the rotations that follow, as far as they are known.
        """
        left = items[::-1]
        free = bool(self.layout.lanes) and _commute(items)
        while left:
            if not self.runs(left[-1][0]):
                ready = [item for item in left if self.runs(item[0])] if free else []
                if ready:
                    left = [item for item in left if not self.runs(item[0])] + ready
                else:
                    todo = left[::-1]
                    self.make_way(lambda todo=todo: _first([x for x, _, _ in todo], later(), self.n_row_bits))  # type: ignore[misc]  # mypy cannot type a default of a lambda
            self._add_next(left)

    def _add_next(self, left: list[Item]) -> None:
        """Write the last rotation of the list, and others that join it, and take them off."""
        item = left.pop()
        kind = kind_of(*item[:2])
        plain = self.depends_on_inputs(item[2])
        if not plain and self.n_scaled >= RESET_AFTER:
            self.add(kind, item, book=at.RESET)
            self.n_scaled = 0
            return
        items = [item]
        if kind == at.REAL:
            self._fill_bundle(items, left, 2 if plain else at.MOST)
            kind = (_REAL if plain else _SCALED)[len(items) - 1]
        elif not plain and left and self._pairs(item, left[-1]):
            kind, items = at.PAIR_IMAGINARY, [item, left.pop()]
        elif not plain:
            kind = at.SCALED_IMAGINARY
        self.add(kind, *items, book=at.PLAIN if plain else at.SCALED)
        if not plain:
            self.n_scaled += len(items)

    def _fill_bundle(self, items: list[Item], left: list[Item], most: int) -> None:
        """Move rotations that join a bundle, and may be done now, from the end of the list to the bundle."""
        plain, skipped = self.depends_on_inputs(items[0][2]), list[Item]()
        for place in range(len(left) - 1, max(-1, len(left) - 1 - SEARCH_BUNDLE), -1):
            if len(items) == most:
                return
            item = left[place]
            if (
                self.depends_on_inputs(item[2]) == plain
                and self.runs(item[0])
                and _free_of_signs([*items, item])
                and not any(anticommute(*item[:2], *other[:2]) for other in skipped)
            ):
                items.append(left.pop(place))
            else:
                skipped.append(item)

    def _pairs(self, item: Item, other: Item) -> bool:
        return (
            other[0] != item[0]
            and kind_of(*other[:2]) == at.IMAGINARY
            and not self.depends_on_inputs(other[2])
            and self.runs(other[0])
        )


def _free_of_signs(items: Sequence[Item]) -> bool:
    """Return whether these are real rotations and each leaves the signs of the others as they are."""
    return all(
        (x & z).bit_count() & 1 == (place == other)
        for place, (x, _, _) in enumerate(items)
        for other, (_, z, _) in enumerate(items)
    )


def _commute(items: Sequence[Item]) -> bool:
    """Return whether all of them commute (False for very many, to save the time)."""
    return len(items) <= 64 and not any(
        anticommute(*a[:2], *b[:2]) for place, a in enumerate(items) for b in items[:place]
    )


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
