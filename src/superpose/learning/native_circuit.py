"""A circuit of any toolkit as the parts of a layer: which parameters are inputs, and what is measured."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from superpose.circuits import Circuit, Observable, z_all
from superpose.errors import ConversionError, ParameterNameError
from superpose.frontends import toolkit_of

__all__ = ["LayerParts", "read_layer"]

DEFAULT_INPUTS = "inputs"
"""The name that PennyLane's TorchLayer gives to inputs."""


class LayerParts(NamedTuple):
    """What a layer needs beside its circuit.

    Attributes:
        inputs: Names of the parameters that take inputs, in order.
        observables: What is measured.
    """

    inputs: tuple[str, ...]
    observables: tuple[Observable, ...]


def read_layer(
    source: object,
    inputs: str | Sequence[str] | None,
    observables: Observable | Sequence[Observable] | None,
    shapes: Mapping[str, int | Sequence[int]] | None = None,
) -> tuple[Circuit, LayerParts]:
    """Return the circuit and the rest; see `superpose.learning.QuantumLayer.from_circuit`.

    Raises:
        ParameterNameError: An input is not a parameter of the circuit.
        ConversionError: A PennyLane circuit returns no expectations, and no observables are given; or shapes are given
            for the arguments of what is no PennyLane function.
    """
    circuit = source if isinstance(source, Circuit) and not shapes else _loaded(source, shapes)
    return circuit, LayerParts(_names(circuit, inputs), _measured(source, circuit, observables, shapes))


def _loaded(source: object, shapes: Mapping[str, int | Sequence[int]] | None) -> Circuit:
    if shapes:
        row = toolkit_of(source)
        if row is None or row.name != "pennylane":
            raise ConversionError(
                f"shapes are those of a PennyLane function's arguments, got {type(source).__name__}; leave them out.",
                feature="shapes",
            )
        from superpose.frontends.pennylane import read

        return read(source, shapes=shapes)
    import superpose  # whose load knows files, texts and toolkits

    return superpose.load(source)


def _names(circuit: Circuit, inputs: str | Sequence[str] | None) -> tuple[str, ...]:
    if inputs is None:
        return tuple(_elements(circuit, DEFAULT_INPUTS))
    names: list[str] = []
    for name in [inputs] if isinstance(inputs, str) else inputs:
        found = [name] if name in circuit.parameters else _elements(circuit, name)
        if not found:
            raise ParameterNameError(
                f"inputs names {name!r}, which is neither a parameter nor a vector of the circuit; it has "
                f"{', '.join(circuit.parameters) or 'no parameters'}.",
                name=name,
            )
        names += found
    return tuple(names)


def _elements(circuit: Circuit, vector: str) -> list[str]:
    """The parameter itself, or the elements of a vector in the order of their indices."""
    if vector in circuit.parameters:
        return [vector]
    pattern = re.compile(rf"{re.escape(vector)}((?:_\d+)+)")
    found = [(match[1], name) for name in circuit.parameters if (match := pattern.fullmatch(name))]
    return [name for _, name in sorted(found, key=lambda item: [int(index) for index in item[0][1:].split("_")])]


def _measured(
    source: object,
    circuit: Circuit,
    observables: Observable | Sequence[Observable] | None,
    shapes: Mapping[str, int | Sequence[int]] | None,
) -> tuple[Observable, ...]:
    if isinstance(observables, Observable):
        return (observables,)
    if observables is not None:
        return tuple(observables)
    row = None if isinstance(source, Circuit) else toolkit_of(source)
    if row is None or row.name != "pennylane":
        return z_all(circuit.n_qubits)
    from superpose.frontends.pennylane_observables import measured  # PennyLane is there: the circuit is its own

    return measured(source, shapes)
