"""Programs and their results as JSON documents, version 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.circuits.circuit import Circuit
from superpose.circuits.documents.circuit import (
    MAX_INSTRUCTIONS,
    VERSIONS,
    circuit_to_json,
    read_circuit,
    terms_to_json,
)
from superpose.circuits.documents.fields import (
    Document,
    Fields,
    integer,
    list_of,
    located,
    map_of,
    number,
    real_array,
    refuse,
    text,
)
from superpose.circuits.execution import ProgramResult
from superpose.circuits.feature_maps import FeatureMap, feature_map
from superpose.circuits.observables import Observable
from superpose.circuits.program import Program

__all__ = [
    "circuit_reader",
    "observable_reader",
    "program_from_json",
    "program_to_json",
    "result_from_json",
    "result_to_json",
]

PROGRAM = "superpose.program"
RESULT = "superpose.result"


def program_to_json(program: Program) -> dict[str, Any]:
    """Return ``program`` as a document of format "superpose.program", in JSON values; parts not given are left out.

    >>> program_to_json(Program(Circuit(1).x(0), shots=10))["shots"]
    10
    """
    document: dict[str, Any] = {
        "format": PROGRAM,
        "version": VERSIONS[-1],
        "circuit": circuit_to_json(program.circuit),
        "dtype": program.dtype,
    }
    optional: dict[str, Any] = {
        "params": {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in program.params.items()},
        "observables": [terms_to_json(observable) for observable in program.observables],
        "shots": program.shots,
        "seed": program.seed,
        "initial_state": None if program.initial_state is None else _complex_to_json(program.initial_state),
        "feature_map": None if program.feature_map is None else _feature_map_to_json(program.feature_map),
        "inputs": None if program.inputs is None else program.inputs.tolist(),
        "input_names": list(program.input_names),
    }
    return document | {name: value for name, value in optional.items() if value not in (None, {}, [])}


def program_from_json(document: Document, *, max_instructions: int = MAX_INSTRUCTIONS) -> Program:
    """Return the program that a "superpose.program" document describes; nothing is run.

    The circuit is a "superpose.circuit" document, or a string of OpenQASM 2 or 3; with more instructions than
    ``max_instructions`` it is refused.

    Raises:
        CircuitFormatError: The document is not one; ``details["field"]`` names the field.
        QasmError, GateUnknownError, ParameterUnboundError, ObservableError, ProgramError and the other errors of
            circuits: A part is well formed but cannot be, or the parts do not fit.

    Cost: linear in the document.
    """
    fields = Fields.of_document(document, PROGRAM, VERSIONS)
    circuit = fields.take("circuit", circuit_reader(max_instructions))
    parts: dict[str, Any] = {
        "params": fields.take("params", map_of(_param), {}),
        "observables": fields.take("observables", list_of(observable_reader(circuit.n_qubits)), ()),
        "shots": fields.take("shots", integer, None),
        "seed": fields.take("seed", integer, None),
        "initial_state": fields.take("initial_state", _state, None),
        "feature_map": fields.take("feature_map", _feature_map, None),
        "inputs": fields.take("inputs", real_array(2), None),
        "input_names": fields.take("input_names", list_of(text), ()),
        "dtype": fields.take("dtype", text, "float64"),
    }
    fields.end()
    return Program(circuit, **parts)


def result_to_json(result: ProgramResult) -> dict[str, Any]:
    """Return ``result`` as a document of format "superpose.result", in JSON values; parts not there are left out."""
    document: dict[str, Any] = {"format": RESULT, "version": VERSIONS[-1]}
    if result.expectations is not None:
        document["expectations"] = result.expectations.tolist()
    if result.counts is not None:
        document["counts"] = [dict(counts) for counts in result.counts]
    if result.state_vectors is not None:
        document["state_vectors"] = _complex_to_json(result.state_vectors)
    return document | {"provenance": dict(result.provenance)}


def result_from_json(document: Document) -> ProgramResult:
    """Return the result that a "superpose.result" document describes; state vectors come back as complex128.

    Raises:
        CircuitFormatError: The document is not one; ``details["field"]`` names the field.
    """
    fields = Fields.of_document(document, RESULT, VERSIONS)
    result = ProgramResult(
        expectations=fields.take("expectations", real_array(2), None),
        counts=fields.take("counts", list_of(map_of(integer)), None),
        state_vectors=fields.take("state_vectors", _complex_from_json(2), None),
        provenance=fields.take("provenance", map_of(lambda value, field: value), {}),
    )
    fields.end()
    return result


def circuit_reader(max_instructions: int) -> Callable[[object, str], Circuit]:
    """Return the reader of a circuit's document or OpenQASM text."""

    def read(value: object, field: str) -> Circuit:
        if isinstance(value, str):
            with located(field):
                from superpose.circuits.qasm import from_qasm  # only where a document has text

                return from_qasm(value, max_instructions=max_instructions)
        if isinstance(value, Mapping):
            return read_circuit(value, field, max_instructions)
        refuse(field, "must be a superpose.circuit document or a string of OpenQASM 2 or 3.")

    return read


def _param(value: object, field: str) -> float | npt.NDArray[np.float64]:
    return real_array(1)(value, field) if isinstance(value, list) else number(value, field)


def observable_reader(n_qubits: int) -> Callable[[object, str], Observable]:
    """Return the reader of a Pauli sum on so many qubits."""

    def read(value: object, field: str) -> Observable:
        with located(field):
            return Observable(map_of(number)(value, field), n_qubits)

    return read


def _state(value: object, field: str) -> npt.NDArray[np.complex128]:
    """One state, or a batch of them, which is nested one deeper."""
    depth, inner = 0, value
    while isinstance(inner, list):
        depth, inner = depth + 1, inner[0] if inner else None
    return _complex_from_json(2 if depth > 2 else 1)(value, field)


def _feature_map(value: object, field: str) -> FeatureMap:
    fields = Fields(value, field)
    name = fields.take("name", text)
    n_inputs = fields.take("n_inputs", integer)
    options = fields.take("options", map_of(number), {})
    fields.end()
    with located(field):
        return feature_map(name, n_inputs, **options)


def _feature_map_to_json(mapping: FeatureMap) -> dict[str, Any]:
    document: dict[str, Any] = {"name": mapping.name, "n_inputs": mapping.n_inputs}
    return document | ({"options": dict(mapping.options)} if mapping.options else {})


def _complex_to_json(array: npt.NDArray[Any]) -> list[Any]:
    pairs: list[Any] = np.stack([array.real, array.imag], axis=-1).astype(np.float64).tolist()
    return pairs


def _complex_from_json(n_axes: int) -> Callable[[object, str], npt.NDArray[np.complex128]]:
    def read(value: object, field: str) -> npt.NDArray[np.complex128]:
        pairs = real_array(n_axes + 1)(value, field)
        if pairs.shape[-1] != 2:
            refuse(field, "must give each complex number as [re, im].")
        array: npt.NDArray[np.complex128] = pairs[..., 0] + 1j * pairs[..., 1]
        return array

    return read
