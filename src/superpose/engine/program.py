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
from superpose.engine import tape
from superpose.engine.cache import load_kernel
from superpose.engine.kernels import layout, modes
from superpose.engine.lowering import Lowered, lower
from superpose.engine.memory import check_memory, lanes_of, memory_required
from superpose.engine.pool import get_threads, run_ranges
from superpose.engine.sampling import counts_of, sample_states
from superpose.engine.states import logical_states
from superpose.engine.workspace import Workspace, aligned, give_back, take
from superpose.errors import ObservableError, ParameterUnboundError, ShapeError, UnsupportedProgramError

__all__ = ["CompiledProgram", "TapeState", "compile_program"]

Array = npt.NDArray[Any]
Dtype = Literal["float32", "float64"]

SMALL_WORK = 60_000
"""Amplitude updates below which a second thread costs more than it gives."""


@dataclass(frozen=True, eq=False)
class TapeState:
    """What `CompiledProgram.backward` needs of a forward call: arrays only, never changed, safe to copy."""

    inputs: Array
    weights: Array
    angles: Array
    turns: Array
    tables: Array
    saved: Array


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
        self._tape = tape.build_tape(self._lowered, self.observables, self.input_names, self.weight_names, self._lanes)
        self._zero = self._real(0)
        header = self._tape
        self._n_rotations, self._padded = header[layout.N_ROTATIONS], header[layout.PADDED]
        self._rows_padded = header[layout.ROWS_PADDED]
        self._tables_size = max(1, 2 * header[layout.N_KEPT] * self._rows_padded)
        self._work_per_tile = max(1, header[layout.N_OPS]) << self.n_qubits
        self._none1 = np.empty(0, self._real)
        self._none2 = np.empty((0, 0), self._real)
        self._wide2 = np.empty((0, 0), np.float64)

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
        call = self._call(x, w, initial=initial)
        self._run(call, modes.PREPARE | modes.FORWARD | modes.EXPECT)
        return call.out

    def forward(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, *, initial_state: npt.ArrayLike | None = None
    ) -> tuple[Array, TapeState]:
        """Return the expectations and what `backward` needs; see `expectation`.

        The state belongs to this call alone: other calls do not change it, and it serves any number of backward calls.

        Cost: keeps the final states, ``batch * 2**n_qubits`` amplitudes.
        """
        x, w, initial = self._arrays(inputs, weights, initial_state)
        call = self._call(x, w, initial=initial, save=True)
        self._run(call, modes.PREPARE | modes.FORWARD | modes.SAVE | modes.EXPECT)
        return call.out, TapeState(call.inputs, call.weights, call.angles, call.turns, call.tables, call.saved)

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
        if s.weights.shape != (self.n_weights,) or s.angles.shape != (self._padded,) or s.saved.dtype != self._real:
            raise ShapeError(
                "The tape state comes from another program; give the one that this program's forward gave."
            )
        call = _Call(s.inputs, s.weights, s.angles, s.turns, s.tables, s.saved, self._none1)
        self._expect_gradient(call, grad_expectations)
        self._run(call, modes.BACKWARD | modes.FINISH)
        return call.grad_inputs, call.grad_weights.astype(self._real, copy=False)

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
        call = self._call(x, w, initial=initial)
        self._expect_gradient(call, grad_expectations)
        self._run(call, modes.PREPARE | modes.FORWARD | modes.EXPECT | modes.BACKWARD | modes.FINISH)
        return call.out, call.grad_inputs, call.grad_weights.astype(self._real, copy=False)

    def state_vector(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, *, initial_state: npt.ArrayLike | None = None
    ) -> Array:
        """Return the final states, global phase included, complex ``(batch, 2**n_qubits)``.

        Qubit 0 is the most significant bit of the index. complex64 for float32, complex128 for float64.
        """
        call = self._final_states(inputs, weights, initial_state)
        return logical_states(self._lowered, self._names(), call.saved, call.inputs, call.weights, self._complex)

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
        call = self._final_states(inputs, weights, initial_state)
        return sample_states(self._lowered, call.saved, len(call.inputs), shots, seed)

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

    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.input_names, self.weight_names

    def _arrays(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, initial_state: npt.ArrayLike | None
    ) -> tuple[Array, Array, Array]:
        w = _real_array("weights", np.empty(0) if weights is None else weights)
        if w.shape != (self.n_weights,):
            raise ShapeError(
                f"weights must have shape ({self.n_weights},), one value per weight, got {w.shape}.",
                got=list(w.shape), allowed=[self.n_weights],
            )  # fmt: skip
        initial = self._none1 if initial_state is None else self._initial(initial_state)
        n_states = initial.size >> (self.n_qubits + 1)
        x = _real_array("inputs", np.empty((max(1, n_states), 0)) if inputs is None else inputs)
        if x.ndim != 2 or x.shape[1] != self.n_inputs or not len(x):
            raise ShapeError(
                f"inputs must have shape (batch, {self.n_inputs}) with batch >= 1, got {x.shape}.",
                got=list(x.shape), allowed=["batch", self.n_inputs],
            )  # fmt: skip
        if n_states > 1 and n_states != len(x):
            raise ShapeError(
                f"initial_state has {n_states} states where inputs have {len(x)} samples; give one state or one each.",
                got=n_states, allowed=[1, len(x)],
            )  # fmt: skip
        return x, w, initial

    def _initial(self, initial_state: npt.ArrayLike) -> Array:
        array = np.asarray(initial_state)
        d = 1 << self.n_qubits
        if array.dtype.kind not in "iufc" or array.ndim not in (1, 2) or array.shape[-1] != d or not len(array):
            raise ShapeError(
                f"initial_state must be numbers of shape ({d},) or (batch, {d}), got {array.dtype} {array.shape}.",
                got=list(array.shape), allowed=["batch", d],
            )  # fmt: skip
        state = np.require(array, self._complex, ["C", "W"])  # kernels are compiled for writable arrays
        if not np.isfinite(state).all():
            raise ShapeError("initial_state must be finite, got NaN or infinity.")
        return state.view(self._real).reshape(-1)

    def _call(self, inputs: Array, weights: Array, *, initial: Array, save: bool = False) -> _Call:
        batch = len(inputs)
        check_memory(memory_required(self.n_qubits, batch, dtype=self.dtype, gradients=save), self.n_qubits, batch)
        call = _Call(
            inputs,
            weights,
            aligned(self._padded, np.float64),
            aligned(2 * self._padded, self._real),
            aligned(self._tables_size, self._real),
            np.empty((-(-batch // self._lanes), 2 * self._lanes * self._rows_padded), self._real)
            if save
            else self._none2,
            initial,
        )
        call.out = np.empty((batch, self.n_observables), self._real)
        call.grad = call.grad_inputs = self._none2
        call.grad_weights, call.sums = np.empty(0), self._wide2
        return call

    def _expect_gradient(self, call: _Call, grad_expectations: npt.ArrayLike) -> None:
        batch = len(call.inputs)
        grad = _real_array("grad_expectations", grad_expectations, self._real)
        if grad.shape != (batch, self.n_observables):
            raise ShapeError(
                f"grad_expectations must have shape ({batch}, {self.n_observables}), got {grad.shape}.",
                got=list(grad.shape), allowed=[batch, self.n_observables],
            )  # fmt: skip
        call.grad = grad
        call.grad_inputs = np.zeros((batch, self.n_inputs), self._real)
        call.grad_weights = np.empty(self.n_weights)
        call.sums = np.zeros((-(-batch // self._lanes), self._n_rotations))

    def _final_states(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, initial_state: npt.ArrayLike | None
    ) -> _Call:
        x, w, initial = self._arrays(inputs, weights, initial_state)
        call = self._call(x, w, initial=initial, save=True)
        self._run(call, modes.PREPARE | modes.FORWARD | modes.WHOLE | modes.SAVE)
        return call

    def _run(self, call: _Call, mode: int) -> None:
        n_tiles = -(-len(call.inputs) // self._lanes)
        threads = get_threads()
        if threads == 1 or n_tiles == 1 or n_tiles * self._work_per_tile < SMALL_WORK:
            self._run_part(call, mode, 0, n_tiles)
            return
        if mode & modes.PREPARE:
            self._run_part(call, modes.PREPARE, 0, 0)
        middle = mode & ~(modes.PREPARE | modes.FINISH)
        run_ranges(lambda first, last: self._run_part(call, middle, first, last), n_tiles, threads)
        if mode & modes.FINISH:
            self._run_part(call, modes.FINISH, 0, 0)

    def _run_part(self, call: _Call, mode: int, first: int, last: int) -> None:
        kernel = load_kernel(self.dtype)
        space: Workspace = take(self._tape, self._real)
        kernel(
            self._zero, mode, first, last, self._tape.ints, self._tape.floats, call.inputs, call.weights, call.initial,
            call.grad, call.angles, call.turns, call.tables, space.work, space.wide, space.block, call.saved, call.out,
            call.grad_inputs, call.grad_weights, call.sums,
        )  # fmt: skip
        give_back(space)


class _Call:
    """The arrays of one call; see `superpose.engine.kernels.run_tape`."""

    __slots__ = (
        "angles", "grad", "grad_inputs", "grad_weights", "initial", "inputs", "out", "saved", "sums", "tables", "turns",
        "weights",
    )  # fmt: skip

    def __init__(
        self, inputs: Array, weights: Array, angles: Array, turns: Array, tables: Array, saved: Array, initial: Array
    ) -> None:
        self.inputs, self.weights = inputs, weights
        self.angles, self.turns, self.tables = angles, turns, tables
        self.saved, self.initial = saved, initial
        self.out: Array = np.empty((0, 0), turns.dtype)
        self.grad: Array
        self.grad_inputs: Array
        self.grad_weights: Array
        self.sums: Array


def _real_array(what: str, value: npt.ArrayLike, dtype: type[np.float32] | type[np.float64] = np.float64) -> Array:
    """Return a contiguous, finite array that later changes of ``value`` do not reach."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "iufb":
            raise TypeError(f"dtype {array.dtype}")
        out = np.array(array, dtype=dtype, order="C")
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{what} must be an array of real numbers, got {type(value).__name__} ({error}).") from None
    if not np.isfinite(out).all():
        raise ShapeError(f"{what} must be finite, got NaN or infinity.", got="non-finite")
    return out


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
