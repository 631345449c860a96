"""Compiled programs: circuits and observables as tapes, and the calls that run them on arrays."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit, Observable
from superpose.engine.arrays import Array, not_finite_error, real_array
from superpose.engine.derivatives import Derivatives
from superpose.engine.kernels import modes
from superpose.engine.layouts import runs_wide
from superpose.engine.lowering import Lowered, lower
from superpose.engine.marginals import checked_qubits, marginal
from superpose.engine.memory import SMALL_BYTES, Returns, check_memory, memory_required
from superpose.engine.runner import Dtype, Runner
from superpose.engine.sampling import check_shots, counts_from, draw, sample
from superpose.engine.states import PlacedStates
from superpose.engine.tape_files import MIN_GATES, TapeFile
from superpose.engine.workspace import aligned
from superpose.errors import ObservableError, ParameterUnboundError, ShapeError, UnsupportedProgramError

__all__ = ["CompiledProgram", "TapeState", "compile_count", "compile_program", "compiles_told"]

PLACED_WIDE_FROM = 10
"""From so many qubits on states that are only multiplied with one another are run one by one: where every angle is an
input, each has its own phase tables then, and amplitudes end up side by side (IQP, 12 qubits: half the time)."""


def _parts(array: Array) -> Iterator[Array]:
    """Look at an array in short pieces, so that what is asked of each takes no memory to speak of."""
    return iter(np.nditer(array, ("external_loop", "buffered", "zerosize_ok"), buffersize=1 << 16))


@dataclass(frozen=True, eq=False)
class TapeState:
    """What `CompiledProgram.backward` needs of a forward call: arrays only, never changed, safe to copy.

    Attributes:
        inputs, weights: Float64 copies of what came in.
        prepared: What the kernels computed for all samples together.
        states: Final states, by tiles.
    """

    inputs: Array
    weights: Array
    prepared: tuple[Array, ...]
    states: Array


class CompiledProgram(Derivatives):
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
        self._real: type[Any] = np.float32 if dtype == "float32" else np.float64
        self._complex: type[Any] = np.complex64 if dtype == "float32" else np.complex128
        self._files = self._tape_files()
        self._kept = {wide: file.read() for wide, file in self._files.items()}
        self._lowered: Lowered | None = None
        if not any(self._kept.values()):
            self._lowered = self._lower()
        self._runners: dict[bool, Runner] = {}
        self._small: dict[tuple[int, bool, str], Runner] = {}  # by batch size, where memory is no question
        self._no_state = np.empty(0, self._real)

    def _runner(
        self, batch: int, *, keep: bool = False, returns: Returns = "expectations", n_initial: int = 0
    ) -> Runner:
        """Return the runner for a batch, after a look at the memory that it takes."""
        known = None if n_initial else self._small.get((batch, keep, returns))
        if known is not None:
            return known
        needed = memory_required(self.n_qubits, batch, dtype=self.dtype, gradients=keep, returns=returns)
        needed += n_initial * (np.dtype(self._complex).itemsize << self.n_qubits)  # a copy, by places
        check_memory(needed, self.n_qubits, batch)
        wide = runs_wide(self.n_qubits, batch, self.dtype)
        runner = self._runners.get(wide)
        if runner is None:
            runner = self._runners[wide] = self._new_runner(wide=wide)
        if not n_initial and needed <= SMALL_BYTES and len(self._small) < 1000:
            self._small[batch, keep, returns] = runner
        return runner

    def _new_runner(self, *, wide: bool) -> Runner:
        """Return a runner for a tape that was kept, or for one that is written and kept now."""
        names, kept = (self.input_names, self.weight_names), self._kept.get(wide)
        if kept is not None:
            return Runner(kept.lowered, names, self.dtype, wide=wide, written=kept)
        runner = Runner(self.lowered, names, self.dtype, wide=wide)
        if self._files:
            self._files[wide].write(runner.written)
        return runner

    def _tape_files(self) -> dict[bool, TapeFile]:
        """Return where tapes are kept, for a circuit that is large enough, by whether they are wide."""
        if self.circuit.n_instructions < MIN_GATES:
            return {}
        given = self.input_names, self.dtype
        return {wide: TapeFile(self.circuit, self.observables, given, wide=wide) for wide in (False, True)}

    def _lower(self) -> Lowered:
        _count_one()
        started_s = time.time()
        lowered = lower(self.circuit, self.observables)
        for told in tuple(_listeners):
            told(started_s, time.time())
        return lowered

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
        runner, given = self._given(inputs, weights, initial_state)
        out = np.empty((len(given[0]), self.n_observables), self._real)
        prepared = runner.prepared.take()
        runner.run(modes.PREPARE | modes.FORWARD | modes.EXPECT, given, prepared, out=out)
        runner.prepared.give_back(prepared)
        return out

    def forward(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, *, initial_state: npt.ArrayLike | None = None
    ) -> tuple[Array, TapeState]:
        """Return the expectations and what `backward` needs; see `expectation`.

        The state belongs to this call alone: other calls do not change it, and it serves any number of backward calls.

        Cost: keeps the final states, ``batch * 2**n_qubits`` amplitudes.
        """
        runner, given = self._given(inputs, weights, initial_state, keep=True)
        x, w, _ = given
        states = runner.new_states(len(x))
        out = np.empty((len(x), self.n_observables), self._real)
        prepared = runner.prepared.new()
        runner.run(modes.PREPARE | modes.FORWARD | modes.SAVE | modes.EXPECT, given, prepared, states, out)
        return out, TapeState(x.copy(), w.copy(), prepared, states)  # x and w may be the caller's own memory

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
        state, batch = tape_state, len(tape_state.inputs)
        runner = self._runner(batch, keep=True)
        shapes = state.inputs.shape[1:], state.weights.shape
        if shapes != ((self.n_inputs,), (self.n_weights,)) or not runner.accepts(state.states, state.prepared, batch):
            raise ShapeError(
                "The tape state comes from another program; give the one that this program's forward gave."
            )
        given = state.inputs, state.weights, self._no_state, self._gradient(grad_expectations, batch)
        return runner.run_back(modes.BACKWARD | modes.FINISH, given, aligned(state.prepared), state.states)

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
        runner, given = self._given(inputs, weights, initial_state, returns="gradients")
        batch = len(given[0])
        grad = self._gradient(grad_expectations, batch)
        out = np.empty((batch, self.n_observables), self._real)
        prepared = runner.prepared.take()
        mode = modes.PREPARE | modes.FORWARD | modes.EXPECT | modes.BACKWARD | modes.FINISH
        grad_inputs, grad_weights = runner.run_back(mode, (*given, grad), prepared, out=out)
        runner.prepared.give_back(prepared)
        return out, grad_inputs, grad_weights

    def state_vector(
        self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, *, initial_state: npt.ArrayLike | None = None
    ) -> Array:
        """Return the final states, global phase included, complex ``(batch, 2**n_qubits)``.

        Qubit 0 is the most significant bit of the index. complex64 for float32, complex128 for float64.
        """
        runner, (x, w, initial) = self._given(inputs, weights, initial_state, returns="states")
        values: dict[str, Any] = dict(zip(self.input_names, x.T, strict=True))
        values.update(zip(self.weight_names, w, strict=True))
        return runner.final_states((x, w, initial)).vectors(values, self._complex)

    def placed_states(self, inputs: npt.ArrayLike | None, weights: npt.ArrayLike | None, *, batch: int) -> PlacedStates:
        """Return the final states as they stand in memory, which is all that moduli of inner products need.

        They are those of `state_vector` but for a phase of each state and one unitary, which all calls with the same
        ``weights`` and ``batch`` share.

        Args:
            inputs, weights: See `expectation`.
            batch: Samples of the largest of the calls whose states are to be held alike.
        """
        runner, given = self._given(inputs, weights, None, returns="states")
        wide = self.n_qubits >= PLACED_WIDE_FROM or runs_wide(self.n_qubits, batch, self.dtype)
        if wide != (runner.samples == 1):
            runner = self._runners.get(wide) or self._runners.setdefault(wide, self._new_runner(wide=wide))
        return runner.placed_states(given)

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
        runner, given = self._given(inputs, weights, initial_state, returns="probabilities")
        return sample(runner.final_states(given).probabilities(), shots, seed)

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
        check_shots(shots, seed)
        runner, given = self._given(inputs, weights, initial_state, returns="probabilities")
        outcomes, _ = draw(runner.final_states(given).probabilities(), shots, seed)
        return counts_from(outcomes, self.n_qubits)

    def probabilities(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        *,
        qubits: Sequence[int] | None = None,
        initial_state: npt.ArrayLike | None = None,
    ) -> Array:
        """Return the probability of each bit string.

        Args:
            inputs, weights, initial_state: See `expectation`.
            qubits: Whose bits; None for all qubits.

        Returns:
            Array ``(batch, 2**k)`` for k qubits, the first the most significant bit of the index.

        Raises:
            QubitOutOfRangeError: ``qubits`` repeats or leaves the circuit.

        >>> program = compile_program(Circuit(2).h(0).cx(0, 1), [], dtype="float64")
        >>> program.probabilities(None, None).round(9).tolist()
        [[0.5, 0.0, 0.0, 0.5]]
        """
        runner, given = self._given(inputs, weights, initial_state, returns="probabilities")
        chosen = checked_qubits(qubits, self.n_qubits)
        return marginal(runner.final_states(given).probabilities(), chosen).astype(self._real, copy=False)

    def runner_for(self, batch: int, *, gradients: bool) -> Runner:
        """Return what runs batches of this size, for callers that keep working memory between calls.

        Raises:
            StateTooLargeError: The states do not fit into memory.
        """
        return self._runner(batch, keep=gradients)

    @property
    def lowered(self) -> Lowered:
        """The circuit as Pauli rotations, which the tape is written from."""
        if self._lowered is None:
            self._lowered = self._lower()
        return self._lowered

    def arrays(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        grad_expectations: npt.ArrayLike | None = None,
        *,
        initial_state: npt.ArrayLike | None = None,
    ) -> tuple[Array, Array, Array, Array | None]:
        """Return what `value_and_grad` takes, checked, for methods that compute without the tape.

        Returns:
            Float64 inputs, weights and gradient (zeros for None), and the initial state ``(1 or batch, 2**n_qubits)``,
            or None for ``|0...0>``.
        """
        _, (x, w, _) = self._given(inputs, weights, initial_state)
        shape = len(x), self.n_observables
        grad = np.zeros(shape) if grad_expectations is None else self._gradient(grad_expectations, len(x))
        for array, status in ((w, modes.BAD_WEIGHTS), (x, modes.BAD_INPUTS), (grad, 0)):
            if not np.isfinite(array).all():
                raise not_finite_error(status)
        state = None if initial_state is None else np.atleast_2d(self._checked_state(initial_state))
        return x, w, grad.astype(np.float64, copy=False), state

    def _given(
        self,
        inputs: npt.ArrayLike | None,
        weights: npt.ArrayLike | None,
        initial_state: npt.ArrayLike | None,
        *,
        keep: bool = False,
        returns: Returns = "expectations",
    ) -> tuple[Runner, tuple[Array, Array, Array]]:
        """Return the runner and the arrays in its form: inputs, weights, and the initial state, empty for |0...0>."""
        w = real_array("weights", np.empty(0) if weights is None else weights)
        if w.shape != (self.n_weights,):
            raise ShapeError(
                f"weights must have shape ({self.n_weights},), one value per weight, got {w.shape}.",
                got=list(w.shape),
                allowed=[self.n_weights],
            )
        state = None if initial_state is None else self._checked_state(initial_state)
        n_states = 0 if state is None else state.size >> self.n_qubits
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
        runner = self._runner(len(x), keep=keep, returns=returns, n_initial=n_states)
        if state is None:
            return runner, (x, w, self._no_state)
        placed = runner.first_layout.placed(state, self._complex)
        return runner, (x, w, placed.view(self._real).reshape(-1))

    def _checked_state(self, initial_state: npt.ArrayLike) -> Array:
        array = np.asarray(initial_state)
        d = 1 << self.n_qubits
        if array.dtype.kind not in "iufc" or array.ndim not in (1, 2) or array.shape[-1] != d or not len(array):
            raise ShapeError(
                f"initial_state must be numbers of shape ({d},) or (batch, {d}), got {array.dtype} {array.shape}.",
                got=list(array.shape),
                allowed=["batch", d],
            )
        if not all(np.isfinite(part).all() for part in _parts(array)):
            raise ShapeError("initial_state must be finite, got NaN or infinity.", got="non-finite")
        return array

    def _gradient(self, grad_expectations: npt.ArrayLike, batch: int) -> Array:
        grad = real_array("grad_expectations", grad_expectations, self._real)
        if grad.shape != (batch, self.n_observables):
            raise ShapeError(
                f"grad_expectations must have shape ({batch}, {self.n_observables}), got {grad.shape}.",
                got=list(grad.shape),
                allowed=[batch, self.n_observables],
            )
        return grad


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
    known = set(circuit.parameters)
    unknown = [name for name in inputs if name not in known]
    if unknown or len(set(inputs)) != len(inputs):
        raise ParameterUnboundError(
            f"inputs must name distinct parameters of the circuit {list(circuit.parameters)}, got {list(inputs)}.",
            unknown=unknown,
        )


_n_compiled = 0
_listeners: list[Callable[[float, float], None]] = []
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


@contextmanager
def compiles_told(listener: Callable[[float, float], None]) -> Iterator[None]:
    """Have ``listener`` told, in any thread, when each lowering of a circuit began and ended (seconds since 1970)."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def compile_count() -> int:
    """Return how many circuits this process has lowered so far; one that is run again with other values adds none."""
    return _n_compiled


def _count_one() -> None:
    global _n_compiled
    with _programs_lock:
        _n_compiled += 1


def _after_fork() -> None:
    """Another thread may have held the lock when the process forked."""
    global _programs_lock
    _programs_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _restore(
    circuit: Circuit, observables: tuple[Observable, ...], inputs: tuple[str, ...], dtype: Dtype
) -> CompiledProgram:
    return compile_program(circuit, observables, inputs=inputs, dtype=dtype)
