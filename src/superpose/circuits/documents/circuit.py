"""Circuits and observables as JSON documents, version 1."""

from __future__ import annotations

from typing import Any

from superpose.circuits.circuit import Circuit
from superpose.circuits.documents.fields import (
    Document,
    Fields,
    integer,
    items,
    list_of,
    located,
    map_of,
    number,
    refuse,
    text,
)
from superpose.circuits.instruction import Instruction
from superpose.circuits.observables import Observable
from superpose.circuits.parameters import Affine

__all__ = ["circuit_from_json", "circuit_to_json", "observable_from_json", "observable_to_json"]

CIRCUIT = "superpose.circuit"
OBSERVABLE = "superpose.observable"
VERSIONS = (1,)
MAX_QUBITS = 10_000
MAX_INSTRUCTIONS = 1_000_000


def circuit_to_json(circuit: Circuit) -> dict[str, Any]:
    """Return ``circuit`` as a document of format "superpose.circuit", in JSON values.

    >>> circuit_to_json(Circuit(1, name="flip").x(0))["instructions"]
    [{'gate': 'x', 'qubits': [0]}]
    """
    instructions = []
    for item in circuit.gate_calls():
        call: dict[str, Any] = {"gate": item.gate, "qubits": list(item.qubits)}
        if item.angles:
            call["angles"] = [_angle_to_json(angle) for angle in item.angles]
        instructions.append(call)
    return {
        "format": CIRCUIT,
        "version": VERSIONS[-1],
        "name": circuit.name,
        "n_qubits": circuit.n_qubits,
        "instructions": instructions,
    }


def circuit_from_json(document: Document, *, max_instructions: int = MAX_INSTRUCTIONS) -> Circuit:
    """Return the circuit that a "superpose.circuit" document describes.

    Raises:
        CircuitFormatError: The document is not one; ``details["field"]`` names the field.
        GateUnknownError, GateArityError, QubitOutOfRangeError, ParameterNameError: An instruction cannot be, likewise.

    Cost: linear in the document.
    """
    return read_circuit(document, "", max_instructions)


def read_circuit(document: Document, path: str, max_instructions: int) -> Circuit:
    """Return the circuit of a document that stands at ``path`` in another."""
    fields = Fields.of_document(document, CIRCUIT, VERSIONS, path)
    circuit = Circuit(fields.take("n_qubits", _n_qubits), fields.take("name", text, "circuit"))
    field = fields.path("instructions")
    instructions = fields.take("instructions", items)
    fields.end()
    if len(instructions) > max_instructions:
        refuse(field, f"at most {max_instructions} are read, got {len(instructions)}.")
    for place, value in enumerate(instructions):
        here = f"{field}[{place}]"
        item = _instruction(value, here)
        with located(f"{here}.qubits"):
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


def _angle_to_json(angle: Affine) -> float | dict[str, Any]:
    return {"constant": angle.constant, "terms": dict(angle.terms)} if angle.terms else angle.constant


def _n_qubits(value: object, field: str) -> int:
    n_qubits = integer(value, field)
    if not 1 <= n_qubits <= MAX_QUBITS:
        refuse(field, f"must lie in 1 .. {MAX_QUBITS}, got another number.")
    return n_qubits


def _instruction(value: object, field: str) -> Instruction:
    fields = Fields(value, field)
    gate = fields.take("gate", text)
    qubits = fields.take("qubits", list_of(integer))
    angles = fields.take("angles", list_of(_angle), ())
    fields.end()
    with located(field):
        return Instruction(gate, qubits, angles)


def _angle(value: object, field: str) -> Affine:
    if not isinstance(value, dict):
        return Affine.of(number(value, field))
    fields = Fields(value, field)
    constant = fields.take("constant", number, 0.0)
    terms = fields.take("terms", map_of(number), {})
    fields.end()
    with located(field):
        return Affine(tuple(terms.items()), constant)
