"""Program sets as documents: JSON, or NPZ where arrays are many.

A document has ``"format": "superpose.program_set"``, ``"version": 1``, ``seed`` and ``grids``, each with ``circuit`` (a
"superpose.circuit" document or OpenQASM text), ``params``, ``observables``, ``shots``, ``combine``, ``observe``,
``dtype`` and ``name``. ``params`` is an object, from names to numbers or nested lists, or a list of groups
``{"names": [...], "values": ...}`` with ``values`` of shape ``(*shape, n_names)``. In the NPZ form the same document
stands as UTF-8 in the array ``document``, and values may be ``{"array": name}``, an array beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.circuits.circuit import Circuit
from superpose.circuits.documents.circuit import MAX_INSTRUCTIONS, circuit_to_json, terms_to_json
from superpose.circuits.documents.fields import (
    Document,
    Fields,
    integer,
    items,
    list_of,
    located,
    real_array,
    refuse,
    text,
)
from superpose.circuits.documents.program import circuit_reader, observable_reader
from superpose.circuits.sets.grid import MAX_AXES, ProgramGrid
from superpose.circuits.sets.npz import read_npz, write_npz
from superpose.circuits.sets.program_set import ProgramSet

__all__ = ["program_set_from_json", "program_set_from_npz", "program_set_to_json", "program_set_to_npz"]

FORMAT = "superpose.program_set"
VERSIONS = (1,)

Arrays = Mapping[str, npt.NDArray[Any]]
Values = Callable[[object, str], Any]


def program_set_to_json(program_set: ProgramSet) -> dict[str, Any]:
    """Return a set as a document of format "superpose.program_set", in JSON values; parts not given are left out."""
    return _document(program_set, lambda values: values.tolist())


def program_set_to_npz(program_set: ProgramSet) -> bytes:
    """Return a set as NPZ bytes: its document, and the arrays beside it; equal sets give equal bytes."""
    arrays: dict[str, npt.NDArray[Any]] = {}

    def beside(values: npt.NDArray[np.float64]) -> dict[str, str]:
        name = f"a{len(arrays)}"
        arrays[name] = values
        return {"array": name}

    document = _document(program_set, beside)
    told = np.frombuffer(json.dumps(document, allow_nan=False).encode(), np.uint8)
    return write_npz({"document": told, **arrays})


def program_set_from_json(document: Document, *, max_instructions: int = MAX_INSTRUCTIONS) -> ProgramSet:
    """Return the program set that a "superpose.program_set" document describes; nothing is run.

    Args:
        document: JSON values, or JSON text.
        max_instructions: Most instructions of each circuit.

    Raises:
        CircuitFormatError: The document is not one; ``details["field"]`` names the field.
        CircuitError: A part is well formed but cannot be, or the parts do not fit; likewise.
    """
    return _read(document, {}, max_instructions)


def program_set_from_npz(content: bytes, *, max_instructions: int = MAX_INSTRUCTIONS) -> ProgramSet:
    """Return the program set in NPZ bytes; nothing is run or unpickled.

    Raises:
        CircuitFormatError: The bytes are no NPZ of a program set.
        CircuitError: As for ``program_set_from_json``.
    """
    arrays = read_npz(content, "program set")
    document = arrays.pop("document", None)
    if document is None or document.dtype != np.uint8:
        refuse("document", "is missing: the NPZ form of a program set has its document there, as UTF-8 bytes.")
    return _read(document.tobytes(), arrays, max_instructions)


def _document(program_set: ProgramSet, write: Callable[[npt.NDArray[np.float64]], Any]) -> dict[str, Any]:
    document: dict[str, Any] = {"format": FORMAT, "version": VERSIONS[-1]}
    if program_set.seed is not None:
        document["seed"] = program_set.seed
    return {**document, "grids": [_grid_to_json(grid, write) for grid in program_set.grids]}


def _grid_to_json(grid: ProgramGrid, write: Callable[[npt.NDArray[np.float64]], Any]) -> dict[str, Any]:
    optional: dict[str, Any] = {
        "name": grid.name,
        "params": [{"names": list(group.names), "values": write(group.values)} for group in grid.groups],
        "observables": [terms_to_json(observable) for observable in grid.observables],
        "shots": grid.shots,
    }
    document = {"circuit": circuit_to_json(grid.circuit)}
    document |= {name: value for name, value in optional.items() if value not in (None, [])}
    return document | {"combine": grid.combine, "observe": grid.observe, "dtype": grid.dtype}


def _read(document: Document, arrays: Arrays, max_instructions: int) -> ProgramSet:
    fields = Fields.of_document(document, FORMAT, VERSIONS)
    seed = fields.take("seed", integer, None)
    grids = fields.take("grids", list_of(_grid(_values(arrays), max_instructions)))
    fields.end()
    with located("grids"):
        return ProgramSet(grids, seed)


def _grid(values: Values, max_instructions: int) -> Callable[[object, str], ProgramGrid]:
    def read(value: object, field: str) -> ProgramGrid:
        fields = Fields(value, field)
        circuit: Circuit = fields.take("circuit", circuit_reader(max_instructions))
        params = fields.take("params", _params(values), {})
        observables = fields.take("observables", list_of(observable_reader(circuit.n_qubits)), ())
        options: dict[str, Any] = {
            "shots": fields.take("shots", integer, None),
            "combine": fields.take("combine", text, "zip"),
            "observe": fields.take("observe", text, "product"),
            "dtype": fields.take("dtype", text, "float64"),
            "name": fields.take("name", text, None),
        }
        fields.end()
        with located(field):
            return ProgramGrid(circuit, params, observables, **options)

    return read


def _params(values: Values) -> Callable[[object, str], dict[Any, Any]]:
    def group(value: object, field: str) -> tuple[tuple[str, ...], Any]:
        fields = Fields(value, field)
        names, array = fields.take("names", list_of(text)), fields.take("values", values)
        fields.end()
        return names, array

    def read(value: object, field: str) -> dict[Any, Any]:
        if isinstance(value, Mapping):
            return {text(name, field): values(item, f"{field}.{name}") for name, item in value.items()}
        pairs = [group(item, f"{field}[{place}]") for place, item in enumerate(items(value, field))]
        found = dict(pairs)
        return found if len(found) == len(pairs) else refuse(field, "has two groups of the same names.")

    return read


def _values(arrays: Arrays) -> Values:
    def read(value: object, field: str) -> Any:
        if isinstance(value, Mapping):
            fields = Fields(value, field)
            name = fields.take("array", text)
            fields.end()
            return arrays[name] if name in arrays else refuse(field, f"there is no array {name[:80]!r} beside it.")
        depth, inner = 0, value
        while isinstance(inner, list) and depth <= MAX_AXES + 1:
            depth, inner = depth + 1, inner[0] if inner else None
        return real_array(depth)(value, field)

    return read
