"""From one large state in the workspace to the circuit's amplitudes or probabilities, without a second working copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from superpose.engine.arrays import Array
from superpose.engine.blocks import Span
from superpose.engine.frame import Frame, Pauli
from superpose.engine.kernel_table import load_kernel
from superpose.engine.layouts import Layout
from superpose.engine.lowering import Lowered
from superpose.engine.pool import get_threads
from superpose.engine.ranges import run_ranges

if TYPE_CHECKING:
    from superpose.engine.runner import Runner

__all__ = ["LargeStates", "Unloading"]

COSET_BITS = 6
"""Rows of ``2**COSET_BITS`` are taken together, so that amplitudes go to runs of that many neighbours."""


class _Images:
    """The frame's map of basis states, ``F|j> = i^turns(j) |index(j)>``."""

    def __init__(self, frame: Frame) -> None:
        self._frame, n = frame, frame.n_qubits
        self.columns = [
            sum(1 << (n - 1 - q) for q, (_, z, _) in enumerate(frame.z) if z >> bit & 1) for bit in range(n)
        ]

    def column(self, j: int) -> int:
        """Return ``index(j) ^ index(0)``."""
        out = 0
        for bit, column in enumerate(self.columns):
            if j >> bit & 1:
                out ^= column
        return out

    def turns(self, j: int) -> int:
        """Return ``turns(j)``.

        From ``X_q F|j> = F i^k X^x Z^z|j>`` follows ``turns(j ^ x) = turns(j) - k - 2 parity(j & z)``.
        """
        n, reached, turns, todo = self._frame.n_qubits, 0, self._frame.quarters, self.column(j)
        for q, (x, z, k) in enumerate(self._frame.x):
            if todo >> (n - 1 - q) & 1:
                turns -= k + 2 * ((reached & z).bit_count() & 1)
                reached ^= x
        return turns & 3

    def bilinear(self, j: int) -> int:
        """Return the mask m with ``turns(j ^ l) = turns(j) + turns(l) - turns(0) + 2 parity(l & m)``."""
        n, out, todo = self._frame.n_qubits, 0, self.column(j)
        for q, (_, z, _) in enumerate(self._frame.x):
            if todo >> (n - 1 - q) & 1:
                out ^= z
        return out


class Unloading:
    """How a program's final states are copied out; see `superpose.engine.kernels.unloading`."""

    def __init__(self, lowered: Lowered, layout: Layout, dtype: str) -> None:
        self._images, self._dtype = _Images(lowered.frame), dtype
        self._origin = lowered.frame.origin
        n, shift = layout.n_bits, layout.n_lane_bits
        self._lanes, self._shift, self._n = 1 << shift, shift, n
        self._indices = [sum(1 << i for i, z in enumerate(layout.z_images) if z >> bit & 1) for bit in range(n)]
        self._columns = [self._images.column(index) for index in self._indices]
        masks = [self._images.bilinear(index) for index in self._indices]
        self._masks = [
            sum(((mask & index).bit_count() & 1) << bit for bit, index in enumerate(self._indices)) for mask in masks
        ]
        self._span = Span(COSET_BITS, n - shift)
        for place in _preimages(self._columns, COSET_BITS):
            self._span.add(place >> shift)
        self._span.fill()
        self.n_cosets = 1 << (n - shift - len(self._span.basis))
        self._kept_plan = lru_cache(maxsize=8)(self.plan)  # a plan takes longer than a run of 13 qubits

    def _of(self, place: int, turns: Sequence[int]) -> tuple[int, int, int]:
        """Return change of the index, quarter turns and mask of a place."""
        to = quarter = mask = 0
        for bit in range(self._n):
            if place >> bit & 1:
                to ^= self._columns[bit]
                quarter += turns[bit] + 2 * (mask >> bit & 1)
                mask ^= self._masks[bit]
        return to, quarter & 3, mask

    def plan(self, string: Pauli) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.complex128]]:
        """Return the plan for states in front of which stands a Pauli string, and ``factors / scale``."""
        from superpose.engine.kernels import unloading as at

        x, z, k = string

        def turned(index: int) -> int:
            return k + 2 * ((index & z).bit_count() & 1) + self._images.turns(index ^ x)

        origin = turned(0)
        turns = [(turned(index) - origin) & 3 for index in self._indices]
        elements = [int(row) << self._shift for row in self._span.elements()]
        lanes = [self._of(lane, turns) for lane in range(self._lanes)]
        header = np.zeros(at.PLAN_HEADER, dtype=np.int64)
        sections = [
            np.array([(c, t, m) for c, t, m in zip(self._columns, turns, self._masks, strict=True)], dtype=np.int64),
            np.array([to for to, _, _ in lanes], dtype=np.int64),
            np.array([(place, *self._of(place, turns)) for place in elements], dtype=np.int64),
        ]
        start = at.PLAN_HEADER
        for place, section in zip((at.COLUMNS, at.LANES, at.ELEMENTS), sections, strict=True):
            header[place] = start
            start += section.size
        for place, value in (
            (at.N_BITS, self._n),
            (at.LANE_BITS, self._shift),
            (at.N_ELEMENTS, len(elements)),
            (at.INSIDE, sum(self._span.basis)),
            (at.TO, self._origin ^ self._images.column(x)),
        ):
            header[place] = value
        factors = np.array(
            [
                1j ** ((origin + turn + own + 2 * ((lane & mask).bit_count() & 1)) & 3)
                for mask in range(self._lanes)
                for turn in range(4)
                for lane, (_, own, _) in enumerate(lanes)
            ]
        )
        return np.concatenate([header, *(section.ravel() for section in sections)]), factors

    def write(self, work: Array, at_state: int, string: Pauli, scale: complex, out: Array) -> None:
        """Write the state at a place of the workspace, times ``scale``, to ``out``.

        Args:
            work: The workspace.
            at_state: Where the state starts in it.
            string: The Pauli string in front of it.
            scale: A factor; of probabilities, its absolute value counts.
            out: Contiguous ``(2**n_qubits,)``: amplitudes of the workspace's precision, or float64 for probabilities.
        """
        from superpose.engine.kernels import unloading as at

        plan, factors = self._kept_plan(string)
        wanted = out.dtype == np.float64
        scaled = np.full(1, abs(scale)) if wanted else factors * scale
        parts = np.concatenate([scaled.real, scaled.imag]).astype(work.dtype)
        call = load_kernel("unload", self._dtype).call

        def part(first: int, last: int) -> None:
            arguments = np.zeros(at.SIZE, dtype=np.int64)
            arguments[:] = [first, last, wanted, id(plan), id(parts), id(work), id(out), at_state]
            call(0.0, id(arguments))

        run_ranges(part, self.n_cosets, get_threads() if self.n_cosets >= 64 else 1)


def _preimages(columns: Sequence[int], n: int) -> list[int]:
    """Return the places that are mapped to the lowest ``n`` bits of the index, by elimination."""
    rows = [(column, 1 << bit) for bit, column in enumerate(columns)]
    for bit in range(len(columns)):
        pivot = next(k for k in range(bit, len(rows)) if rows[k][0] >> bit & 1)
        rows[bit], rows[pivot] = rows[pivot], rows[bit]
        for k, (column, place) in enumerate(rows):
            if k != bit and column >> bit & 1:
                rows[k] = column ^ rows[bit][0], place ^ rows[bit][1]
    return [place for _, place in rows[:n]]


class LargeStates:
    """Final states of samples that run one at a time; each is run when it is copied out.

    Args:
        runner: What runs them.
        given: Inputs, weights and initial states, in the runner's form.
        lowered: The circuit.
    """

    def __init__(self, runner: Runner, given: tuple[Array, Array, Array], lowered: Lowered) -> None:
        self._runner, self._given, self._lowered = runner, given, lowered

    def vectors(self, values: Mapping[str, Any], dtype: Any) -> Array:
        """Return complex ``(batch, 2**n_qubits)`` for the parameters' values, numbers or arrays ``(batch,)``."""
        batch = len(self._given[0])
        phase = self._lowered.phases(values, batch)
        own = np.complex64 if self._runner.dtype == "float32" else np.complex128
        out = np.empty((batch, 1 << self._lowered.n_qubits), own)
        self._runner.unload(self._given, out, np.exp(1j * phase))
        return out.astype(dtype, copy=False)

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Return the probability of each basis state, float64 ``(batch, 2**n_qubits)``."""
        batch = len(self._given[0])
        out = np.empty((batch, 1 << self._lowered.n_qubits))
        self._runner.unload(self._given, out, np.ones(batch))
        return out
