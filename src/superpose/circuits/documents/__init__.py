"""JSON forms of circuits, observables, noise models, programs and results.

Every document says ``"format"`` (``superpose.circuit``, ``superpose.observable``, ``superpose.noise_model``,
``superpose.program`` or ``superpose.result``) and ``"version"``: 1, and 2 for circuits that have classical bits or hold
more than gates. The writers return JSON values (dicts, lists, strings, numbers) for
`json.dumps`; the readers take those, or JSON text. Reading checks everything and runs nothing: an unknown field, a
field of the wrong type, a repeated key or a NaN raises `CircuitFormatError` naming the field.

* A gate call is ``{"gate": name, "qubits": [...], "angles": [...]}``; other things have ``"operation"``: measure
  (qubit, bit, flip0, flip1), reset (qubit), delay (qubit, duration_ns), barrier (qubits), channel (channel, qubits,
  values), kraus (qubits, operators), if (bits, value, then, otherwise).
* A constant angle is a number, any other ``{"constant": c, "terms": {name: coefficient}}``.
* A Pauli sum is ``{string: coefficient}``.
* Real arrays are nested lists; complex ones have ``[re, im]`` for each number. Doubles survive exactly.
"""

from __future__ import annotations

from superpose.circuits.documents.circuit import (
    circuit_from_json,
    circuit_to_json,
    observable_from_json,
    observable_to_json,
)
from superpose.circuits.documents.noise import noise_model_from_json, noise_model_to_json
from superpose.circuits.documents.program import (
    program_from_json,
    program_to_json,
    result_from_json,
    result_to_json,
)

__all__ = [
    "circuit_from_json",
    "circuit_to_json",
    "noise_model_from_json",
    "noise_model_to_json",
    "observable_from_json",
    "observable_to_json",
    "program_from_json",
    "program_to_json",
    "result_from_json",
    "result_to_json",
]
