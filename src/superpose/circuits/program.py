"""Programs: what is run. A circuit template, values for its parameters, and what is asked of the final state."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from superpose.circuits.circuit import Circuit
from superpose.circuits.feature_maps import FeatureMap
from superpose.circuits.observables import Observable
from superpose.circuits.parameters import Parameter
from superpose.circuits.wording import listed, shown
from superpose.errors import ObservableError, ParameterUnboundError, ProgramError

__all__ = ["Dtype", "Program", "checked_observables"]

Dtype = Literal["float64", "float32"]
MAX_SHOTS = 2**31 - 1
MAX_SEED = 2**63 - 1
NORM_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False, init=False)
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
    params: Mapping[str, float | npt.NDArray[np.float64]]
    observables: tuple[Observable, ...]
    shots: int | None
    seed: int | None
    initial_state: npt.NDArray[np.complex128] | None
    feature_map: FeatureMap | None
    inputs: npt.NDArray[np.float64] | None
    input_names: tuple[str, ...]
    dtype: Dtype

    def __init__(  # noqa: PLR0913  # each argument is a part of the program, and all but the first are optional
        self,
        circuit: Circuit,
        params: Mapping[Any, npt.ArrayLike] | None = None,
        observables: Observable | Iterable[Observable] = (),
        shots: int | None = None,
        seed: int | None = None,
        initial_state: npt.ArrayLike | None = None,
        feature_map: FeatureMap | None = None,
        inputs: npt.ArrayLike | None = None,
        input_names: Iterable[str | Parameter] = (),
        dtype: Dtype = "float64",
    ) -> None:
        if not isinstance(circuit, Circuit):
            raise ProgramError(f"A program's circuit must be a Circuit, got {type(circuit).__name__}.")
        if dtype not in get_args(Dtype):
            raise ProgramError(f"dtype must be 'float64' or 'float32', got {shown(dtype)}.")
        names = tuple(_name(key) for key in input_names)
        parts = {
            "circuit": circuit.frozen(),
            "params": MappingProxyType(_checked_params({} if params is None else params)),
            "observables": checked_observables(observables, circuit.n_qubits),
            "shots": _integer("shots", shots, 1, MAX_SHOTS),
            "seed": _integer("seed", seed, 0, MAX_SEED),
            "initial_state": _checked_state(initial_state, circuit.n_qubits),
            "feature_map": feature_map,
            "inputs": _checked_inputs(inputs, feature_map, names),
            "input_names": names,
            "dtype": dtype,
        }
        for name, value in parts.items():
            object.__setattr__(self, name, value)
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

    def _angles(self) -> npt.NDArray[np.float64]:
        if self.inputs is None:
            return np.empty((1, 0))
        return self.inputs if self.feature_map is None else self.feature_map.apply(self.inputs)

    def _check_names(self) -> None:
        known, given = set(self.circuit.parameters), Counter([*self.params, *self.input_names])
        twice = sorted(name for name, times in given.items() if times > 1)
        if twice:
            raise ProgramError(
                f"Parameters {listed(twice)} get a value twice; name each once in params or input_names."
            )
        unknown, missing = sorted(given.keys() - known), [n for n in self.circuit.parameters if n not in given]
        if unknown:
            raise ParameterUnboundError(
                f"Circuit has no parameters {listed(unknown)}; it has {listed(self.circuit.parameters)}.",
                unknown=unknown[:100],
            )
        if missing:
            raise ParameterUnboundError(
                f"Parameters {listed(missing)} have no value; give one for each.", missing=missing[:100]
            )

    def _sizes(self) -> list[tuple[str, int]]:
        """(what, batch size) of every value that is given per entry."""
        sizes = [(f"params[{shown(name)}]", len(v)) for name, v in self.params.items() if isinstance(v, np.ndarray)]
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


def _checked_params(params: Mapping[Any, npt.ArrayLike]) -> dict[str, float | npt.NDArray[np.float64]]:
    named = {_name(key): value for key, value in params.items()}
    return {name: _values(name, named[name]) for name in sorted(named)}


def checked_observables(observables: Observable | Iterable[Observable], n_qubits: int) -> tuple[Observable, ...]:
    """Return the observables as a tuple, after a look whether they act on ``n_qubits`` qubits.

    Raises:
        ObservableError: One acts on another number of qubits.
        ProgramError: One is no observable.
    """
    given = (observables,) if isinstance(observables, Observable) else tuple(observables)
    for place, observable in enumerate(given):
        if not isinstance(observable, Observable):
            raise ProgramError(f"observables[{place}] must be an Observable, got {type(observable).__name__}.")
        if observable.n_qubits != n_qubits:
            raise ObservableError(
                f"observables[{place}] acts on {observable.n_qubits} qubits, the circuit on {n_qubits}.", index=place
            )
    return given


def _checked_inputs(
    given: npt.ArrayLike | None, mapping: FeatureMap | None, names: tuple[str, ...]
) -> npt.NDArray[np.float64] | None:
    if given is None:
        if mapping is not None or names:
            raise ProgramError("A feature map or input names need inputs of shape (batch, n_inputs), got none.")
        return None
    inputs = _array("inputs", given, np.float64)
    width = len(names) if mapping is None else mapping.n_inputs
    if inputs.ndim != 2 or inputs.shape[1] != width or not len(inputs):
        raise ProgramError(f"inputs must have shape (batch, {width}) with batch >= 1, got {inputs.shape}.")
    if mapping is not None and mapping.n_angles != len(names):
        raise ProgramError(
            f"Feature map {mapping.name!r} gives {mapping.n_angles} angles, input_names has {len(names)}."
        )
    return inputs


def _checked_state(given: npt.ArrayLike | None, n_qubits: int) -> npt.NDArray[np.complex128] | None:
    if given is None:
        return None
    state = _array("initial_state", given, np.complex128)
    if state.ndim not in (1, 2) or not state.size or state.shape[-1] != 2**n_qubits:
        raise ProgramError(f"initial_state must have shape ([batch,] 2**{n_qubits}), got {state.shape}.")
    norms = np.atleast_1d(np.linalg.norm(state, axis=-1))
    worst = norms[np.argmax(np.abs(norms - 1.0))]
    if abs(worst - 1.0) > NORM_TOLERANCE:
        raise ProgramError(f"initial_state must be normalised, got a norm of {worst:.6g}; divide by it.")
    return state


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
    array = _array(f"params[{shown(name)}]", value, np.float64)
    if array.ndim > 1 or array.size == 0:
        raise ProgramError(
            f"params[{shown(name)}] must be a number or an array of shape (batch,), got shape {array.shape}."
        )
    return float(array) if array.ndim == 0 else array


def _integer(what: str, value: object, low: int, high: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ProgramError(f"{what} must be an integer in {low} .. {high} or None, got {shown(value)}.")
    return int(value)
