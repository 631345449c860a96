"""Runs plans on density matrices, batched, on several threads, with exact gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.circuits import Observable
from superpose.circuits.operations import Operation
from superpose.engine.dynamic.factors import Block, Factor
from superpose.engine.dynamic.readout import Expectations
from superpose.engine.dynamic.schedule import Add, Copy, make_plan
from superpose.engine.dynamic.tables import LANE_COLUMNS, LANE_ROWS, Group, Tables
from superpose.engine.kernel_table import load_kernel
from superpose.engine.kernels import transfer_columns as c
from superpose.engine.kernels import vector_slots
from superpose.engine.memory import available_memory
from superpose.engine.pool import get_threads
from superpose.engine.ranges import run_ranges
from superpose.engine.workspace import aligned_array

__all__ = ["DensityRunner"]

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NOTHING = np.empty(0)
"""Stands for arrays that a part of the kernel does not use."""
IDLE_BYTES = 256 << 20
"""States of one call, no larger than this, are kept: fresh memory costs as much as a pass over it."""
_idle: list[Array] = []
SMALL_WORK = 200_000
"""Multiplications below which a second thread costs more than it gives."""
KEEP_BYTES = 1 << 30
"""States kept for a gradient, as long as they are no larger than this; then fewer are kept and the rest recomputed."""
CHUNK_NUMBERS = 1 << 23
"""Samples run together as long as their states have no more numbers than this (64 MiB)."""


class _Call(NamedTuple):
    """What belongs to one piece of the batch."""

    batch: int
    cos: Array
    sin: Array
    shared: Array
    own: Array


class _Move(NamedTuple):
    """A copy (1) or an addition (2) of slots."""

    kind: int
    source: int
    target: int


class _Stage(NamedTuple):
    """A group on some slots."""

    group: Group
    slots: tuple[int, ...]


class DensityRunner:
    """A circuit's operations as a plan on density matrices in the Pauli basis. Immutable; for any number of threads.

    Args:
        operations: In order, without measurements at the end.
        n_qubits: Number of qubits.
        names: Parameters given per sample, and those shared, in order.
        wanted: Bits that are told apart at the end.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        n_qubits: int,
        names: tuple[Sequence[str], Sequence[str]],
        wanted: Collection[int] = (),
    ) -> None:
        plan = make_plan(operations, wanted)
        self.n_qubits = n_qubits
        self._padded = max(n_qubits, 2)
        pad = self._padded - n_qubits
        tables = Tables(self._padded, names[0])
        self._steps: list[_Move | _Stage] = []
        for step in plan.steps:
            if isinstance(step, Copy | Add):
                self._steps.append(_Move(1 if isinstance(step, Copy) else 2, step.source, step.target))
            else:
                blocks = [_moved(block, pad) for block in step.blocks] if pad else step.blocks
                self._steps += [_Stage(group, step.slots) for group in tables.groups(blocks)]
        self.n_slots, self.records = plan.n_slots, plan.records
        factors, constants, pairs, offsets = tables.arrays()
        self._constant_arrays = {
            c.FACTORS: factors, c.CONSTANTS: constants, c.PAIRS: pairs, c.OFFSET_TABLE: offsets,
            c.LANE_ROWS: LANE_ROWS, c.LANE_COLUMNS: LANE_COLUMNS,
        }  # fmt: skip
        self._angles = tables.angles.placed(*names)
        self._sizes = tables.sizes
        self._most_factors = tables.most_factors
        self._rows = np.concatenate(
            [np.zeros((0, c.WIDTH), np.int64), *(step.group.rows for step in self._steps if isinstance(step, _Stage))]
        )
        self.size = 1 << 2 * self._padded
        """Numbers of one state."""
        self.n_groups = sum(isinstance(step, _Stage) for step in self._steps)
        self.work = sum(step.group.work * len(step.slots) for step in self._steps if isinstance(step, _Stage))
        """Multiplications for a sample."""

    def chunk_size(self, *, gradients: bool = False) -> int:
        """Return how many samples run together."""
        numbers = self.needed_bytes(gradients=gradients) // 8
        return max(1, CHUNK_NUMBERS // numbers)

    def _n_kept(self) -> int:
        return min(self.n_groups, 2 * math.isqrt(self.n_groups) + 1)

    def needed_bytes(self, *, gradients: bool = False) -> int:
        """Return the bytes that one sample takes: 8 per Pauli string and slot, times the states kept for gradients."""
        states = 8 * self.n_slots * self.size
        return states * (3 + self._n_kept()) if gradients else states

    def states(self, inputs: Array, weights: Array, initial: Array | None) -> Array:
        """Return the final states, ``(batch, n_slots, 4**n_qubits)`` (two qubits at least).

        Args:
            inputs: ``(batch, n_inputs)``.
            weights: ``(n_weights,)``.
            initial: States ``(1 or batch, 4**n_qubits)``; None for ``|0...0>``.
        """
        call = self._call(inputs, weights)
        states = self._start(call.batch, initial)
        for step in self._steps:
            self._forward(step, call, states)
        return states

    def value_and_grad(
        self, inputs: Array, weights: Array, initial: Array | None, expectations: Expectations, gradients: Array
    ) -> tuple[Array, Array, Array]:
        """Return expectations and the gradients by inputs and weights; see `states`."""
        call = self._call(inputs, weights)
        slots = sorted(self.records.values())
        states = self._start(call.batch, initial)
        length = self._segment_length(call.batch)
        segments = [self._steps[k : k + length] for k in range(0, len(self._steps), length)]
        kept: list[Array] = []
        before: list[Array] = []
        for segment in segments:
            kept.append(states.copy() if len(segments) > 1 else states[:0])
            before = self._replay(segment, call, states, keep=len(segments) == 1)
        values = expectations.values(states, slots)
        adjoint = _zeros(states.shape)
        expectations.adjoint(gradients, adjoint, slots)
        by_angle = np.zeros((call.batch, call.cos.shape[1]))
        for segment in reversed(segments):
            if len(segments) > 1:
                states[:] = kept.pop()
                before = self._replay(segment, call, states, keep=True)
            for step, saved in zip(reversed(segment), reversed(before), strict=True):
                self._backward(step, call, saved, adjoint, by_angle)
        return (values, *self._angles.back(by_angle))

    def _replay(self, segment: Sequence[_Move | _Stage], call: _Call, states: Array, *, keep: bool) -> list[Array]:
        """Run a segment; return the states before each step whose gradient needs them."""
        saved = []
        for step in segment:
            needs = keep and isinstance(step, _Stage) and step.group.environment_size > 0
            saved.append(_copy(states) if needs else states[:0])
            self._forward(step, call, states)
        return saved

    def _segment_length(self, batch: int) -> int:
        """Return how many steps are kept at once: all, or where memory is short, the square root of all."""
        n = max(1, len(self._steps))
        whole = self.n_groups * batch * self.n_slots * self.size * 8
        if whole <= min(KEEP_BYTES, available_memory() // 4):
            return n
        return max(1, math.isqrt(n - 1) + 1)

    def _call(self, inputs: Array, weights: Array) -> _Call:
        angles = self._angles.evaluate(inputs, weights)
        cos, sin = np.cos(angles), np.sin(angles)
        batch, own_size = len(inputs), self._sizes[1]
        call = _Call(batch, cos, sin, _zeros((self._sizes[0],)), _zeros((batch * own_size,)))
        arrays: dict[int, Any] = {c.BLOCKS: self._rows, c.SCRATCH: np.empty((2, 16, 16))}
        self._run(call, (c.PREPARE_SHARED, 0, 0, 0, 0, 0, 0), arrays)
        if own_size:

            def part(first: int, last: int) -> None:
                scratch = {c.SCRATCH: np.empty((2, 16, 16))}
                self._run(call, (c.PREPARE_OWN, first, last, own_size, 0, 0, 0), arrays | scratch)

            _spread_out(part, batch, batch * own_size * 16)
        return call

    def _run(self, call: _Call, numbers: tuple[int, ...], arrays: dict[int, Any]) -> None:
        """Call the kernel; see `superpose.engine.kernels.transfer_columns`."""
        block = np.zeros(c.N_ARGUMENTS, np.int64)
        block[: len(numbers)] = numbers
        block[c.ARG_OPERATE] = load_kernel("vector_loops", "float64").address
        block[c.BLOCKS :: 3] = id(_NOTHING)
        given = self._constant_arrays | {c.COS: call.cos, c.SIN: call.sin, c.SHARED: call.shared, c.OWN_TABLE: call.own}
        given |= arrays
        for place, array in given.items():
            block[place : place + 3] = id(array), *(*array.shape, 0)[:2]
        load_kernel("transfer", "float64").call(0.0, id(block))

    def _start(self, batch: int, initial: Array | None) -> Array:
        size = batch * self.n_slots * self.size
        states = _idle_or_new(size)
        states = states.reshape(batch, self.n_slots, self.size)
        if initial is None:  # |0...0>: one for every string of I and Z
            states[:, 0] = 0.0
            states[:, 0, _i_and_z(self._padded)] = 1.0
            return states
        if self._padded > self.n_qubits:  # a qubit in |0> in front
            initial = np.concatenate([initial, 0 * initial, 0 * initial, initial], axis=1)
        states[:, 0] = initial
        return states

    def give_back(self, states: Array) -> None:
        """Keep the memory of states for a next call; the caller must not use them any more."""
        if states.nbytes <= IDLE_BYTES:
            _idle[:] = [states.reshape(-1)]

    def _forward(self, step: _Move | _Stage, call: _Call, states: Array) -> None:
        if isinstance(step, _Move):
            if step.kind == 1:
                states[:, step.target] = states[:, step.source]
            else:
                states[:, step.target] += states[:, step.source]
            return
        group = step.group
        places = np.array([slot * self.size for slot in step.slots], np.int64)
        arrays = {
            c.BLOCKS: group.rows, c.STATES: states.reshape(-1), c.PLACES: places, c.STARTS: group.starts,
            c.CHUNKS: group.chunks,
        }  # fmt: skip

        def part(first: int, last: int) -> None:
            numbers = (c.FORWARD_TILES, first, last, self._sizes[1], self.n_slots * self.size, group.chunk, group.size)
            tile = _empty(group.size if group.chunk else 0)
            self._run(call, numbers, arrays | _loop_scratch() | {c.TILES: tile})

        _spread_out(part, call.batch * len(places) * len(group.starts), group.work * call.batch * len(places))

    def _backward(self, step: _Move | _Stage, call: _Call, states: Array, adjoint: Array, by_angle: Array) -> None:
        if isinstance(step, _Move):
            if step.kind == 1:
                adjoint[:, step.source] += adjoint[:, step.target]
            else:
                adjoint[:, step.source] = adjoint[:, step.target]
            return
        group = step.group
        places = np.array([slot * self.size for slot in step.slots], np.int64)
        n_items = call.batch * len(places) * len(group.starts)
        environments = np.empty((n_items, group.environment_size))
        arrays = {
            c.BLOCKS: group.rows, c.STATES: (states if len(states) else adjoint).reshape(-1),
            c.ADJOINTS: adjoint.reshape(-1), c.PLACES: places, c.STARTS: group.starts, c.CHUNKS: group.chunks,
            c.ENVIRONMENTS: environments,
        }  # fmt: skip

        def part(first: int, last: int) -> None:
            numbers = (c.BACKWARD_TILES, first, last, self._sizes[1], self.n_slots * self.size, group.chunk, group.size)
            tiles = _empty((2 + group.n_kept) * group.size)
            self._run(call, numbers, arrays | _loop_scratch() | {c.TILES: tiles})

        _spread_out(part, n_items, 3 * group.work * call.batch * len(places))
        if not group.environment_size:
            return
        sums = environments.reshape(call.batch, -1, group.environment_size).sum(axis=1)  # (batch, size)
        found = {c.BLOCKS: group.rows, c.ENVIRONMENTS: sums, c.BY_ANGLE: by_angle}

        def angles(first: int, last: int) -> None:
            scratch = {c.SCRATCH: np.empty((2 + self._most_factors, 16, 16))}
            self._run(call, (c.ANGLES, first, last, 0, 0, 0, 0), found | scratch)

        _spread_out(angles, call.batch, call.batch * group.environment_size * 64)


def _loop_scratch() -> dict[int, Any]:
    return {c.SUMS: _empty(256 * vector_slots.N_LANES), c.LOOP_ARGUMENTS: np.empty(vector_slots.SIZE, np.int64)}


def _spread_out(part: Callable[[int, int], None], n_items: int, work: int) -> None:
    """Call ``part`` on ranges of items, on several threads where the work is worth it."""
    threads = get_threads()
    if threads == 1 or n_items == 1 or work < SMALL_WORK:
        part(0, n_items)
    else:
        run_ranges(part, n_items, threads)


def _zeros(shape: tuple[int, ...]) -> Array:
    out = _empty(math.prod(shape)).reshape(shape)
    out[...] = 0.0
    return out


def _idle_or_new(size: int) -> Array:
    """Return the memory of an earlier call where it has this size."""
    try:
        kept = _idle.pop()  # one step of the interpreter: no other thread gets the same
    except IndexError:
        return _empty(size)
    return kept if kept.size == size else _empty(size)


def _empty(size: int) -> Array:
    """Return numbers that start on a multiple of 64 bytes."""
    out: Array = aligned_array(size, np.float64)
    return out


def _copy(states: Array) -> Array:
    out = _empty(states.size).reshape(states.shape)
    out[...] = states
    return out


def _moved(block: Block, by: int) -> Block:
    """Return the block on qubits ``by`` further on."""
    factors = [Factor(tuple(q + by for q in f.qubits), f.matrix, f.letters, f.angle) for f in block.factors]
    return Block(tuple(q + by for q in block.qubits), factors)


def _i_and_z(n_qubits: int) -> Ints:
    """Return the entries of the Pauli strings made of I and Z."""
    out = np.zeros(1, np.int64)
    for _ in range(n_qubits):
        out = (4 * out[:, None] + np.array([0, 3])).reshape(-1)
    return out


def observables_of(observables: Sequence[Observable], n_qubits: int) -> Expectations:
    """Return the expectations of states with two qubits at least."""
    pad = "I" * (2 - n_qubits)
    return Expectations([Observable([(pad + p, k) for p, k in o.terms], n_qubits + len(pad)) for o in observables])
