"""One tape with its working memory: what turns arrays into calls of the compiled interpreter."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from superpose.engine.arrays import Array, not_finite_error
from superpose.engine.kernel_table import Kernel, load_kernel
from superpose.engine.kernels import arguments, layout, limits, modes
from superpose.engine.layouts import Layout, lane_bits_of, lanes_of
from superpose.engine.lowering import Lowered
from superpose.engine.pool import call_others, get_threads, run_ranges
from superpose.engine.states import FinalStates
from superpose.engine.tape import build_tape
from superpose.engine.tape_files import Written
from superpose.engine.workspace import Shelf

__all__ = ["Dtype", "Runner"]

Dtype = Literal["float32", "float64"]

SMALL_WORK = 100_000
"""Updates of vectors below which a second thread costs more than it gives."""
SHARED_ROWS = 8192
"""Threads share states of so many rows (1 MiB); moving smaller ones between their caches takes the time it saves."""


class _Team:
    """The helpers of one call, which share its working memory."""

    def __init__(self, call: Callable[[int, tuple[Array, ...]], int], scratch: tuple[Array, ...]) -> None:
        self._call, self._scratch = call, scratch
        self._lock, self._over, self._inside = threading.Lock(), False, 0
        scratch[2][limits.WORD] = 0  # nothing to take yet

    def help(self) -> None:
        """Help, unless the call is over."""
        with self._lock:
            if self._over:
                return
            self._inside += 1
        own = np.empty(arguments.SIZE, np.int64)
        self._call(modes.HELP, (*self._scratch[:3], own))
        with self._lock:
            self._inside -= 1

    def dismiss(self) -> int:
        """End the call for its helpers and return how many have not left yet."""
        with self._lock:
            self._over = True
            self._scratch[2][limits.WORD] = limits.OVER
            return self._inside


_write_arguments = struct.Struct(f"={arguments.SIZE}q").pack_into


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
        self._lowered, self._dtype = lowered, dtype
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
        self._tape, self._last_layout = tape, _ = written[:2]
        n_tables = 2 * tape[layout.N_KEPT] * tape[layout.TABLE_SIZE]
        self._scratch = Shelf(
            (
                (tape[layout.SIZE], self._real),
                (tape[layout.SIZE_WIDE], np.float64),
                (limits.SIZE_BLOCK, np.int64),
                (arguments.SIZE, np.int64),
            )
        )
        self.prepared = Shelf(
            (
                (tape[layout.SIZE_ANGLES], np.float64),
                (2 * tape[layout.PADDED], self._real),
                (n_tables, self._real),
                (layout.FRAME_SIZE, np.int64),
            )
        )
        """Memory for what a call computes for all its samples together."""
        self._n_rotations = tape[layout.N_ROTATIONS]
        self.state_size = 2 * lanes * tape[layout.ROWS_PADDED]
        """Numbers in the state of a tile."""
        self._work_per_tile = max(1, self._n_rotations) * tape[layout.ROWS]
        self._n_inputs, self._n_weights = len(names[0]), len(names[1])
        self._operate = 0
        self._none1, self._none2 = np.empty(0, self._real), np.empty((0, 0), self._real)
        self._no_sums = np.empty((0, 0))
        self._kernel: Kernel | None = None

    def n_tiles(self, batch: int) -> int:
        """Return how many tiles a batch takes."""
        return -(-batch // self.samples)

    def new_states(self, batch: int) -> Array:
        """Return memory for the final states of a batch."""
        return np.empty((self.n_tiles(batch), self.state_size), self._real)

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
        sums = np.empty((self.n_tiles(batch), self._n_rotations))
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
    ) -> None:
        """Run parts of a call on all tiles, on several threads where that pays.

        Args:
            mode: Bits of `superpose.engine.kernels.modes`.
            given: Inputs, weights, initial state (empty for |0...0>) and, for gradients, the one that comes in.
            prepared: From the shelf of that name.
            states: Final states, written or read.
            out: Expectations, written.
            gradients: Of inputs and weights, written, and scratch for sums.

        Raises:
            ShapeError: NaN or infinity came in.
        """
        call = (self._kernel or self._loaded()).call
        tape, none2 = self._tape, self._none2
        batch, initial = len(given[0]), given[2]
        n_tiles, threads = self.n_tiles(batch), get_threads()
        arrays = (
            *(tape.ints, tape.floats, *given, *(() if len(given) == 4 else (none2,)), *prepared),
            *(none2 if states is None else states, none2 if out is None else out),
            *(gradients or (none2, self._none1, self._no_sums)),
        )
        values = (batch, n_tiles, initial.size, self._operate, *map(id, arrays))

        def invoke(mode: int, first: int, last: int, scratch: tuple[Array, ...]) -> int:
            block: Any = scratch[-1]
            _write_arguments(block, 0, mode, first, last, *values, *map(id, scratch))
            return call(0.0, id(block))

        def part(mode: int, first: int, last: int) -> None:
            scratch = self._scratch.take()
            status = invoke(mode, first, last, scratch)
            self._scratch.give_back(scratch)
            if status:
                raise not_finite_error(status)

        if n_tiles < threads and self._tape[layout.ROWS] >= SHARED_ROWS:
            self._run_together(lambda mode, scratch: invoke(mode, 0, n_tiles, scratch), mode, threads)
            return
        if threads == 1 or n_tiles == 1 or n_tiles * self._work_per_tile < SMALL_WORK:
            part(mode, 0, n_tiles)
            return
        if mode & modes.PREPARE:
            part(modes.PREPARE, 0, 0)
        middle = mode & ~(modes.PREPARE | modes.FINISH)
        run_ranges(lambda first, last: part(middle, first, last), n_tiles, threads)
        if mode & modes.FINISH:
            part(modes.FINISH, 0, 0)

    def _loaded(self) -> Kernel:
        """Load the kernels."""
        self._operate = load_kernel("operations", self._dtype).address
        self._kernel = load_kernel("interpreter", self._dtype)
        return self._kernel

    def _run_together(self, call: Callable[[int, tuple[Array, ...]], int], mode: int, threads: int) -> None:
        """Run a call whose loops several threads share; see `superpose.engine.kernels.sharing`."""
        scratch = self._scratch.take()
        team = _Team(call, scratch)
        call_others(team.help, min(threads, limits.CHUNKS) - 1)
        try:
            status = call(mode | modes.TEAM, scratch)
        finally:
            # a helper that is just leaving still looks at the block, and must never see another call's in it
            if team.dismiss():
                scratch = (*scratch[:2], self._scratch.new_array(2), scratch[3])
        self._scratch.give_back(scratch)
        if status:
            raise not_finite_error(status)

    def final_states(self, given: tuple[Array, Array, Array]) -> FinalStates:
        """Run the whole tape and return where it ends."""
        batch = len(given[0])
        states = self.new_states(batch)
        prepared = self.prepared.take()
        self.run(modes.PREPARE | modes.FORWARD | modes.WHOLE | modes.SAVE, given, prepared, states)
        x, z, quarters = (int(value) for value in prepared[3][:3])
        shrink = float(prepared[0][self._tape[layout.SIZE_ANGLES] - 1])
        self.prepared.give_back(prepared)
        real, imaginary = self._untiled(states, batch)
        return FinalStates(self._lowered, self._last_layout.indices(), (x, z, quarters), shrink, real, imaginary)

    def _untiled(self, states: Array, batch: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return real and imaginary parts, ``(batch, 2**n_qubits)``, by places."""
        lanes = lanes_of(self._dtype)
        rows = states.reshape(len(states), -1, 2, lanes)[:, : self._tape[layout.ROWS]]  # (tile, row, part, lane)
        if self.samples == 1:
            return rows[:, :, 0].reshape(batch, -1), rows[:, :, 1].reshape(batch, -1)  # (sample, row and lane)
        parts = rows.transpose(2, 0, 3, 1).reshape(2, -1, rows.shape[1])[:, :batch]  # (part, sample, row)
        return parts[0], parts[1]
