"""Programs: what is run. A circuit template, values for its parameters, and what is asked of the final state."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from superpose.circuits.circuit import Circuit
from superpose.circuits.feature_maps import FeatureMap
from superpose.circuits.observables import Observable
from superpose.circuits.parameters import Parameter
from superpose.errors import ObservableError, ParameterUnboundError, ProgramError

__all__ = ["Backend", "Capabilities", "Dtype", "Program", "ProgramResult"]

Dtype = Literal["float64", "float32"]
MAX_SEED = 2**63 - 1
NORM_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Program:
    """A circuit template, parameter values and a question: the unit of batching, retrying and caching.

    What comes back depends on the question: expectations where there are observables (exact, or estimated where
    ``shots`` is given); counts where there are none but ``shots``; state vectors where there is neither.

    Entries of the batch differ in the values of their parameters, inputs or initial state; a value given once holds for
    the whole batch. Arrays are copied and read only.

    Args:
        circuit: The template. It is copied.
        params: Values by parameter name (or `Parameter`): a number, or an array of shape ``(batch,)``, in radians.
        observables: Operators on the circuit's qubits.
        shots: Number of measurements per batch entry, or None for exact answers.
        seed: Seed of the sampling, ``0 .. 2**63 - 1``; None draws one, which the result's provenance tells.
        initial_state: Normalised state ``(2**n_qubits,)`` or ``(batch, 2**n_qubits)`` instead of ``|0...0>``.
        feature_map: Map from ``inputs`` to the parameters ``input_names``; None takes the inputs as they are.
        inputs: Array ``(batch, n_inputs)``.
        input_names: Names of the circuit's parameters that the feature map's angles go to, in order.
        dtype: Precision of the amplitudes, "float64" (complex128) or "float32" (complex64).

    Raises:
        ParameterUnboundError: A parameter has no value, or a value has no parameter.
        ObservableError: An observable acts on another number of qubits.
        ProgramError: Shapes, shots, seed, initial state or inputs do not fit.

    >>> theta = Parameter("theta")
    >>> program = Program(Circuit(1).rx(theta, 0), {"theta": [0.0, 3.0]}, [Observable("Z")])
    >>> program.batch, program.param_matrix().tolist()
    (2, [[0.0], [3.0]])
    """

    circuit: Circuit
    params: Mapping[str, float | npt.NDArray[np.float64]] = field(default_factory=dict)
    observables: tuple[Observable, ...] = ()
    shots: int | None = None
    seed: int | None = None
    initial_state: npt.NDArray[np.complex128] | None = None
    feature_map: FeatureMap | None = None
    inputs: npt.NDArray[np.float64] | None = None
    input_names: tuple[str, ...] = ()
    dtype: Dtype = "float64"

    def __post_init__(self) -> None:
        if not isinstance(self.circuit, Circuit):
            raise ProgramError(f"A program's circuit must be a Circuit, got {type(self.circuit).__name__}.")
        if self.dtype not in get_args(Dtype):
            raise ProgramError(f"dtype must be 'float64' or 'float32', got {self.dtype!r}.")
        self._set("circuit", self.circuit.copy())
        self._set("params", MappingProxyType(self._checked_params()))
        self._set("observables", self._checked_observables())
        self._set("input_names", tuple(_name(key) for key in self.input_names))
        self._set("shots", _integer("shots", self.shots, 1, 2**31 - 1))
        self._set("seed", _integer("seed", self.seed, 0, MAX_SEED))
        self._set("inputs", self._checked_inputs())
        self._set("initial_state", self._checked_state())
        self._check_names()
        self._check_batch()

    @property
    def n_qubits(self) -> int:
        """Number of qubits of the circuit."""
        return self.circuit.n_qubits

    @cached_property
    def batch(self) -> int:
        """Number of batch entries; 1 where every value is given once."""
        return max((size for _, size in self._sizes()), default=1)

    def param_matrix(self) -> npt.NDArray[np.float64]:
        """Return the parameters' values, ``(batch, n_params)`` in the order of ``circuit.parameters``, float64.

        Values that come from inputs through the feature map are included.
        """
        values = dict(self.params)
        if self.inputs is not None:
            values.update(zip(self.input_names, self._angles().T, strict=True))
        out = np.empty((self.batch, self.circuit.n_params))
        for column, name in enumerate(self.circuit.parameters):
            out[:, column] = values[name]
        return out

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of everything the program says, the seed included."""
        hashed = hashlib.sha256(self.circuit.digest.encode())
        mapping = self.feature_map
        head = [
            [[name, *map(repr, np.shape(value))] for name, value in self.params.items()],
            [[o.n_qubits, *((pauli, k.hex()) for pauli, k in o.terms)] for o in self.observables],
            [self.shots, self.seed, self.dtype, self.input_names],
            None if mapping is None else [mapping.name, mapping.n_inputs, dict(mapping.options)],
            [None if array is None else array.shape for array in (self.inputs, self.initial_state)],
        ]
        hashed.update(repr(head).encode())
        for value in (*self.params.values(), self.inputs, self.initial_state):
            if value is not None:
                hashed.update(np.ascontiguousarray(value).tobytes())
        return hashed.hexdigest()

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Program) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        values = {f.name: getattr(self, f.name) for f in fields(self)} | {"params": dict(self.params)}
        return type(self), tuple(values.values())

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _angles(self) -> npt.NDArray[np.float64]:
        if self.inputs is None:
            return np.empty((1, 0))
        return self.inputs if self.feature_map is None else self.feature_map.apply(self.inputs)

    def _checked_observables(self) -> tuple[Observable, ...]:
        given: Sequence[Observable] = self.observables
        if isinstance(given, Observable):
            given = (given,)
        for place, observable in enumerate(given):
            if not isinstance(observable, Observable):
                raise ProgramError(f"observables[{place}] must be an Observable, got {type(observable).__name__}.")
            if observable.n_qubits != self.circuit.n_qubits:
                raise ObservableError(
                    f"observables[{place}] acts on {observable.n_qubits} qubits, the circuit on {self.n_qubits}.",
                    index=place,
                )
        return tuple(given)

    def _checked_params(self) -> dict[str, float | npt.NDArray[np.float64]]:
        named = {_name(key): value for key, value in self.params.items()}
        return {name: _values(name, named[name]) for name in sorted(named)}

    def _checked_inputs(self) -> npt.NDArray[np.float64] | None:
        if self.inputs is None:
            if self.feature_map is not None or self.input_names:
                raise ProgramError("A feature map or input names need inputs of shape (batch, n_inputs), got none.")
            return None
        inputs = _array("inputs", self.inputs, np.float64)
        width = len(self.input_names) if self.feature_map is None else self.feature_map.n_inputs
        if inputs.ndim != 2 or inputs.shape[1] != width or not len(inputs):
            raise ProgramError(f"inputs must have shape (batch, {width}) with batch >= 1, got {inputs.shape}.")
        if self.feature_map is not None and self.feature_map.n_angles != len(self.input_names):
            raise ProgramError(
                f"Feature map {self.feature_map.name!r} gives {self.feature_map.n_angles} angles, "
                f"input_names has {len(self.input_names)}."
            )
        return inputs

    def _checked_state(self) -> npt.NDArray[np.complex128] | None:
        if self.initial_state is None:
            return None
        state = _array("initial_state", self.initial_state, np.complex128)
        if state.ndim not in (1, 2) or not state.size or state.shape[-1] != 2**self.n_qubits:
            raise ProgramError(f"initial_state must have shape ([batch,] 2**{self.n_qubits}), got {state.shape}.")
        norms = np.atleast_1d(np.linalg.norm(state, axis=-1))
        worst = norms[np.argmax(np.abs(norms - 1.0))]
        if abs(worst - 1.0) > NORM_TOLERANCE:
            raise ProgramError(f"initial_state must be normalised, got a norm of {worst:.6g}; divide by it.")
        return state

    def _check_names(self) -> None:
        known, given = set(self.circuit.parameters), Counter([*self.params, *self.input_names])
        twice = sorted(name for name, times in given.items() if times > 1)
        if twice:
            raise ProgramError(f"Parameters {twice} get a value twice; name each once in params or input_names.")
        unknown, missing = sorted(given.keys() - known), [n for n in self.circuit.parameters if n not in given]
        if unknown:
            raise ParameterUnboundError(
                f"Circuit has no parameters {unknown}; it has {list(self.circuit.parameters) or 'none'}.",
                unknown=unknown,
            )
        if missing:
            raise ParameterUnboundError(f"Parameters {missing} have no value; give one for each.", missing=missing)

    def _sizes(self) -> list[tuple[str, int]]:
        """(what, batch size) of every value that is given per entry."""
        sizes = [(f"params[{name!r}]", len(v)) for name, v in self.params.items() if isinstance(v, np.ndarray)]
        if self.inputs is not None:
            sizes.append(("inputs", len(self.inputs)))
        if self.initial_state is not None and self.initial_state.ndim == 2:
            sizes.append(("initial_state", len(self.initial_state)))
        return sizes

    def _check_batch(self) -> None:
        wrong = [(what, size) for what, size in self._sizes() if size not in (1, self.batch)]
        if wrong:
            what, size = wrong[0]
            raise ProgramError(f"{what} has {size} batch entries where others have {self.batch}; they must agree.")


@dataclass(frozen=True, eq=False)
class ProgramResult:
    """What a backend answered.

    Attributes:
        expectations: Float64 ``(batch, n_observables)``, or None where the program has no observables.
        counts: Per batch entry, how often each bit string was measured (qubit 0 leftmost); None unless asked for.
        state_vectors: Complex ``(batch, 2**n_qubits)``, or None unless asked for.
        provenance: How the answer came about, in JSON values: backend, versions, dtype, seed, seconds, program digest.
    """

    expectations: npt.NDArray[np.float64] | None = None
    counts: tuple[Mapping[str, int], ...] | None = None
    state_vectors: npt.NDArray[np.complex128] | npt.NDArray[np.complex64] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ProgramResult):
            return NotImplemented
        return all(_same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]  # holds arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do, so that a program can be refused, or placed elsewhere, before it is sent.

    Attributes:
        max_qubits: Largest circuit, or None where memory alone decides.
        gates: Names of the gates taken as they are, or None for the whole table.
        max_shots: Most shots per batch entry, or None without limit.
        exact: Whether expectations without shots (the exact values) are given.
        state_vectors: Whether state vectors are given.
        initial_state: Whether a program may start from a state of its own.
        simulator: Whether results are computed rather than measured.
    """

    max_qubits: int | None = None
    gates: frozenset[str] | None = None
    max_shots: int | None = None
    exact: bool = False
    state_vectors: bool = False
    initial_state: bool = False
    simulator: bool = False


@runtime_checkable
class Backend(Protocol):
    """Where programs run. Implementations pass `superpose.testing.check_backend`."""

    @property
    def name(self) -> str:
        """The name that `superpose.run` and provenance use."""
        ...

    def capabilities(self) -> Capabilities:
        """Return what this backend can do."""
        ...

    def run(self, program: Program) -> ProgramResult:
        """Run ``program`` and return its result; see `Program` for which parts are filled."""
        ...


def _name(key: object) -> str:
    if isinstance(key, Parameter):
        return key.name
    if not isinstance(key, str):
        raise ParameterUnboundError(f"Parameters are named by str or Parameter, got {type(key).__name__}.")
    return key


def _array(what: str, value: object, dtype: type[np.float64] | type[np.complex128]) -> npt.NDArray[Any]:
    """Return a read-only, contiguous, finite copy."""
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in ("iuf" if dtype is np.float64 else "iufc"):
            raise TypeError
        array = np.array(raw, dtype=dtype, order="C")
    except (TypeError, ValueError):
        raise ProgramError(
            f"{what} must be an array of {'real' if dtype is np.float64 else 'complex'} numbers."
        ) from None
    if not np.isfinite(array).all():
        raise ProgramError(f"{what} must be finite, got NaN or infinity.")
    array.setflags(write=False)
    return array


def _values(name: str, value: object) -> float | npt.NDArray[np.float64]:
    array = _array(f"params[{name!r}]", value, np.float64)
    if array.ndim > 1 or array.size == 0:
        raise ProgramError(f"params[{name!r}] must be a number or an array of shape (batch,), got shape {array.shape}.")
    return float(array) if array.ndim == 0 else array


def _integer(what: str, value: object, low: int, high: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ProgramError(f"{what} must be an integer in {low} .. {high} or None, got {value!r}.")
    return int(value)


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return not isinstance(a, np.ndarray) and not isinstance(b, np.ndarray) and bool(a == b)
