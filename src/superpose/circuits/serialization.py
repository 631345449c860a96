"""Canonical bytes of a circuit (the JSON forms follow)."""

from __future__ import annotations

import json

from superpose.circuits.circuit import Circuit

__all__ = ["canonical_circuit"]


def canonical_circuit(circuit: Circuit) -> bytes:
    """Return the bytes whose SHA-256 is `Circuit.digest`."""
    instructions = [
        [
            item.gate,
            list(item.qubits),
            [a.constant if not a.terms else [a.constant, *map(list, a.terms)] for a in item.angles],
        ]
        for item in circuit.instructions
    ]
    return json.dumps([circuit.n_qubits, instructions], separators=(",", ":"), ensure_ascii=True).encode()
