"""What every row of the channel table must satisfy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from superpose.circuits import Channel, ChannelRow, Circuit, circuit_from_json, circuit_to_json
from superpose.circuits.pauli import pauli_matrix
from superpose.errors import ProgramError

__all__ = ["CHANNEL_CHECKS", "check_channel"]

TOLERANCE = 1e-12
NUMBERS = (-1e-3, 0.0, 0.125, 0.5, 1.0, 16 / 15, 4 / 3, 1.5, 70.0, math.inf)
"""What every number of a row is tried with: inside and outside of the usual ranges, and at their ends."""


def check_channel(row: ChannelRow) -> None:
    """Check that a row describes a channel wherever it takes numbers, and takes none that make none.

    Every combination of `NUMBERS` must be refused, or give Kraus operators of the right shape that preserve the trace,
    and, for a mixture of Paulis, probabilities that say the same.

    Raises:
        AssertionError: It does not; the message names channel, check and numbers.
    """
    for check in CHANNEL_CHECKS:
        check(row)


def check_kraus_operators(row: ChannelRow) -> None:
    """Operators of one shape, none zero, with ``sum(K^dagger K) = 1``."""
    d = 2**row.n_qubits
    for values in _taken(row):
        kraus = row.kraus(values)
        _require(row, "shape of the Kraus operators", kraus.ndim == 3 and kraus.shape[1:] == (d, d), values)
        _require(row, "number of Kraus operators", 1 <= len(kraus) <= d * d * 2, values)
        _require(row, "Kraus operators that are zero", bool(np.abs(kraus).max(axis=(1, 2)).all()), values)
        total = np.einsum("kji,kjl->il", kraus.conj(), kraus)
        _require(row, "sum(K^dagger K)", bool(np.abs(total - np.eye(d)).max() < TOLERANCE), values)


def check_pauli_probabilities(row: ChannelRow) -> None:
    """Probabilities of distinct Pauli strings, in 0 .. 1 with the sum 1, that make the same map as the operators."""
    for values in _taken(row):
        paulis = row.pauli_probabilities(values)
        if paulis is None:
            continue
        _require(row, "lengths of the Pauli strings", {len(string) for string in paulis} == {row.n_qubits}, values)
        _require(row, "range of the probabilities", all(0.0 < p <= 1.0 + TOLERANCE for p in paulis.values()), values)
        _require(row, "sum of the probabilities", abs(math.fsum(paulis.values()) - 1.0) < TOLERANCE, values)
        mixture = sum(p * np.kron(pauli_matrix(s), pauli_matrix(s).conj()) for s, p in paulis.items())
        difference = np.abs(mixture - _superoperator(row.kraus(values))).max()
        _require(row, "Paulis against Kraus operators", bool(difference < TOLERANCE), values)


def check_limits(row: ChannelRow) -> None:
    """Something is taken and something refused; never NaN, what is no number, or another count of numbers."""
    taken = list(_taken(row))
    _require(row, "numbers that are taken", bool(taken), ())
    _require(row, "numbers that are refused", len(taken) < len(NUMBERS) ** len(row.value_names), ())
    for place in range(len(row.value_names)):
        for wrong in (math.nan, -1.0, "0.1", True, None, 1j):
            values: list[object] = [*taken[0]]
            values[place] = wrong
            _require(row, "refusal", not _takes(row, values), values)
    for count in (len(row.value_names) - 1, len(row.value_names) + 1):
        _require(row, "refusal of another count", not _takes(row, [0.0] * count), (count,))


def check_faces(row: ChannelRow) -> None:
    """The builder's method appends it, circuits know it as noise, and JSON brings it back."""
    values = next(_taken(row))
    qubits = tuple(reversed(range(row.n_qubits)))
    circuit = Circuit(row.n_qubits).channel(row.name, values, qubits)
    by_method = getattr(Circuit(row.n_qubits), row.name)(*values, *qubits)
    _require(row, "builder method", by_method == circuit, values)
    _require(row, "noise", circuit.has_noise and not circuit.is_unitary, values)
    _require(row, "operation", circuit.instructions == (Channel(row.name, qubits, values),), values)
    _require(row, "JSON", circuit_from_json(circuit_to_json(circuit)) == circuit, values)


CHANNEL_CHECKS = (check_kraus_operators, check_pauli_probabilities, check_limits, check_faces)
"""The checks in order; the last one needs the row to stand in the table."""


def _taken(row: ChannelRow) -> Iterator[tuple[float, ...]]:
    for values in product(NUMBERS, repeat=len(row.value_names)):
        if _takes(row, values):
            yield values


def _takes(row: ChannelRow, values: Sequence[object]) -> bool:
    try:
        row.checked(values)
    except ProgramError:
        return False
    return True


def _superoperator(kraus: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    """``sum(K (x) conj(K))``, complex128 ``(4**m, 4**m)``."""
    d = kraus.shape[1]
    total: npt.NDArray[np.complex128] = np.einsum("kab,kcd->acbd", kraus, kraus.conj()).reshape(d * d, d * d)
    return total


def _require(row: ChannelRow, check: str, holds: bool, values: Sequence[object]) -> None:
    if not holds:
        raise AssertionError(f"channel {row.name}: {check} wrong for {tuple(values)}.")
