"""Templates: what is compiled once and run with many values. A program without its values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from superpose.circuits.circuit import Circuit
from superpose.circuits.observables import Observable
from superpose.circuits.parameters import Parameter
from superpose.circuits.program import Dtype, checked_observables
from superpose.circuits.wording import listed, shown
from superpose.errors import ParameterUnboundError, ProgramError, ShapeError

__all__ = ["ParamsLike", "Template"]

ParamsLike = Mapping[str | Parameter, Any] | Mapping[str, Any] | npt.ArrayLike


@dataclass(frozen=True, eq=False, init=False)
class Template:
    """A circuit whose parameters have no values yet, and what is measured: the structure that a backend compiles.

    Templates are equal, and compiled once, where circuit, observables, inputs and precision are equal.

    Args:
        circuit: The circuit. It is copied.
        observables: Operators on the circuit's qubits; without any, runs give counts or state vectors.
        inputs: Names of the parameters that may differ between batch entries; all others have one value per run.
        dtype: Precision of the amplitudes, "float64" or "float32".

    Attributes:
        input_names: As given, in the order of the circuit's parameters.
        weight_names: The other parameters, in that order.

    Raises:
        ParameterUnboundError: ``inputs`` names something else than distinct parameters of the circuit.
        ObservableError: An observable acts on another number of qubits.
        ProgramError: Another dtype.

    >>> a, x = Parameter("a"), Parameter("x")
    >>> template = Template(Circuit(1).ry(x, 0).rz(a, 0), [Observable("Z")], inputs=["x"])
    >>> template.input_names, template.weight_names
    (('x',), ('a',))
    """

    circuit: Circuit
    observables: tuple[Observable, ...]
    input_names: tuple[str, ...]
    weight_names: tuple[str, ...]
    dtype: Dtype

    def __init__(
        self,
        circuit: Circuit,
        observables: Observable | Iterable[Observable] = (),
        inputs: Iterable[str | Parameter] = (),
        dtype: Dtype = "float64",
    ) -> None:
        if not isinstance(circuit, Circuit):
            raise ProgramError(f"A template's circuit must be a Circuit, got {type(circuit).__name__}.")
        if dtype not in get_args(Dtype):
            raise ProgramError(f"dtype must be 'float64' or 'float32', got {shown(dtype)}.")
        names = [item.name if isinstance(item, Parameter) else item for item in inputs]
        unknown = [name for name in names if name not in circuit.parameters]
        if unknown or len(set(names)) != len(names):
            raise ParameterUnboundError(
                f"inputs must name distinct parameters of the circuit ({listed(circuit.parameters)}), got {names}.",
                unknown=unknown,
            )
        given = set(names)
        parts: dict[str, Any] = {
            "circuit": circuit.frozen(),
            "observables": checked_observables(observables, circuit.n_qubits),
            "input_names": tuple(name for name in circuit.parameters if name in given),
            "weight_names": tuple(name for name in circuit.parameters if name not in given),
            "dtype": dtype,
        }
        for name, value in parts.items():
            object.__setattr__(self, name, value)

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """What tells templates apart within a process; hashable."""
        return self.circuit.digest, self.observables, self.input_names, self.dtype

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of everything the template says; the same in every process."""
        from superpose.circuits.documents import observable_to_json

        observables = [observable_to_json(observable) for observable in self.observables]
        said = json.dumps([self.circuit.digest, observables, self.input_names, self.dtype], separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Template) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def values(self, params: ParamsLike | None) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return values of inputs and weights, float64 ``(batch, n_inputs)`` and ``(n_weights,)``.

        Args:
            params: By name, numbers or, for inputs, arrays ``(batch,)``; or an array ``(n_params,)`` or
                ``(batch, n_params)`` in the order of ``circuit.parameters``, in radians.

        Raises:
            ParameterUnboundError: Names or the last axis are not those of the circuit.
            ShapeError: Sizes disagree, or a weight has several values.

        Cost: some microseconds for an array, 0.2 us more for each name of a mapping.
        """
        if isinstance(params, Mapping):
            return self._by_name(params)
        n_params = len(self.circuit.parameters)
        array = np.asarray(np.empty(0) if params is None else params, np.float64)
        if array.ndim not in (1, 2) or array.shape[-1] != n_params or not len(array) >= (array.ndim == 2):
            raise ParameterUnboundError(
                f"Circuit needs {n_params} parameters, got params.shape={array.shape}; "
                f"the last axis must be {n_params}.",
                shape=list(array.shape),
            )
        rows = array if array.ndim == 2 else array[None]  # (batch, n_params)
        if not self.input_names and len(rows) == 1:
            return rows[:, :0], rows[0]
        inputs, weights = self._places
        shared = rows[:, weights]
        if len(rows) > 1 and not (shared == shared[0]).all():
            raise ShapeError(
                f"Parameters {listed(self.weight_names)} have one value per run, got {len(rows)}; "
                "name those that differ between batch entries as inputs.",
                got=len(rows),
                allowed=[1],
            )
        return np.ascontiguousarray(rows[:, inputs]), shared[0]

    @cached_property
    def _places(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Columns of inputs and of weights among the circuit's parameters."""
        place = {name: column for column, name in enumerate(self.circuit.parameters)}
        inputs, weights = ([place[name] for name in names] for names in (self.input_names, self.weight_names))
        return np.array(inputs, np.intp), np.array(weights, np.intp)

    def _by_name(self, params: Mapping[Any, Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        named = {key.name if isinstance(key, Parameter) else key: value for key, value in params.items()}
        known = self.circuit.parameters
        if len(named) != len(known) or not all(name in named for name in known):
            unknown, missing = (
                sorted(map(str, named.keys() - set(known))),
                [name for name in known if name not in named],
            )
            wrong = f"Circuit has no parameters {listed(unknown)}; it has {listed(known)}."
            raise ParameterUnboundError(
                wrong if unknown else f"Parameters {listed(missing)} have no value; give one for each.",
                unknown=unknown[:100],
                missing=missing[:100],
            )
        try:
            weights = np.array([named[name] for name in self.weight_names], np.float64)
            columns = [np.atleast_1d(np.asarray(named[name], np.float64)) for name in self.input_names]
            inputs = np.stack(np.broadcast_arrays(*columns), axis=1) if columns else np.empty((1, 0))
        except (TypeError, ValueError) as error:
            raise ShapeError(f"Weights are numbers, inputs numbers or arrays of one length: {error}.") from None
        if weights.ndim != 1 or inputs.ndim != 2 or not len(inputs):
            raise ShapeError(
                f"Weights are numbers and inputs are numbers or arrays (batch,), got shapes {weights.shape[1:]} and "
                f"{inputs.shape}."
            )
        return np.ascontiguousarray(inputs), weights
