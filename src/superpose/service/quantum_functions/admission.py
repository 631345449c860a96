"""From a file to a function's content. Circuits are read here; what needs a toolkit's code is built shut in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol

from superpose.circuits import Circuit, Observable, circuit_from_json, from_qasm
from superpose.errors import FunctionFileError, PayloadTooLargeError, SuperposeError
from superpose.service.config import ServiceConfig
from superpose.service.quantum_functions.content import Content
from superpose.service.quantum_functions.schema import check_schema

__all__ = ["SUFFIXES", "Asked", "Builder", "admit_function_file"]

SUFFIXES = (".qasm", ".json", ".quil", ".qs", ".py")
DEFAULT_SHOTS = 1_000
MAX_SOURCE_BYTES = 512 * 1024
MAX_OBSERVABLES = 1_000
_MAX_SHOTS = 10_000_000


class Builder(Protocol):
    """What runs a file of users' Python, or another toolkit's reader, shut in."""

    def build(self, source: str, suffix: str) -> Mapping[str, Any]:
        """What the file defines: circuit (a document), toolkit, observables, shots, schema, pre, post."""
        ...


@dataclass(frozen=True)
class Asked:
    """What a deployment says beside the file; None leaves it to the file.

    Attributes:
        shots: measurements for each set of parameters; 0 for exact expectations.
        observables: each a Pauli text, or ``{Pauli text: coefficient}``.
        backend: where the circuit runs.
    """

    shots: int | None = None
    observables: Sequence[str | Mapping[str, float]] | None = None
    backend: str = "local"


def admit_function_file(file_name: str, source: str, asked: Asked, builder: Builder, config: ServiceConfig) -> Content:
    """The content that a file defines, checked whole.

    Raises:
        FunctionFileError: the file defines no function, or what it says cannot be.
        PayloadTooLargeError: the file is too large.
        CircuitError: its circuit cannot be read.
        FunctionCodeError, FunctionLimitError, IsolationError: its Python failed, or cannot be run here.
        BackendUnknownError: no backend has this name.
    """
    suffix = PurePosixPath(file_name).suffix.lower()
    if suffix not in SUFFIXES or len(file_name) > 255 or "/" in file_name or not file_name.isprintable():
        raise FunctionFileError(
            f"A function's file is named {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, without directories; got "
            f"{file_name[:100]!r}.",
            field="file_name",
            allowed=list(SUFFIXES),
        )
    n_bytes = len(source.encode("utf-8", "surrogatepass"))
    if n_bytes > MAX_SOURCE_BYTES:
        raise PayloadTooLargeError(
            f"The file has {n_bytes:,} bytes; at most {MAX_SOURCE_BYTES:,} are accepted.", max_bytes=MAX_SOURCE_BYTES
        )
    if suffix == ".qasm":
        circuit = from_qasm(source, PurePosixPath(file_name).stem, max_instructions=config.max_instructions)
        return _content(file_name, source, {"toolkit": "superpose"}, circuit, asked)
    if suffix == ".json":
        circuit = circuit_from_json(source, max_instructions=config.max_instructions)
        return _content(file_name, source, {"toolkit": "superpose"}, circuit, asked)
    built = builder.build(source, suffix)
    circuit = circuit_from_json(built["circuit"], max_instructions=config.max_instructions)
    return _content(file_name, source, built, circuit, asked)


def _content(file_name: str, source: str, built: Mapping[str, Any], circuit: Circuit, asked: Asked) -> Content:
    from superpose.facade import resolve_backend

    resolve_backend(asked.backend)  # raises where there is none
    said = built.get("observables") if asked.observables is None else asked.observables
    observables = _observables(said or (), circuit.n_qubits)
    shots = _shots(asked.shots, built.get("shots"), observables)
    schema = built.get("schema")
    return Content(
        file_name=file_name,
        source=source,
        toolkit=str(built.get("toolkit", "superpose"))[:100],
        circuit=circuit,
        observables=observables,
        shots=shots,
        schema=None if schema is None else check_schema(schema),
        pre=built.get("pre") is True,
        post=built.get("post") is True,
        backend=asked.backend,
    )


def _observables(said: object, n_qubits: int) -> tuple[Observable, ...]:
    if not isinstance(said, list | tuple) or len(said) > MAX_OBSERVABLES:
        raise FunctionFileError(
            f"OBSERVABLES must be a list of at most {MAX_OBSERVABLES:,} Pauli texts or sums.", field="OBSERVABLES"
        )
    found = []
    for item in said:
        try:
            found.append(Observable(item if isinstance(item, str) else dict(item), n_qubits))
        except (TypeError, ValueError, SuperposeError) as error:
            told = error.message if isinstance(error, SuperposeError) else "a Pauli text or a sum of them is needed."
            raise FunctionFileError(f"OBSERVABLES: {told}", field="OBSERVABLES") from None
    return tuple(found)


def _shots(asked: int | None, built: object, observables: tuple[Observable, ...]) -> int | None:
    said = built if asked is None else (asked or None)
    if said is None and asked is None and not observables:
        said = DEFAULT_SHOTS
    if said is None:
        if observables:
            return None
        raise FunctionFileError(
            "Without observables a function answers counts, which need shots of 1 or more; got none.", field="SHOTS"
        )
    if isinstance(said, bool) or not isinstance(said, int) or not 1 <= said <= _MAX_SHOTS:
        raise FunctionFileError(
            f"SHOTS must be a whole number from 1 to {_MAX_SHOTS:,}, or None for exact expectations; got {said!r}.",
            field="SHOTS",
        )
    return said
