"""One tape with its working memory: what turns arrays into calls of the compiled interpreter."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from superpose.engine.arrays import Array, not_finite_error
from superpose.engine.kernel_table import Kernel, load_kernel
from superpose.engine.kernels import arguments, layout, limits, modes
from superpose.engine.layouts import Layout, lane_bits_of, lanes_of
from superpose.engine.lowering import Lowered
from superpose.engine.memory import ONE_AT_A_TIME_FROM
from superpose.engine.pool import Mate, Work, gather, get_threads, run_together
from superpose.engine.states import FinalStates, PlacedStates
from superpose.engine.tape import build_tape
from superpose.engine.tape_files import Written
from superpose.engine.unloading import LargeStates, Unloading
from superpose.engine.workspace import Shelf, rounded

__all__ = ["Bound", "Dtype", "Runner"]

Dtype = Literal["float32", "float64"]

SMALL_WORK = 60_000
"""Updates of vectors below which a second thread costs more than it gives."""
WORK_PER_ROTATION = 48
"""What a rotation of a tile takes besides the updates of its rows, as if it had so many more."""
SMALL_WORK_OF_STEPS = 8_000
"""Likewise for steps that never return to Python."""
LONG_WORK = 16 * SMALL_WORK
"""From here on a call takes so long that waking a thread is nothing beside it, some milliseconds."""
SHARED_ROWS = 4096
"""Threads share states of so many rows (512 KiB); moving smaller ones between their caches takes the time it saves."""

_write_arguments = struct.Struct(f"={arguments.SIZE}q").pack_into


class Bound(NamedTuple):
    """A call of the interpreter that other kernels make."""

    address: int
    """Of the interpreter."""
    arguments: Array
    """Its arguments, all but MODE."""
    prepared: tuple[Array, ...]
    """What it computes for all samples together."""
    arrays: tuple[Array, ...]
    """What the arguments refer to: to be kept."""


class Runner:
    """Runs a lowered circuit in one layout of the amplitudes. Immutable; for any number of threads.

    Args:
        lowered: The circuit and what is measured.
        names: Parameters given per sample, and those shared, in order.
        dtype: Precision.
        wide: Whether the amplitudes of one sample fill the lanes, instead of samples.
        written: The tape, where another runner has written it.

    Attributes:
        written: The tape.
        idle: Working memory of other kernels' calls that nobody uses, by what it is for.
    """

    def __init__(
        self,
        lowered: Lowered,
        names: tuple[Sequence[str], Sequence[str]],
        dtype: Dtype,
        *,
        wide: bool,
        written: Written | None = None,
    ) -> None:
        self._lowered = lowered
        self._dtype = self.dtype = dtype
        self._real: type[Any] = np.float32 if dtype == "float32" else np.float64
        lanes = lanes_of(dtype)
        n_lane_bits = lane_bits_of(dtype) if wide else 0
        self.samples = lanes >> n_lane_bits
        """Samples per tile."""
        self.first_layout = Layout(lowered.n_qubits, n_lane_bits)
        if written is None:
            last_layout = Layout(lowered.n_qubits, n_lane_bits)
            written = Written(build_tape(lowered, names, last_layout, lanes), last_layout, lowered)
        self.written = written
        self.idle: dict[Any, list[Any]] = {}
        self._tape, self._last_layout = tape, _ = written[:2]
        n_tables = 2 * tape[layout.N_KEPT] * tape[layout.TABLE_SIZE]
        own = (rounded(tape[layout.SIZE_WIDE]), np.float64), (limits.SIZE_BLOCK, np.int64), (arguments.SIZE, np.int64)
        self._scratch = Shelf(((rounded(tape[layout.SIZE]), self._real), *own))
        self._forward_scratch = self._scratch
        if tape[layout.ROWS] >= limits.SPLIT_FROM:  # such states need no place for the adjoint one to be measured
            self._forward_scratch = Shelf(((rounded(tape[layout.AT_LAM]), self._real), *own))
        self.prepared = Shelf(
            (
                (tape[layout.SIZE_ANGLES], np.float64),
                (2 * tape[layout.PADDED], self._real),
                (n_tables, self._real),
                (layout.FRAME_SIZE, np.int64),
            )
        )
        """Memory for what a call computes for all its samples together."""
        self.n_rotations = tape[layout.N_ROTATIONS]
        self.state_size = 2 * lanes * tape[layout.ROWS_PADDED]
        """Numbers in the state of a tile."""
        self._work_per_tile = max(1, self.n_rotations) * (tape[layout.ROWS] + WORK_PER_ROTATION)
        self._n_inputs, self._n_weights = len(names[0]), len(names[1])
        self._operate = 0
        self._none1, self._none2 = np.empty(0, self._real), np.empty((0, 0), self._real)
        self._no_sums = np.empty((0, 0))
        self._kernel: Kernel | None = None
        self._unloading: Unloading | None = None

    def n_tiles(self, batch: int) -> int:
        """Return how many tiles a batch takes."""
        return -(-batch // self.samples)

    def updates(self, batch: int) -> int:
        """Return how many updates of vectors a pass over a batch takes, by which work is measured here."""
        return self.n_tiles(batch) * self._work_per_tile

    def new_states(self, batch: int) -> Array:
        """Return memory for the final states of a batch."""
        return np.empty((self.n_tiles(batch), self.state_size), self._real)

    def bound(
        self,
        given: tuple[Array, ...],
        states: Array,
        out: Array,
        gradients: tuple[Array, Array, Array],
        prepared: tuple[Array, ...] | None = None,
    ) -> Bound:
        """Return the interpreter's arguments for all tiles of such a call, for kernels that call it on one thread.

        Args:
            given, states, out, gradients: As for `run`; may be written to between calls, but not moved.
            prepared: Of another thread that works on the same call; else new.
        """
        kernel = self._kernel or self._loaded()
        prepared, scratch, tape = prepared or self.prepared.new(), self._scratch.new(), self._tape
        batch, n_tiles = len(given[0]), self.n_tiles(len(given[0]))
        block: Any = scratch[-1]
        arrays = (tape.ints, tape.floats, *given, *prepared, states, out, *gradients, *scratch)
        _write_arguments(block, 0, 0, 0, n_tiles, batch, n_tiles, 0, self._operate, *map(id, arrays))
        return Bound(kernel.address, block, prepared, arrays)

    def is_shared(self, batch: int, *, backward: bool) -> bool:
        """Return whether several threads would take part in a call of such a batch."""
        n_tiles = self.n_tiles(batch)
        if get_threads() == 1:
            return False
        if self._tape[layout.ROWS] >= SHARED_ROWS:
            return True
        return n_tiles > 1 and self._is_worth_sharing(n_tiles, modes.BACKWARD if backward else modes.FORWARD)

    def n_sharing(self, batch: int, *, backward: bool) -> int:
        """Return how many threads are of use for training steps of such a batch that never return to Python.

        Who takes part there needs half a microsecond, where a call from Python needs six.
        """
        n_tiles = self.n_tiles(batch)
        work = self.updates(batch)
        if self.samples == 1 or self._tape[layout.ROWS] >= SHARED_ROWS:
            return 1
        if work < (SMALL_WORK_OF_STEPS if backward else 2 * SMALL_WORK_OF_STEPS):
            return 1
        return min(n_tiles, get_threads())

    def accepts(self, states: Array, prepared: Sequence[Array], batch: int) -> bool:
        """Return whether these may come from this runner."""
        return (
            states.shape == (self.n_tiles(batch), self.state_size)
            and states.dtype == self._real
            and prepared[0].shape == (self._tape[layout.SIZE_ANGLES],)
        )

    def run_back(
        self,
        mode: int,
        given: tuple[Array, ...],
        prepared: tuple[Array, ...],
        states: Array | None = None,
        out: Array | None = None,
    ) -> tuple[Array, Array]:
        """Run parts of a call that end with gradients; return those of inputs and weights. See `run`."""
        batch = len(given[0])
        grad_inputs = np.empty((batch, self._n_inputs), self._real)
        grad_weights = np.empty(self._n_weights, self._real)
        sums = np.empty((self.n_tiles(batch), self.n_rotations))
        self.run(mode, given, prepared, states, out, (grad_inputs, grad_weights, sums))
        return grad_inputs, grad_weights

    def run(
        self,
        mode: int,
        given: tuple[Array, ...],
        prepared: tuple[Array, ...],
        states: Array | None = None,
        out: Array | None = None,
        gradients: tuple[Array, Array, Array] | None = None,
        one: tuple[int, tuple[Array, ...]] | None = None,
    ) -> None:
        """Run parts of a call on all tiles, on several threads where that pays.

        Args:
            mode: Bits of `superpose.engine.kernels.modes`.
            given: Inputs, weights, initial state (empty for |0...0>) and, for gradients, the one that comes in.
            prepared: From the shelf of that name.
            states: Final states, written or read.
            out: Expectations, written.
            gradients: Of inputs and weights, written, and scratch for sums.
            one: A tile instead of all, and the working memory for it, which the caller keeps.

        Raises:
            ShapeError: NaN or infinity came in.
        """
        kernel = self._kernel or self._loaded()
        tape, none2 = self._tape, self._none2
        batch, initial = len(given[0]), given[2]
        n_tiles, threads = self.n_tiles(batch), get_threads()
        arrays = (
            *(tape.ints, tape.floats, *given, *(() if len(given) == 4 else (none2,)), *prepared),
            *(none2 if states is None else states, none2 if out is None else out),
            *(gradients or (none2, self._none1, self._no_sums)),
        )
        values = (batch, n_tiles, initial.size, self._operate, *map(id, arrays))

        few = n_tiles < threads or one is not None or self._lowered.n_qubits >= ONE_AT_A_TIME_FROM
        shared, mates = few and self._tape[layout.ROWS] >= SHARED_ROWS, list[Mate]()
        if shared and threads > 1:
            mates = gather(self._dtype, min(threads, limits.CHUNKS) - 1, long=True)
        elif one is None and threads > 1 and n_tiles > 1 and self._is_worth_sharing(n_tiles, mode):
            mates = gather(self._dtype, min(threads, n_tiles) - 1, long=self._is_long(n_tiles))
        if shared and mates:
            status = self._run_shared(kernel, mode, values, mates, one)
        elif mates:
            status = self._run_tiles(kernel, mode, values, n_tiles, mates)
        else:
            shelf = self._shelf(mode)
            first, scratch = one or (0, shelf.take())
            block: Any = scratch[-1]
            _write_arguments(block, 0, mode, first, first + 1 if one else n_tiles, *values, *map(id, scratch))
            status = kernel.call(0.0, id(block))
            if one is None:
                shelf.give_back(scratch)
        if status:
            raise not_finite_error(status)

    def _run_tiles(
        self, kernel: Kernel, mode: int, values: tuple[int, ...], n_tiles: int, mates: Sequence[Mate]
    ) -> int:
        """Run a call whose tiles several threads take; return the status."""
        shelf = self._shelf(mode)
        scratches = [shelf.take() for _ in range(len(mates) + 1)]
        before, middle, after = mode & modes.PREPARE, mode & ~(modes.PREPARE | modes.FINISH), mode & modes.FINISH
        blocks: list[Any] = [scratch[-1] for scratch in scratches]
        for block, scratch in zip(blocks, scratches, strict=True):
            _write_arguments(block, 0, middle, 0, 0, *values, *map(id, scratch))
        status = run_together(
            Work(self._dtype, kernel.address, n_tiles, before, middle, after, blocks, self._is_long(n_tiles)), mates
        )
        for scratch in scratches:
            shelf.give_back(scratch)
        return status

    def _is_worth_sharing(self, n_tiles: int, mode: int) -> bool:
        """Return whether a call takes long enough for a second thread; a forward pass is a third of the work."""
        return n_tiles * self._work_per_tile >= (SMALL_WORK if mode & modes.BACKWARD else 3 * SMALL_WORK)

    def _is_long(self, n_tiles: int) -> bool:
        return n_tiles * self._work_per_tile >= LONG_WORK

    def _shelf(self, mode: int) -> Shelf:
        return self._scratch if mode & modes.BACKWARD else self._forward_scratch

    def _run_shared(
        self,
        kernel: Kernel,
        mode: int,
        values: tuple[int, ...],
        mates: Sequence[Mate],
        one: tuple[int, tuple[Array, ...]] | None,
    ) -> int:
        """Run a call whose loops several threads share; see `superpose.engine.kernels.sharing`. Return the status."""
        shelf = self._shelf(mode)
        first, scratch = one or (0, shelf.take())
        last = first + 1 if one else values[1]
        scratch[2][limits.WORD] = 0  # nothing to take yet
        blocks: list[Any] = [scratch[-1], *(np.empty(arguments.SIZE, np.int64) for _ in mates)]
        for block in blocks:
            given = modes.HELP, first, last, *values, *map(id, scratch[:3]), id(block)
            _write_arguments(block, 0, *given)
        status = run_together(Work(self._dtype, kernel.address, 0, 0, mode | modes.TEAM, 0, blocks, long=True), mates)
        if one is None:
            shelf.give_back(scratch)
        return status

    def _loaded(self) -> Kernel:
        """Load the kernels."""
        self._operate = load_kernel("operations", self._dtype).address
        self._kernel = load_kernel("interpreter", self._dtype)
        return self._kernel

    def unload(self, given: tuple[Array, Array, Array], out: Array, factors: Array) -> None:
        """Run the whole tape, sample by sample, in the layout for single samples, and copy each final state out.

        Args:
            given: Inputs, weights, initial states.
            out: ``(batch, 2**n_qubits)``, written: see `superpose.engine.unloading.Unloading.write`.
            factors: ``(batch,)``, which the states are multiplied with.
        """
        if self._unloading is None:
            self._unloading = Unloading(self._lowered, self._last_layout, self._dtype)
        prepared, scratch = self.prepared.take(), self._forward_scratch.take()
        at_state = self._tape[layout.AT_PSI]
        mode = modes.PREPARE | modes.FORWARD | modes.WHOLE
        for sample, (row, factor) in enumerate(zip(out, factors, strict=True)):
            self.run(mode, given, prepared, one=(sample, scratch))
            mode &= ~modes.PREPARE
            x, z, quarters = (int(value) for value in prepared[3][:3])
            shrink = float(prepared[0][self._tape[layout.SIZE_ANGLES] - 1])
            self._unloading.write(scratch[0], at_state, (x, z, quarters), shrink * factor, row)
        self.prepared.give_back(prepared)
        self._forward_scratch.give_back(scratch)

    def final_states(self, given: tuple[Array, Array, Array]) -> FinalStates | LargeStates:
        """Run the whole tape and return where it ends."""
        batch = len(given[0])
        if self.samples == 1:
            return LargeStates(self, given, self._lowered)
        states, (x, z, quarters), shrink = self._ended(given)
        real, imaginary = self._untiled(states, batch)
        return FinalStates(self._lowered, self._last_layout.indices(), (x, z, quarters), shrink, real, imaginary)

    def placed_states(self, given: tuple[Array, Array, Array]) -> PlacedStates:
        """Run the whole tape and return where it ends, as it stands in memory."""
        states, _, shrink = self._ended(given)
        tiles = states.reshape(len(states), -1, 2, lanes_of(self._dtype))[:, : self._tape[layout.ROWS]]
        return PlacedStates(tiles, self.samples, len(given[0]), shrink)

    def _ended(self, given: tuple[Array, Array, Array]) -> tuple[Array, tuple[int, int, int], float]:
        """Run the whole tape; return the states in tiles, the string in front of them, and what makes their norm 1."""
        states = self.new_states(len(given[0]))
        prepared = self.prepared.take()
        self.run(modes.PREPARE | modes.FORWARD | modes.WHOLE | modes.SAVE, given, prepared, states)
        x, z, quarters = (int(value) for value in prepared[3][:3])
        shrink = float(prepared[0][self._tape[layout.SIZE_ANGLES] - 1])
        self.prepared.give_back(prepared)
        return states, (x, z, quarters), shrink

    def _untiled(self, states: Array, batch: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return real and imaginary parts, ``(batch, 2**n_qubits)``, by places."""
        lanes = lanes_of(self._dtype)
        rows = states.reshape(len(states), -1, 2, lanes)[:, : self._tape[layout.ROWS]]  # (tile, row, part, lane)
        parts = rows.transpose(2, 0, 3, 1).reshape(2, -1, rows.shape[1])[:, :batch]  # (part, sample, row)
        return parts[0], parts[1]
