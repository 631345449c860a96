"""Grids: one template with arrays of values for its parameters, combined axis by axis as NumPy does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from superpose.circuits.circuit import Circuit
from superpose.circuits.observables import Observable
from superpose.circuits.parameters import Parameter
from superpose.circuits.program import MAX_SHOTS, Dtype, checked_observables
from superpose.circuits.template import Template
from superpose.circuits.wording import listed, shown
from superpose.errors import ParameterUnboundError, ProgramSetError

__all__ = ["Answers", "Combine", "ProgramGrid", "ValueGroup"]

Combine = Literal["zip", "product"]
Answers = Literal["expectations", "counts", "state_vectors"]

MAX_AXES = 32
MAX_NAME = 200


@dataclass(frozen=True, eq=False)
class ValueGroup:
    """Parameters that vary together.

    Attributes:
        names: Names of the parameters.
        values: Float64 ``(*shape, len(names))``, radians, read only.
        axes: Which axis of the grid each axis of ``shape`` is.
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.float64]
    axes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The group's own shape, without the axis of the names."""
        return tuple(self.values.shape[:-1])


@dataclass(frozen=True, eq=False, init=False)
class ProgramGrid:
    """A circuit with arrays of values for its parameters, and what is asked at each binding.

    A *binding* is one value for every parameter. The arrays' axes make the grid's ``shape``:

    * ``combine="zip"``: arrays are broadcast against one another, as NumPy does; equal axes go together.
    * ``combine="product"``: every array brings its own axes, in the order given; each is combined with each. Parameters
      that vary together are one array, under a tuple of their names.

    Observables come on top: with ``observe="product"`` each is measured at every binding and the expectations have
    shape ``shape + (n_observables,)``; with ``observe="zip"`` observable ``i`` is measured where the last axis is at
    ``i``, and the expectations have the shape ``shape``.

    What comes back: expectations where there are observables (exact, or estimated where ``shots`` is given); counts
    where there are none but ``shots``; state vectors, ``shape + (2**n_qubits,)``, where there is neither.

    Args:
        circuit: The template. It is copied.
        params: Values in radians. By name (or `Parameter`), each a number or an array of any shape; by tuple of names,
            an array ``(*shape, n_names)``; or one array ``(*shape, n_params)`` in the order of ``circuit.parameters``.
        observables: Operators on the circuit's qubits.
        shots: Measurements per binding, or None for exact answers.
        combine: How the arrays' axes go together.
        observe: How the observables go together with the bindings.
        dtype: Precision of the amplitudes, "float64" or "float32".
        name: A name within the set, or None.

    Raises:
        ParameterUnboundError: A parameter has no value, or a value has no parameter.
        ObservableError: An observable acts on another number of qubits.
        ProgramSetError: Shapes, shots or options do not fit.

    >>> a, b = Parameter("a"), Parameter("b")
    >>> circuit = Circuit(1).rx(a, 0).rz(b, 0)
    >>> ProgramGrid(circuit, {"a": [0.1, 0.2, 0.3], "b": [1.0, 2.0]}, combine="product").shape
    (3, 2)
    >>> ProgramGrid(circuit, {"a": [[0.1], [0.2]], "b": [1.0, 2.0, 3.0]}).shape
    (2, 3)
    """

    circuit: Circuit
    groups: tuple[ValueGroup, ...]
    observables: tuple[Observable, ...]
    shots: int | None
    combine: Combine
    observe: Combine
    dtype: Dtype
    name: str | None
    shape: tuple[int, ...]

    def __init__(  # noqa: PLR0913  # the parts of a grid; all but the first are optional
        self,
        circuit: Circuit,
        params: Mapping[Any, npt.ArrayLike] | npt.ArrayLike | None = None,
        observables: Observable | Iterable[Observable] = (),
        shots: int | None = None,
        *,
        combine: Combine = "zip",
        observe: Combine = "product",
        dtype: Dtype = "float64",
        name: str | None = None,
    ) -> None:
        if not isinstance(circuit, Circuit):
            raise ProgramSetError(
                f"A grid's circuit must be a Circuit, got {type(circuit).__name__}; superpose.load makes one of a file "
                "or of another toolkit's object, superpose.program_set takes them as they are."
            )
        _one_of("combine", combine, get_args(Combine))
        _one_of("observe", observe, get_args(Combine))
        _one_of("dtype", dtype, get_args(Dtype))
        if name is not None and not (isinstance(name, str) and 1 <= len(name) <= MAX_NAME):
            raise ProgramSetError(f"A grid's name must be a text of 1 to {MAX_NAME} characters, got {shown(name)}.")
        arrays = _arrays(params, circuit.parameters)
        _check_names([name for names, _ in arrays for name in names], circuit.parameters)
        shape, groups = _combined(arrays, combine)
        parts: dict[str, Any] = {
            "circuit": circuit.frozen(),
            "groups": groups,
            "observables": checked_observables(observables, circuit.n_qubits),
            "shots": _checked_shots(shots),
            "combine": combine,
            "observe": observe,
            "dtype": dtype,
            "name": name,
            "shape": shape,
        }
        for part, value in parts.items():
            object.__setattr__(self, part, value)
        self._check_zipped()

    @property
    def n_bindings(self) -> int:
        """Number of bindings, the product of ``shape``."""
        return prod(self.shape)

    @property
    def answers(self) -> Answers:
        """What comes back: "expectations", "counts" or "state_vectors"."""
        if self.observables:
            return "expectations"
        return "counts" if self.shots is not None else "state_vectors"

    @property
    def tail_shape(self) -> tuple[int, ...]:
        """What each binding adds to the shape of expectations or state vectors; ``()`` for counts."""
        if self.answers == "state_vectors":
            return (2**self.circuit.n_qubits,)
        return (len(self.observables),) if self.observables and self.observe == "product" else ()

    @cached_property
    def template(self) -> Template:
        """Circuit, observables and precision with the parameters that vary as inputs: what a backend compiles once."""
        varying = [name for group in self.groups if prod(group.shape) > 1 for name in group.names]
        return Template(self.circuit, self.observables, varying, self.dtype)

    def rows(self, start: int = 0, stop: int | None = None) -> npt.NDArray[np.float64]:
        """Return the parameters' values of the bindings ``start .. stop-1``, counted in C order.

        Returns:
            Float64 ``(stop - start, n_params)`` in the order of ``circuit.parameters``.

        Cost: memory for these bindings alone, however large the grid.
        """
        stop = self.n_bindings if stop is None else stop
        places = np.unravel_index(np.arange(start, stop), self.shape) if self.shape else ()
        column = {name: place for place, name in enumerate(self.circuit.parameters)}
        out = np.empty((stop - start, len(column)))  # (bindings, n_params)
        for group in self.groups:
            at = tuple(places[axis] if n > 1 else 0 for axis, n in zip(group.axes, group.shape, strict=True))
            out[:, [column[name] for name in group.names]] = group.values[at]
        return out

    def binding(self, *place: int) -> dict[str, float]:
        """Return the parameters' values at one place of the grid, by name.

        Raises:
            ProgramSetError: The grid has no such place.
        """
        try:
            flat = int(np.ravel_multi_index(place, self.shape)) if self.shape or place else 0
        except ValueError:
            raise ProgramSetError(f"The grid has shape {self.shape}; there is no place {place}.") from None
        return dict(zip(self.circuit.parameters, self.rows(flat, flat + 1)[0].tolist(), strict=True))

    def with_circuit(self, circuit: Circuit) -> ProgramGrid:
        """Return the same grid around another circuit of the same parameters and qubits.

        Raises:
            CircuitError: The circuit has others.
        """
        return ProgramGrid(
            circuit,
            {group.names: group.values for group in self.groups},
            self.observables,
            self.shots,
            combine=self.combine,
            observe=self.observe,
            dtype=self.dtype,
            name=self.name,
        )

    def __repr__(self) -> str:
        asked = f"{len(self.observables)} observables" if self.observables else self.answers.replace("_", " ")
        shots = "" if self.shots is None else f", shots={self.shots}"
        return f"ProgramGrid({self.circuit!r}, shape={self.shape}, {asked}{shots})"

    def _check_zipped(self) -> None:
        if self.observe == "product":
            return
        n_observables = len(self.observables)
        if not n_observables or not self.shape or self.shape[-1] != n_observables:
            raise ProgramSetError(
                f"observe='zip' takes one observable for each place of the last axis, got {n_observables} observables "
                f"and bindings of shape {self.shape}; observe='product' measures all of them everywhere.",
                shape=list(self.shape),
                n_observables=n_observables,
            )


def _arrays(params: Any, known: tuple[str, ...]) -> list[tuple[tuple[str, ...], npt.NDArray[np.float64]]]:
    """Names and values ``(*shape, n_names)`` of what was given."""
    if params is None:
        return []
    if isinstance(params, Mapping):
        found = []
        for key, value in params.items():
            together = isinstance(key, tuple)
            names = tuple(_name(item) for item in (key if together else (key,)))
            if not names:
                raise ProgramSetError("An empty tuple names no parameter; leave it out.")
            values = _real(f"params[{listed(names)}]", value)
            if not together:
                values = values[..., None]
            _check_width(f"params[{listed(names)}]", values, names)
            found.append((names, values))
        return found
    values = _real("params", params)
    _check_width("params", values, known)
    return [(known, values)]


def _check_width(what: str, values: npt.NDArray[np.float64], names: tuple[str, ...]) -> None:
    if values.ndim == 0 or values.shape[-1] != len(names):
        raise ProgramSetError(
            f"{what} holds values of {len(names)} parameters, so its last axis must be {len(names)}; got shape "
            f"{values.shape}.",
            shape=list(values.shape),
        )
    if not values.size and names:
        raise ProgramSetError(f"{what} holds no value: its shape is {values.shape}. Every axis needs at least one.")


def _combined(
    arrays: list[tuple[tuple[str, ...], npt.NDArray[np.float64]]], combine: Combine
) -> tuple[tuple[int, ...], tuple[ValueGroup, ...]]:
    shapes = [tuple(values.shape[:-1]) for _, values in arrays]
    if combine == "zip":
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            told = ", ".join(f"{listed(names)} {own}" for (names, _), own in zip(arrays, shapes, strict=True))
            raise ProgramSetError(
                f"combine='zip' broadcasts the arrays' shapes as NumPy does; these do not go together: {told}. "
                "combine='product' takes each with each.",
                shapes=[list(own) for own in shapes],
            ) from None
        firsts = [len(shape) - len(own) for own in shapes]
    else:
        shape = tuple(n for own in shapes for n in own)
        firsts = [sum(map(len, shapes[:place])) for place in range(len(shapes))]
    if len(shape) > MAX_AXES:
        raise ProgramSetError(f"A grid has at most {MAX_AXES} axes, got {len(shape)}.", got=len(shape))
    groups = (
        ValueGroup(names, values, tuple(range(first, first + values.ndim - 1)))
        for (names, values), first in zip(arrays, firsts, strict=True)
    )
    return tuple(map(int, shape)), tuple(groups)


def _check_names(given: list[str], known: tuple[str, ...]) -> None:
    twice = sorted(name for name, times in Counter(given).items() if times > 1)
    if twice:
        raise ProgramSetError(f"Parameters {listed(twice)} get values twice; name each once.")
    unknown, missing = sorted(set(given) - set(known)), [name for name in known if name not in given]
    if unknown:
        raise ParameterUnboundError(
            f"Circuit has no parameters {listed(unknown)}; it has {listed(known)}.", unknown=unknown[:100]
        )
    if missing:
        raise ParameterUnboundError(
            f"Parameters {listed(missing)} have no value; give one for each.", missing=missing[:100]
        )


def _name(key: object) -> str:
    if isinstance(key, Parameter):
        return key.name
    if not isinstance(key, str):
        raise ParameterUnboundError(f"Parameters are named by str or Parameter, got {type(key).__name__}.")
    return key


def _real(what: str, value: object) -> npt.NDArray[np.float64]:
    """Return a read-only, contiguous, finite copy."""
    try:
        raw = np.asarray(value)
    except ValueError:
        raise ProgramSetError(f"{what} must be rectangular: its rows have different lengths.") from None
    if raw.dtype.kind not in "iuf":
        raise ProgramSetError(f"{what} must be an array of real numbers, got dtype {raw.dtype}.")
    array = np.array(raw, dtype=np.float64, order="C")
    if not np.isfinite(array).all():
        raise ProgramSetError(f"{what} must be finite, got NaN or infinity.")
    array.setflags(write=False)
    return array


def _one_of(what: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ProgramSetError(f"{what} must be {' or '.join(map(repr, allowed))}, got {shown(value)}.")


def _checked_shots(shots: object) -> int | None:
    if shots is None:
        return None
    if isinstance(shots, bool) or not isinstance(shots, int | np.integer) or not 1 <= shots <= MAX_SHOTS:
        raise ProgramSetError(f"shots must be an integer in 1 .. {MAX_SHOTS} or None, got {shown(shots)}.")
    return int(shots)
