"""Circuits and observables as JSON documents."""

from __future__ import annotations

from typing import Any

from superpose.circuits.circuit import Circuit
from superpose.circuits.documents.fields import (
    Document,
    Fields,
    integer,
    items,
    located,
    map_of,
    number,
    refuse,
    text,
)
from superpose.circuits.documents.operations import OperationReader, operation_to_json
from superpose.circuits.instruction import Instruction
from superpose.circuits.observables import Observable

__all__ = ["circuit_from_json", "circuit_to_json", "observable_from_json", "observable_to_json"]

CIRCUIT = "superpose.circuit"
OBSERVABLE = "superpose.observable"
VERSIONS = (1,)
CIRCUIT_VERSIONS = (1, 2)
MAX_QUBITS = 10_000
MAX_BITS = 100_000
MAX_INSTRUCTIONS = 1_000_000


def circuit_to_json(circuit: Circuit) -> dict[str, Any]:
    """Return ``circuit`` as a document of format "superpose.circuit", in JSON values.

    A circuit of gates alone, without classical bits, is written in version 1, any other in version 2.

    >>> circuit_to_json(Circuit(1, name="flip").x(0))["instructions"]
    [{'gate': 'x', 'qubits': [0]}]
    >>> circuit_to_json(Circuit(1).measure_all())["instructions"]
    [{'operation': 'measure', 'qubit': 0, 'bit': 0}]
    """
    gates_only = not circuit.n_bits and all(isinstance(item, Instruction) for item in circuit.instructions)
    return {
        "format": CIRCUIT,
        "version": 1 if gates_only else 2,
        "name": circuit.name,
        "n_qubits": circuit.n_qubits,
        **({"n_bits": circuit.n_bits} if circuit.n_bits else {}),
        "instructions": [operation_to_json(item) for item in circuit.instructions],
    }


def circuit_from_json(document: Document, *, max_instructions: int = MAX_INSTRUCTIONS) -> Circuit:
    """Return the circuit that a "superpose.circuit" document describes.

    Args:
        document: Of version 1 (gates alone) or 2.
        max_instructions: Most operations that are read, those inside conditions counted too.

    Raises:
        CircuitFormatError: The document is not one; ``details["field"]`` names the field.
        GateUnknownError, GateArityError, QubitOutOfRangeError, ParameterNameError, ProgramError: An instruction cannot
            be, likewise.

    Cost: linear in the document.
    """
    return read_circuit(document, "", max_instructions)


def read_circuit(document: Document, path: str, max_instructions: int) -> Circuit:
    """Return the circuit of a document that stands at ``path`` in another."""
    fields = Fields.of_document(document, CIRCUIT, CIRCUIT_VERSIONS, path)
    n_qubits, name = fields.take("n_qubits", _n_qubits), fields.take("name", text, "circuit")
    n_bits = fields.take("n_bits", _n_bits, 0) if fields.version > 1 else 0
    circuit = Circuit(n_qubits, name, n_bits=n_bits)
    field = fields.path("instructions")
    instructions = fields.take("instructions", items)
    fields.end()
    reader = OperationReader(max_instructions, gates_only=fields.version == 1)
    if len(instructions) > max_instructions:
        refuse(field, f"at most {max_instructions} are read, got {len(instructions)}.")
    for place, value in enumerate(instructions):
        here = f"{field}[{place}]"
        item = reader.read(value, here)
        with located(f"{here}.qubits" if isinstance(item, Instruction) else here):
            circuit.extend((item,))
    return circuit


def observable_to_json(observable: Observable) -> dict[str, Any]:
    """Return ``observable`` as a document of format "superpose.observable", in JSON values."""
    return {
        "format": OBSERVABLE,
        "version": VERSIONS[-1],
        "n_qubits": observable.n_qubits,
        "terms": terms_to_json(observable),
    }


def observable_from_json(document: Document) -> Observable:
    """Return the observable that a "superpose.observable" document describes.

    Raises:
        CircuitFormatError: The document is not one; ``details["field"]`` names the field.
        ObservableError: A Pauli string is none, or has another length than n_qubits.
    """
    fields = Fields.of_document(document, OBSERVABLE, VERSIONS)
    n_qubits = fields.take("n_qubits", _n_qubits)
    terms = fields.take("terms", map_of(number))
    fields.end()
    with located("terms"):
        return Observable(terms, n_qubits)


def terms_to_json(observable: Observable) -> dict[str, float]:
    """Return the Pauli sum as ``{string: coefficient}``."""
    return dict(observable.terms)


def _n_qubits(value: object, field: str) -> int:
    n_qubits = integer(value, field)
    if not 1 <= n_qubits <= MAX_QUBITS:
        refuse(field, f"must lie in 1 .. {MAX_QUBITS}, got another number.")
    return n_qubits


def _n_bits(value: object, field: str) -> int:
    n_bits = integer(value, field)
    if not 0 <= n_bits <= MAX_BITS:
        refuse(field, f"must lie in 0 .. {MAX_BITS}, got another number.")
    return n_bits
