"""Where amplitudes lie in memory: which index bits number rows, which ones number the lanes of a vector.

Usually a vector holds one amplitude of 16 (float32) or 8 (float64) samples. For few samples or large states it holds
neighbouring amplitudes of one sample instead ("wide" layout). A rotation about ``i^k X^x Z^z`` can then only be run
while ``x`` flips no lane bit; so lane bits are exchanged with row bits now and then, a whole run of rotations ahead.

Place = linear map of index, over the two-element field. As for the Clifford frame, masks follow: those of X as the map,
those of Z as its inverse transposed. Place bits below ``n_lane_bits`` are the lane's, the others the row's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Exchange", "Layout", "lane_bits_of", "lanes_of", "runs_wide"]

WIDE_FROM = 13
"""From so many qubits on, one sample at a time keeps more of the work in the caches."""


def lanes_of(dtype: str) -> int:
    """Return how many numbers a vector holds: 16 of float32, 8 of float64."""
    return 16 if dtype == "float32" else 8


def lane_bits_of(dtype: str) -> int:
    """Return how many bits number the lanes of a vector."""
    return lanes_of(dtype).bit_length() - 1


def runs_wide(n_qubits: int, batch: int, dtype: str) -> bool:
    """Return whether a batch runs one sample at a time, with amplitudes in the lanes."""
    lanes = lanes_of(dtype)
    n_tiles = -(-batch // lanes)
    if n_qubits < 2 * lane_bits_of(dtype) + 1:  # too few row bits to exchange with
        return False
    return n_qubits >= WIDE_FROM or 2 * batch <= n_tiles * lanes


PLACED_AT_ONCE = 1 << 16
"""So many amplitudes of a state that is given are put in their places at a time."""


class Exchange(NamedTuple):
    """One pass over the state; doing it twice undoes it.

    With ``flip`` rows of odd parity with ``rows`` get the lane bit turned over. Without, the lane bit changes places
    with
    that parity: of two rows that differ by ``partner``, the even one keeps the lanes with a zero bit and takes those of
    the odd one.
    """

    flip: bool
    lane_bit: int
    rows: int
    partner: int


class Layout:
    """The map from indices to places, as it is at some point of a tape.

    Args:
        n_bits: Number of index bits (qubits).
        n_lane_bits: 0 for one sample per lane, else as many bits as number the lanes.

    The initial map only serves the cache: rows lie 128 bytes apart, so rows that differ from the sixth bit on would
    share one of its 64 sets. From 9 row bits on, a high row bit therefore comes with a low one.
    """

    def __init__(self, n_bits: int, n_lane_bits: int) -> None:
        self.n_bits, self.n_lane_bits = n_bits, n_lane_bits
        self.n_row_bits = n_bits - n_lane_bits
        self.x_images = [1 << bit for bit in range(n_bits)]
        self.z_images = [1 << bit for bit in range(n_bits)]
        if self.n_row_bits > 8:
            for row_bit in range(5, self.n_row_bits):
                self._add(n_lane_bits + row_bit % 5, 1 << (n_lane_bits + row_bit))
        self.is_identity = self.n_row_bits <= 8 and not n_lane_bits
        self._x_tables: list[list[int]] | None = None  # made where they are needed
        self._z_tables: list[list[int]] | None = None

    @property
    def lanes(self) -> int:
        """Mask of the lane bits."""
        return (1 << self.n_lane_bits) - 1

    def _add(self, bit: int, mask: int) -> None:
        """From now on place bit ``bit`` is what it was plus the parity with ``mask`` (which has not that bit)."""
        self.x_images = [x ^ ((x & mask).bit_count() & 1) << bit for x in self.x_images]
        self.z_images = [z ^ mask if z >> bit & 1 else z for z in self.z_images]

    def place_x(self, mask: int) -> int:
        """Return where the mask of an X string has moved."""
        if self.is_identity:
            return mask
        if self._x_tables is None:
            self._x_tables = _tables(self.x_images)
        return _image(mask, self._x_tables)

    def place_z(self, mask: int) -> int:
        """Return where the mask of a Z string has moved."""
        if self.is_identity:
            return mask
        if self._z_tables is None:
            self._z_tables = _tables(self.z_images)
        return _image(mask, self._z_tables)

    def _columns(self) -> list[int]:
        """Return the index of the amplitude at each place that is a power of 2."""
        return [
            sum(1 << index_bit for index_bit, z in enumerate(self.z_images) if z >> bit & 1)
            for bit in range(self.n_bits)
        ]

    def indices(self) -> npt.NDArray[np.int64]:
        """Return the index of the amplitude at each place, ``(2**n_bits,)``."""
        return _spanned(self._columns())

    def placed(self, states: npt.NDArray[Any], dtype: type[Any]) -> npt.NDArray[Any]:
        """Return amplitudes ``(..., 2**n_bits)`` at their places, as a new array.

        Cost: no more memory than what is returned and `PLACED_AT_ONCE` indices.
        """
        columns = self._columns()
        few = min(self.n_bits, PLACED_AT_ONCE.bit_length() - 1)
        low = _spanned(columns[:few])
        out = np.empty(states.shape, dtype)
        for number, high in enumerate(_spanned(columns[few:])):
            out[..., number << few : number + 1 << few] = states[..., low ^ high]
        return out

    def make_way(self, masks: Sequence[int]) -> list[Exchange]:
        """Change the map so that the first of these X masks flip no lane bit, as many as can be, and return the
        passes."""
        placed = [self.place_x(mask) for mask in masks]
        if not placed or not placed[0] & self.lanes:
            return []
        found = self._parities_clear_of(placed[: self._n_clear(placed)])
        return self._exchange(*found)

    def _n_clear(self, masks: Sequence[int]) -> int:
        """Return how many masks, from the first on, can be cleared of lane bits at once.

        The parities that are even on a span of r dimensions span ``n_bits - r``, and ``n_row_bits - r + s`` in their
        row parts if the span has s dimensions among the lanes. There have to be as many as lane bits that are flipped.
        """
        lanes, flipped, n_free = self.lanes, 0, self.n_row_bits
        spanned: list[int] = []
        among_lanes: list[int] = []
        for number, mask in enumerate(masks):
            n_free += _extends(among_lanes, mask & lanes) - _extends(spanned, mask)
            flipped |= mask & lanes
            if n_free < flipped.bit_count() or len(spanned) > self.n_row_bits:
                return number
        return len(masks)

    def _parities_clear_of(self, masks: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return the lane bits to give away and as many parities of places to take, which `_n_clear` says there are.

        The parities, and the lane bits that stay, are even on all masks; the row parts of the parities are independent.
        """
        spanned: dict[int, int] = {}
        for mask in masks:
            _insert(spanned, mask, -1)
        leave = [bit for bit in range(self.n_lane_bits) if any(vector >> bit & 1 for vector in spanned.values())]
        parities: dict[int, int] = {}
        for bit in range(self.n_bits):
            if 1 << bit not in spanned:
                parity = 1 << bit | sum(pivot for pivot, vector in spanned.items() if vector >> bit & 1)
                _insert(parities, parity, ~self.lanes)
        # those without a lane part need one pass less
        return leave, sorted(parities.values(), key=lambda parity: parity & self.lanes != 0)[: len(leave)]

    def _exchange(self, leave: list[int], parities: list[int]) -> list[Exchange]:
        """Put the parities into the lane bits ``leave``."""
        mixed: dict[int, int] = {}
        plain = [rest for parity in parities if (rest := _insert(mixed, parity, self.lanes)) is not None]
        free = [bit for bit in leave if 1 << bit not in mixed]
        # the lane parts of mixed parities, but for one bit each, move to rows with the plain ones
        todo = [*zip(free, plain, strict=True), *((pivot.bit_length() - 1, parity) for pivot, parity in mixed.items())]
        passes = []
        while todo:
            bit, parity = todo.pop(0)
            rows = parity & ~self.lanes
            passes.append(Exchange(flip=False, lane_bit=bit, rows=rows, partner=rows & -rows))
            if parity >> bit & 1:  # behind the first pass, the rows' parity is the former lane bit
                passes.append(Exchange(flip=True, lane_bit=bit, rows=rows, partner=0))
            todo = [(other, self._through(passes[-2:] if parity >> bit & 1 else passes[-1:], z)) for other, z in todo]
        for one in passes:
            self._change(one)
        return passes

    def _through(self, passes: Sequence[Exchange], z: int) -> int:
        """Return a Z mask behind the passes."""
        for one in passes:
            lane = 1 << one.lane_bit
            if one.flip:
                z ^= one.rows if z & lane else 0
            elif bool(z & one.partner) != bool(z & lane):
                z ^= one.rows | lane
        return z

    def _change(self, one: Exchange) -> None:
        """Move the masks as the pass moves the amplitudes."""
        lane = 1 << one.lane_bit
        for k, x in enumerate(self.x_images):
            odd = (x & one.rows).bit_count() & 1
            if one.flip:
                self.x_images[k] = x ^ lane if odd else x
            elif odd != x >> one.lane_bit & 1:
                self.x_images[k] = x ^ one.partner ^ lane
        if one.flip:
            self.z_images = [z ^ one.rows if z & lane else z for z in self.z_images]
        else:
            partner, mixed = one.partner, one.rows | lane
            self.z_images = [z ^ mixed if (not z & partner) != (not z & lane) else z for z in self.z_images]
        self.is_identity, self._x_tables, self._z_tables = False, None, None


def _spanned(columns: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return the sums of columns, over the two-element field, for all numbers whose bits choose them."""
    out = np.zeros(1, dtype=np.int64)
    for column in columns:
        out = np.concatenate([out, out ^ column])
    return out


_CHUNK = 5
_LOW = (1 << _CHUNK) - 1


def _tables(images: Sequence[int]) -> list[list[int]]:
    """Return the images of all masks of some bits at a time."""
    tables = []
    for start in range(0, len(images), _CHUNK):
        table = [0]
        for image in images[start : start + _CHUNK]:
            table += [other ^ image for other in table]
        tables.append(table)
    return tables


def _image(mask: int, tables: list[list[int]]) -> int:
    out = 0
    for table in tables:
        out ^= table[mask & _LOW]
        mask >>= _CHUNK
    return out


def _extends(basis: list[int], vector: int) -> int:
    """Add a vector to a basis if it extends the span; return 1 if so, else 0."""
    for other in basis:  # whose highest bits differ; a later one has none that an earlier one would take out
        rest = vector ^ other
        if rest < vector:
            vector = rest
    if vector:
        basis.append(vector)
    return int(vector != 0)


def _insert(basis: dict[int, int], vector: int, within: int) -> int | None:
    """Add a vector to a basis, kept by bits of ``within`` that no other vector has.

    Returns:
        None, or, if the basis spans all that the vector has within already, the vector less that.
    """
    for pivot, other in basis.items():
        if vector & pivot:
            vector ^= other
    part = vector & within
    if not part:
        return vector
    pivot = part & -part
    for bit, other in basis.items():
        if other & pivot:
            basis[bit] = other ^ vector
    basis[pivot] = vector
    return None
