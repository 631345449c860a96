"""Compiled programs: circuits and observables as tapes, and the calls that run them on arrays."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit, Observable
from superpose.engine.arrays import Array, not_finite_error, real_array
from superpose.engine.cache import load_kernel
from superpose.engine.frame import Frame
from superpose.engine.kernels import layout, modes, slots
from superpose.engine.lowering import Lowered, lower
from superpose.engine.memory import check_memory, lanes_of, memory_required
from superpose.engine.pool import get_threads, run_ranges
from superpose.engine.sampling import check_shots, counts_of, sample
from superpose.engine.states import FinalStates, basis_indices, untiled
from superpose.engine.tape import build_tape
from superpose.engine.workspace import Shelf
from superpose.errors import ObservableError, ParameterUnboundError, ShapeError, UnsupportedProgramError

__all__ = ["CompiledProgram", "TapeState", "compile_program"]

Dtype = Literal["float32", "float64"]

SMALL_WORK = 60_000
"""Amplitude updates below which a second thread costs more than it gives."""


@dataclass(frozen=True, eq=False)
class TapeState:
    """What `CompiledProgram.backward` needs of a forward call: arrays only, never changed, safe to copy.

    Attributes:
        inputs, weights: Float64 copies of what came in.
        prepared: What the kernels computed for all samples together.
        states: Final states, ``(n_tiles, 2 * lanes * rows)``.
    """

    inputs: Array
    weights: Array
    prepared: tuple[Array, ...]
    states: Array


class CompiledProgram:
    """A circuit with observables, lowered once and run on any batch. Immutable; calls from several threads are safe.

    Arrays are converted to contiguous ones; results have the program's dtype.

    Attributes:
        circuit: The circuit (a copy).
        observables: What `expectation` measures, in order.
        n_qubits: Number of qubits.
        input_names: Parameters whose values differ between samples, in the order of the columns of ``inputs``.
        weight_names: All other parameters, in the order of ``circuit.parameters``.
        dtype: "float32" or "float64".
    """

    def __init__(
        self, circuit: Circuit, observables: Sequence[Observable], inputs: Sequence[str] = (), dtype: Dtype = "float32"
    ) -> None:
        self.circuit = circuit.copy()
        self.observables = tuple(observables)
        self.input_names = tuple(inputs)
        self.dtype: Dtype = dtype
        _check_definition(self.circuit, self.observables, self.input_names, dtype)
        known = set(self.input_names)
        self.weight_names = tuple(name for name in circuit.parameters if name not in known)
        self.n_qubits = circuit.n_qubits
        self._real = np.float32 if dtype == "float32" else np.float64
        self._complex = np.complex64 if dtype == "float32" else np.complex128
        self._lanes = lanes_of(dtype)
        self._lowered: Lowered = lower(self.circuit)
        self._tape = build_tape(self._lowered, self.observables, self.input_names, self.weight_names, self._lanes)
        header = self._tape
        n_tables = 2 * header[layout.N_KEPT] * header[layout.ROWS_PADDED]
        self._scratch = Shelf(
            (
                (header[layout.SIZE], self._real),
                (header[layout.SIZE_WIDE], np.float64),
                (slots.SIZE * layout.MAX_OPS, np.int64),
            )
        )
        self._prepared = Shelf(
            (
                (header[layout.SIZE_ANGLES], np.float64),
                (2 * header[layout.PADDED], self._real),
                (n_tables, self._real),
                (layout.FRAME_SIZE, np.int64),
            )
        )
        self._n_rotations = header[layout.N_ROTATIONS]
        self._state_size = 2 * self._lanes * header[layout.ROWS_PADDED]
        self._work_per_tile = max(1, self._n_rotations) << self.n_qubits
        self._zero = self._real(0)
        self._none1, self._none2 = np.empty(0, self._real), np.empty((0, 0), self._real)
        self._no_sums = np.empty((0, 0))
        self._kernel: Any = None

    @property
    def n_inputs(self) -> int:
        """Number of parameters given per sample."""
        return len(self.input_names)

    @property
    def n_weights(self) -> int:
        """Number of parameters shared by the batch."""
        return len(self.weight_names)

    @property
    def n_observables(self) -> int:
        """Number of expectations per sample."""
        return len(self.observables)

    def __repr__(self) -> str:
        return (
            f"CompiledProgram(n_qubits={self.n_qubits}, n_inputs={self.n_inputs}, n_weights={self.n_weights}, "
            f"n_observables={self.n_observables}, dtype={self.dtype!r})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.circuit, self.observables, self.input_names, self.dtype)

    def __copy__(self) -> CompiledProgram:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledProgram:
        return self

    def expectation(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, *, initial_state: npt.ArrayLike | None = None
    ) -> Array:
        """Return the observables' expectations.

        Args:
            inputs: ``(batch, n_inputs)``, in radians; None for a batch of one without inputs.
            weights: ``(n_weights,)``, in radians; None where there are none.
            initial_state: ``(2**n_qubits,)`` or ``(batch, 2**n_qubits)`` instead of ``|0...0>``.

        Returns:
            Array ``(batch, n_observables)`` of the program's dtype.

        Raises:
            ShapeError: An array has another shape, is not real, or holds NaN or infinity.
            StateTooLargeError: The states do not fit into memory.
        """
        x, w, initial = self._arrays(inputs, weights, initial_state)
        self._check_memory(len(x))
        out = np.empty((len(x), self.n_observables), self._real)
        prepared = self._prepared.take()
        self._run(modes.PREPARE | modes.FORWARD | modes.EXPECT, (x, w, initial), prepared, out=out)
        self._prepared.give_back(prepared)
        return out

    def forward(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, *, initial_state: npt.ArrayLike | None = None
    ) -> tuple[Array, TapeState]:
        """Return the expectations and what `backward` needs; see `expectation`.

        The state belongs to this call alone: other calls do not change it, and it serves any number of backward calls.

        Cost: keeps the final states, ``batch * 2**n_qubits`` amplitudes.
        """
        x, w, initial = self._arrays(inputs, weights, initial_state)
        states = self._new_states(len(x))
        out = np.empty((len(x), self.n_observables), self._real)
        prepared = self._prepared.new()
        self._run(modes.PREPARE | modes.FORWARD | modes.SAVE | modes.EXPECT, (x, w, initial), prepared, states, out=out)
        return out, TapeState(x.copy() if x is inputs else x, w.copy() if w is weights else w, prepared, states)

    def backward(self, tape_state: TapeState, grad_expectations: npt.ArrayLike) -> tuple[Array, Array]:
        """Return the gradients that flow back to inputs and weights.

        Args:
            tape_state: Second result of `forward`.
            grad_expectations: ``(batch, n_observables)``, the gradient of some number with respect to the expectations.

        Returns:
            Arrays ``(batch, n_inputs)`` and ``(n_weights,)``.

        Raises:
            ShapeError: The gradient has another shape, or the state belongs to another program.
        """
        s = tape_state
        n_tiles = -(-len(s.inputs) // self._lanes)
        shapes = s.inputs.shape[1:], s.weights.shape, s.states.shape, s.prepared[0].shape
        wanted = (self.n_inputs,), (self.n_weights,), (n_tiles, self._state_size), (self._tape[layout.SIZE_ANGLES],)
        if shapes != wanted or s.states.dtype != self._real:
            raise ShapeError(
                "The tape state comes from another program; give the one that this program's forward gave."
            )
        grad = self._gradient(grad_expectations, len(s.inputs))
        return self._run_back(
            modes.BACKWARD | modes.FINISH, (s.inputs, s.weights, self._none1, grad), s.prepared, s.states
        )

    def value_and_grad(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        grad_expectations: npt.ArrayLike,
        *,
        initial_state: npt.ArrayLike | None = None,
    ) -> tuple[Array, Array, Array]:
        """Return expectations and gradients in one pass; see `forward` and `backward`. Keeps nothing.

        >>> from superpose.circuits import Parameter
        >>> program = compile_program(Circuit(1).ry(Parameter("w"), 0), [Observable("Z")], dtype="float64")
        >>> [array.round(6).tolist() for array in program.value_and_grad(None, [0.5], [[1.0]])]
        [[[0.877583]], [[]], [-0.479426]]
        """
        x, w, initial = self._arrays(inputs, weights, initial_state)
        self._check_memory(len(x))
        grad = self._gradient(grad_expectations, len(x))
        out = np.empty((len(x), self.n_observables), self._real)
        prepared = self._prepared.take()
        mode = modes.PREPARE | modes.FORWARD | modes.EXPECT | modes.BACKWARD | modes.FINISH
        grad_inputs, grad_weights = self._run_back(mode, (x, w, initial, grad), prepared, out=out)
        self._prepared.give_back(prepared)
        return out, grad_inputs, grad_weights

    def state_vector(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, *, initial_state: npt.ArrayLike | None = None
    ) -> Array:
        """Return the final states, global phase included, complex ``(batch, 2**n_qubits)``.

        Qubit 0 is the most significant bit of the index. complex64 for float32, complex128 for float64.
        """
        states, x, w = self._final_states(inputs, weights, initial_state)
        values: dict[str, Any] = dict(zip(self.input_names, x.T, strict=True))
        values.update(zip(self.weight_names, w, strict=True))
        return states.vectors(values, self._complex)

    def sample(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        shots: int,
        seed: int | None = None,
        *,
        initial_state: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.int64]:
        """Measure all qubits ``shots`` times per sample.

        Args:
            inputs, weights, initial_state: See `expectation`.
            shots: At least 1.
            seed: Of NumPy's PCG64; equal seeds give equal results on any number of threads.

        Returns:
            int64 ``(batch, shots)`` basis indices, qubit 0 the most significant bit.
        """
        check_shots(shots, seed)
        states, _, _ = self._final_states(inputs, weights, initial_state)
        return sample(states.probabilities(), shots, seed)

    def counts(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        shots: int,
        seed: int | None = None,
        *,
        initial_state: npt.ArrayLike | None = None,
    ) -> list[dict[str, int]]:
        """Return per sample how often each bit string was measured (those of `sample` with the same seed)."""
        return counts_of(self.sample(inputs, weights, shots, seed, initial_state=initial_state), self.n_qubits)

    def _arrays(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, initial_state: npt.ArrayLike | None
    ) -> tuple[Array, Array, Array]:
        w = real_array("weights", np.empty(0) if weights is None else weights)
        if w.shape != (self.n_weights,):
            raise ShapeError(
                f"weights must have shape ({self.n_weights},), one value per weight, got {w.shape}.",
                got=list(w.shape),
                allowed=[self.n_weights],
            )
        initial = self._none1 if initial_state is None else self._initial(initial_state)
        n_states = initial.size >> (self.n_qubits + 1)
        x = real_array("inputs", np.empty((max(1, n_states), 0)) if inputs is None else inputs)
        if x.ndim != 2 or x.shape[1] != self.n_inputs or not len(x):
            raise ShapeError(
                f"inputs must have shape (batch, {self.n_inputs}) with batch >= 1, got {x.shape}.",
                got=list(x.shape),
                allowed=["batch", self.n_inputs],
            )
        if n_states > 1 and n_states != len(x):
            raise ShapeError(
                f"initial_state has {n_states} states where inputs have {len(x)} samples; give one state or one each.",
                got=n_states,
                allowed=[1, len(x)],
            )
        return x, w, initial

    def _initial(self, initial_state: npt.ArrayLike) -> Array:
        """Return real and imaginary parts, flat, in the order in which the kernels number amplitudes."""
        array = np.asarray(initial_state)
        d = 1 << self.n_qubits
        if array.dtype.kind not in "iufc" or array.ndim not in (1, 2) or array.shape[-1] != d or not len(array):
            raise ShapeError(
                f"initial_state must be numbers of shape ({d},) or (batch, {d}), got {array.dtype} {array.shape}.",
                got=list(array.shape),
                allowed=["batch", d],
            )
        if not np.isfinite(array).all():
            raise ShapeError("initial_state must be finite, got NaN or infinity.", got="non-finite")
        order = basis_indices(Frame.for_engine(self.n_qubits))
        return np.ascontiguousarray(array[..., order], dtype=self._complex).view(self._real).reshape(-1)

    def _gradient(self, grad_expectations: npt.ArrayLike, batch: int) -> Array:
        grad = real_array("grad_expectations", grad_expectations, self._real)
        if grad.shape != (batch, self.n_observables):
            raise ShapeError(
                f"grad_expectations must have shape ({batch}, {self.n_observables}), got {grad.shape}.",
                got=list(grad.shape),
                allowed=[batch, self.n_observables],
            )
        return grad

    def _check_memory(self, batch: int, *, keep: bool = False) -> None:
        needed = memory_required(self.n_qubits, batch, dtype=self.dtype, gradients=keep)
        check_memory(needed, self.n_qubits, batch)

    def _new_states(self, batch: int) -> Array:
        self._check_memory(batch, keep=True)
        return np.empty((-(-batch // self._lanes), self._state_size), self._real)

    def _final_states(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, initial_state: npt.ArrayLike | None
    ) -> tuple[FinalStates, Array, Array]:
        x, w, initial = self._arrays(inputs, weights, initial_state)
        saved = self._new_states(len(x))
        prepared = self._prepared.take()
        self._run(modes.PREPARE | modes.FORWARD | modes.WHOLE | modes.SAVE, (x, w, initial), prepared, saved)
        frame = tuple(int(value) for value in prepared[3][:3])
        shrink = float(prepared[0][self._tape[layout.SIZE_ANGLES] - 1])
        self._prepared.give_back(prepared)
        real, imaginary = untiled(saved, 1 << self.n_qubits, len(x))
        return FinalStates(self._lowered, (frame[0] >> 7, frame[1] >> 7, frame[2]), shrink, real, imaginary), x, w

    def _run_back(
        self, mode: int, given: tuple[Array, ...], prepared: tuple[Array, ...], states: Array | None = None,
        *, out: Array | None = None,
    ) -> tuple[Array, Array]:  # fmt: skip
        batch = len(given[0])
        grad_inputs = np.empty((batch, self.n_inputs), self._real)
        grad_weights = np.empty(self.n_weights, self._real)
        sums = np.empty((-(-batch // self._lanes), self._n_rotations))
        self._run(mode, given, prepared, states, out=out, gradients=(grad_inputs, grad_weights, sums))
        return grad_inputs, grad_weights

    def _run(
        self, mode: int, given: tuple[Array, ...], prepared: tuple[Array, ...], states: Array | None = None,
        *, out: Array | None = None, gradients: tuple[Array, Array, Array] | None = None,
    ) -> None:  # fmt: skip
        """Run parts of a call on all tiles, on several threads where that pays.

        Args:
            mode: Bits of `superpose.engine.kernels.modes`.
            given: inputs, weights, initial state and, for gradients, the one that comes in.
            prepared: From the shelf of that name.
            states: Final states, written or read.
            out: Expectations, written.
            gradients: Of inputs and weights, written, and scratch for sums.
        """
        kernel = self._kernel
        if kernel is None:
            kernel = self._kernel = load_kernel(self.dtype)
        tape, none2 = self._tape, self._none2
        head = (tape.ints, tape.floats, *given, *(() if len(given) == 4 else (none2,)), *prepared)
        tail = (
            none2 if states is None else states,
            none2 if out is None else out,
            *(gradients or (none2, self._none1, self._no_sums)),
        )

        def part(mode: int, first: int, last: int) -> None:
            scratch = self._scratch.take()
            status = kernel(self._zero, mode, first, last, *head, *scratch, *tail)
            self._scratch.give_back(scratch)
            if status:
                raise not_finite_error(status)

        n_tiles, threads = -(-len(given[0]) // self._lanes), get_threads()
        if threads == 1 or n_tiles == 1 or n_tiles * self._work_per_tile < SMALL_WORK:
            part(mode, 0, n_tiles)
            return
        if mode & modes.PREPARE:
            part(modes.PREPARE, 0, 0)
        middle = mode & ~(modes.PREPARE | modes.FINISH)
        run_ranges(lambda first, last: part(middle, first, last), n_tiles, threads)
        if mode & modes.FINISH:
            part(modes.FINISH, 0, 0)


def _check_definition(
    circuit: Circuit, observables: tuple[Observable, ...], inputs: tuple[str, ...], dtype: str
) -> None:
    if dtype not in ("float32", "float64"):
        raise UnsupportedProgramError(f"dtype must be 'float32' or 'float64', got {dtype!r}.", got=str(dtype))
    for place, observable in enumerate(observables):
        if observable.n_qubits != circuit.n_qubits:
            raise ObservableError(
                f"observables[{place}] acts on {observable.n_qubits} qubits, the circuit has {circuit.n_qubits}.",
                index=place,
            )
    unknown = [name for name in inputs if name not in set(circuit.parameters)]
    if unknown or len(set(inputs)) != len(inputs):
        raise ParameterUnboundError(
            f"inputs must name distinct parameters of the circuit {list(circuit.parameters)}, got {list(inputs)}.",
            unknown=unknown,
        )


_CACHE_SIZE = 256
_programs: OrderedDict[Any, CompiledProgram] = OrderedDict()
_programs_lock = threading.Lock()


def compile_program(
    circuit: Circuit, observables: Sequence[Observable], *, inputs: Sequence[str] = (), dtype: Dtype = "float32"
) -> CompiledProgram:
    """Lower a circuit to a tape; nothing is compiled. Equal requests get the same program.

    Args:
        circuit: The circuit; later changes do not reach the program.
        observables: What `CompiledProgram.expectation` measures; may be empty.
        inputs: Names of the parameters whose values are given per sample; all others are weights.
        dtype: Precision of amplitudes and results.

    Raises:
        ObservableError: An observable acts on another number of qubits.
        ParameterUnboundError: ``inputs`` names something else than distinct parameters of the circuit.
        UnsupportedProgramError: Another dtype, or a gate without rule, generator and decomposition.

    Cost: some 10 us per gate.
    """
    observables, inputs = tuple(observables), tuple(inputs)
    key = (circuit.digest, observables, inputs, dtype)
    with _programs_lock:
        found = _programs.get(key)
        if found is not None:
            _programs.move_to_end(key)
            return found
    made = CompiledProgram(circuit, observables, inputs, dtype)
    with _programs_lock:
        made = _programs.setdefault(key, made)
        while len(_programs) > _CACHE_SIZE:
            _programs.popitem(last=False)
    return made


def _restore(
    circuit: Circuit, observables: tuple[Observable, ...], inputs: tuple[str, ...], dtype: Dtype
) -> CompiledProgram:
    return compile_program(circuit, observables, inputs=inputs, dtype=dtype)
