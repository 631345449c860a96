"""Rows of a trajectory's tape, and the arguments of its kernel.

A row is ``(kind, a, b, c, d, e)``. Offsets count entries of the flat tables MATRICES (gates, per batch entry),
CONSTANTS (operators of channels), NUMBERS (probabilities) and CODES (letters of Pauli strings, bits of conditions).
"""

from __future__ import annotations

GATE1 = 0  # qubit, -, offset of a matrix
GATE2 = 1  # two qubits, offset of a matrix; the first qubit is its most significant bit
PAULIS = 2  # offset of cumulative probabilities, how many, offset of codes, number of qubits
KRAUS1 = 3  # qubit, -, offset of matrices, how many, offset of the bound on what is not the first one
KRAUS2 = 4  # two qubits, offset of matrices, how many, offset of the bound
MEASURE = 5  # qubit, bit, offset of two probabilities of misreading
RESET = 6  # qubit
UNLESS = 7  # row to go to, offset of bits, how many, value: goes there unless the bits have the value
JUMP = 8  # row to go to
ROW = 6

EXPECT, SAMPLE = 1, 2  # what is wanted of the final states
SMALL = 1e-60
"""A squared norm that may be below this is made one again."""

N_COEFFICIENTS = 256
N_REALS = N_COEFFICIENTS + 32

# Places in the array of arguments: numbers, then three places for each array: its object's address and two lengths.
ARG_FIRST, ARG_LAST, ARG_QUBITS, ARG_EACH, ARG_WANTED, ARG_MATRICES, ARG_OPERATE = range(7)
N_NUMBERS = 7
(
    TAPE,  # int64 (n_rows, 6)
    KEYS,  # uint64 (batch, 2)
    MATRICES,  # complex128, ARG_MATRICES numbers per batch entry
    CONSTANTS,  # complex128
    NUMBERS,  # float64
    CODES,  # int64
    INITIAL,  # float64 (1 or batch, 2 * 2**n): vectors of eight real parts, then of eight imaginary ones
    MASKS,  # int64 (n_terms, 3): masks of X and Z and the number of Ys of each Pauli string
    STATE,  # float64 (2 * 2**n,), on a multiple of 64 bytes
    SAVED,  # float64 (2 * 2**n,)
    RECORDS,  # uint8 (n_items, n_bits), written
    VALUES,  # float64 (n_items, n_terms), written where EXPECT
    DRAWN,  # int64 (n_items,), written where SAMPLE
    REALS,  # float64 (N_REALS,), on a multiple of 64 bytes
    INTEGERS,  # int64 (SIZE of vector_slots + 2 + n,)
    STREAM,  # uint64 (7,)
    WORDS,  # uint64 (4,)
    PENDING,  # complex128 (n, 2, 2)
    SMALL_MATRICES,  # complex128 (3, 2, 2)
    SQUARES,  # complex128 (2, 4, 4)
    ONE,  # complex128 (16,), the identity
) = range(N_NUMBERS, N_NUMBERS + 3 * 21, 3)
N_ARGUMENTS = N_NUMBERS + 3 * 21
