"""Counts of a circuit from what providers give: probabilities of all qubits' states, or counts of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from superpose.circuits import Circuit

__all__ = ["all_measured", "bits_of", "drawn"]


def all_measured(circuit: Circuit) -> Circuit:
    """Return the circuit up to its final measurements, then a measurement of each qubit into the bit of its number.

    >>> [item.bit for item in all_measured(Circuit(2, n_bits=1).h(0).measure(1, 0)).instructions[1:]]
    [0, 1]
    """
    body, _ = circuit.without_final_measurements()
    out = Circuit(circuit.n_qubits, n_bits=circuit.n_qubits).extend(body.instructions)
    for qubit in range(circuit.n_qubits):
        out.measure(qubit, qubit)
    return out


def bits_of(circuit: Circuit, counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts over a circuit's bits from counts over all its qubits, qubit 0 leftmost.

    >>> bits_of(Circuit(2, n_bits=1).measure(1, 0), {"01": 3, "11": 2, "00": 1})
    {'1': 5, '0': 1}
    """
    final = circuit.without_final_measurements()[1]
    out = Counter[str]()
    for states, number in counts.items():
        bits = ["0"] * circuit.n_bits
        for item in final:
            bits[item.bit] = states[item.qubit]
        out["".join(bits)] += number
    return {bits: number for bits, number in out.items() if number}


def drawn(probabilities: npt.NDArray[np.float64], shots: int, seed: int, place: int) -> dict[str, int]:
    """Return counts of ``shots`` draws.

    Args:
        probabilities: Float64 ``(2**n_qubits,)``, qubit 0 the highest bit of the index.
        shots: How many.
        seed: The program's.
        place: The circuit's, so that equal circuits of one program are drawn on their own.
    """
    clean = np.clip(probabilities, 0.0, None)
    n_qubits = len(clean).bit_length() - 1
    tally = np.random.default_rng([seed, place]).multinomial(shots, clean / clean.sum())
    return {format(index, f"0{n_qubits}b"): int(tally[index]) for index in np.flatnonzero(tally).tolist()}
