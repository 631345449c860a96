"""Lays rotations out on the tape: blocks of operations, tables of phases, exchanges of lane bits, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.engine.blocks import Span
from superpose.engine.frame import anticommute
from superpose.engine.kernels import layout as at
from superpose.engine.layouts import Layout
from superpose.engine.lowering import Angle, Layer

__all__ = ["Item", "Sparse", "Writer", "below_top", "kind_of"]

TABLE_MIN_TERMS = 3
"""From so many shared diagonal rotations in one layer on, one table of phases is cheaper."""
TABLE_MIN_TERMS_WIDE = 12
"""The same in the wide layout, where a pass takes a 16th of the time, but making a table does not."""
WHOLE_BITS = 8
"""Up to so many row bits, both states of a tile fit the fast cache and a coset is all rows."""
BLOCK_BITS = 6
"""Beyond, cosets have ``2**BLOCK_BITS`` rows."""
RESET_AFTER = 24
"""So many scaled rotations may make the states grow, each by at most the square root of 2, until that is undone."""

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
    """Kind, and one or two of (x of the rows, z of the rows, z of the lanes, rotation)."""


class Writer:
    """Collects the sections of the tape, step by step."""

    def __init__(self, layout: Layout, inputs: Sequence[str], weights: Sequence[str]) -> None:
        self.layout = layout
        self.n_row_bits = layout.n_row_bits
        self.bits = self.n_row_bits if self.n_row_bits <= WHOLE_BITS else BLOCK_BITS
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
        return _Block(Span(self.bits, self.n_row_bits), [])

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
        """Write one rotation, or a pair, into the open block or a new one."""
        shift = self.layout.n_lane_bits
        xs = [self.layout.place_x(x) >> shift for x, _, _ in items]
        if len(self.block.ops) == at.MAX_OPS or not self.block.span.add(*xs):
            self.close()
            self.block.span.add(*xs)
        rotations = []
        for row_x, (x, z, angle) in zip(xs, items, strict=True):
            r = self.add_rotation(x, z, angle, book)
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
            (x, z, sign, r), (x2, z2, sign2, r2) = rotations[0], rotations[-1]
            n, n2 = span.number(x), span.number(x2)
            lows = [-1 if kind == at.DIAGONAL else below_top(n, 8), 0]
            if len(rotations) == 2:
                top = 1 << (n.bit_length() - 1)
                lows = sorted((below_top(n, 8), below_top(n2 ^ n if n2 & top else n2, 8)))
            self.ops.append((kind, x << 7, z << 7, sign, r, lows[0], x2 << 7, z2 << 7, sign2, r2, lows[1]))
        inside = sum(span.basis) << 7 | 127
        elements = self._place_elements(span)
        self.steps.append([at.BLOCK, first, len(self.ops), len(span.basis), elements, inside])
        self.block = self._new_block()

    def _place_elements(self, span: Span) -> int:
        key = tuple(sorted(span.basis.items())) if span.dimension < self.n_row_bits else ()
        place = self.place_of_elements.get(key)
        if place is None:
            place = self.place_of_elements[key] = self.n_elements
            self.elements.append(span.elements() << 7)
            self.n_elements += len(self.elements[-1])
        return place

    def add_diagonal_layer(self, layer: Layer) -> None:
        """Write diagonal rotations: shared ones as a table where that is cheaper, the others one by one."""
        shared = []
        for (_, z), angle in zip(layer.masks, layer.angles, strict=True):
            if self.depends_on_inputs(angle):
                self.add(at.DIAGONAL, (0, z, angle))
            else:
                shared.append((z, angle))
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
        for _, item in sorted(chosen, key=lambda pair: pair[0]):
            self.add(kind_of(*item[:2]), item)
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
        """Write the last rotation of the list, or the last two, and take it off."""
        item = left.pop()
        kind = kind_of(*item[:2])
        if self.depends_on_inputs(item[2]):
            self.add(kind, item)
        elif self.n_scaled >= RESET_AFTER:
            self.add(kind, item, book=at.RESET)
            self.n_scaled = 0
        elif left and self._pairs(item, left[-1]):
            self.add(kind + at.PAIR_REAL, item, left.pop(), book=at.SCALED)
            self.n_scaled += 2
        else:
            self.add(kind + at.SCALED_REAL, item, book=at.SCALED)
            self.n_scaled += 1

    def _pairs(self, item: Item, other: Item) -> bool:
        return (
            other[0] != item[0]
            and kind_of(*other[:2]) == kind_of(*item[:2])
            and not self.depends_on_inputs(other[2])
            and self.runs(other[0])
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
