"""The serial kernel of trajectories: one pure state at a time runs through a circuit, jumping where chance has it.

One-qubit operators are not applied but gathered per qubit, until an operator on two qubits takes them along. So noise
that is a mixture of Pauli strings costs nothing but a random number, and so does a general channel whose first
operator is nearly the identity: the state need only be looked at when the random number is below the largest
probability that the other operators can have. States are not normalised but where they were looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from superpose.engine.kernels import trajectory_rows as r
from superpose.engine.kernels import vector_slots as s
from superpose.engine.kernels.philox import seeded, uniform
from superpose.engine.kernels.pure_states import drawn_index, pauli_expectations, squared_norm
from superpose.engine.kernels.simd import call, data
from superpose.engine.kernels.views import array_kernel, start_of, view1, view2, view3

__all__ = ["run_trajectories"]


@array_kernel
def _places(bits: Any, n: int, n_vectors: int, args: Any) -> int:
    """Write the loop's bits outside the lanes; return how many lie within."""
    inside = 0
    for k in range(n):
        if bits[k] < s.LANE_BITS:
            inside += 1
        else:
            args[s.LOWS + k - inside] = (1 << bits[k] - s.LANE_BITS) - 1
            args[s.STRIDES + k - inside] = 128 << bits[k] - s.LANE_BITS
    args[s.COUNT] = n_vectors >> n - inside
    return inside


@array_kernel
def _apply(matrix: Any, bits: Any, n: int, n_vectors: int, coefficients: Any, args: Any) -> None:
    """Multiply the state by a matrix on ``n`` bits of its index, ascending; ``bits[0]`` is the matrix' lowest."""
    size = 1 << n
    inside = _places(bits, n, n_vectors, args)
    if inside == 0:
        for i in range(size):
            for j in range(size):
                coefficients[2 * (i * size + j)] = matrix[i, j].real
                coefficients[2 * (i * size + j) + 1] = matrix[i, j].imag
    else:
        for i in range(1 << n - inside):
            for j in range(size):
                for lane in range(s.N_LANES):
                    within = lane >> bits[0] & 1
                    if inside == 2:
                        within |= (lane >> bits[1] & 1) << 1
                    value = matrix[i << inside | within, j ^ within]
                    k = 2 * (i * size + j) * s.N_LANES + lane
                    coefficients[k] = value.real
                    coefficients[k + s.N_LANES] = value.imag
    if n == 1:
        number = s.APPLY_COMPLEX_1 + (bits[0] + 1 if inside else 0)
    elif inside == 2:
        number = s.APPLY_COMPLEX_2 + bits[0] + bits[1] + 3
    else:
        number = s.APPLY_COMPLEX_2 + (bits[0] + 1 if inside else 0)
    call(0.0, args[s.OPERATE], number, start_of(args))


@array_kernel
def _reduced(bit: int, n_vectors: int, bits: Any, sums: Any, args: Any, rho: Any) -> None:
    """Write the density matrix of the qubit at a bit of the index, not normalised, ``(2, 2)``."""
    bits[0] = bit
    inside = _places(bits, 1, n_vectors, args)
    call(0.0, args[s.OPERATE], s.POPULATIONS + (bit + 1 if inside else 0), start_of(args))
    a = b = x = y = 0.0
    for lane in range(s.N_LANES):
        if inside:
            if lane >> bit & 1:
                b += sums[lane]
                continue
            a += sums[lane]
        else:
            a += sums[lane]
            b += sums[8 + lane]
        x += sums[16 + lane]
        y += sums[24 + lane]
    rho[0, 0], rho[1, 1] = a, b
    rho[1, 0], rho[0, 1] = complex(x, y), complex(x, -y)  # sum of conj(a) b


@array_kernel
def _multiply(left: Any, right: Any, out: Any) -> None:
    """Write a product of two 2x2 matrices; ``out`` may be one of them."""
    a, b = left[0, 0] * right[0, 0] + left[0, 1] * right[1, 0], left[0, 0] * right[0, 1] + left[0, 1] * right[1, 1]
    c, d = left[1, 0] * right[0, 0] + left[1, 1] * right[1, 0], left[1, 0] * right[0, 1] + left[1, 1] * right[1, 1]
    out[0, 0], out[0, 1], out[1, 0], out[1, 1] = a, b, c, d


@array_kernel
def _pair(matrix: Any, at: int, a: int, b: int, n: int, pending: Any, damped: Any, bits: Any, squares: Any) -> None:
    """Write ``matrix (pending_a x pending_b)`` in the order of the state's bits; what was pending is taken.

    The matrix stands in a flat array from ``at`` on; the result goes to ``squares[0]``.
    """
    joined, product = squares[0], squares[1]
    for i in range(4):
        for j in range(4):
            joined[i, j] = pending[a, i >> 1, j >> 1] * pending[b, i & 1, j & 1]
    for i in range(4):
        for k in range(4):
            product[i, k] = 0.0
        for k in range(4):
            f = matrix[at + 4 * i + k]
            if f != 0.0:
                for j in range(4):
                    product[i, j] += f * joined[k, j]
    exchange = a > b  # the first qubit of the matrix has the lower bit
    for i in range(4):
        for j in range(4):
            x, y = i, j
            if exchange:
                x, y = (i & 1) << 1 | i >> 1, (j & 1) << 1 | j >> 1
            joined[x, y] = product[i, j]
    bits[0], bits[1] = (n - 1 - b, n - 1 - a) if not exchange else (n - 1 - a, n - 1 - b)
    for q in (a, b):
        pending[q, 0, 0] = pending[q, 1, 1] = 1.0
        pending[q, 0, 1] = pending[q, 1, 0] = 0.0
        damped[q] = 0


@array_kernel
def _is_one(matrix: Any) -> bool:
    return bool(matrix[0, 0] == 1.0 and matrix[1, 1] == 1.0 and matrix[0, 1] == 0.0 and matrix[1, 0] == 0.0)


@array_kernel
def _scale(matrix: Any, factor: float) -> None:
    for i in range(2):
        for j in range(2):
            matrix[i, j] *= factor


@array_kernel
def _pauli(code: int, matrix: Any) -> None:
    """Multiply a 2x2 matrix from the left by X (1), Y (2) or Z (3)."""
    for k in range(2):
        x, y = matrix[0, k], matrix[1, k]
        if code == 1:
            matrix[0, k], matrix[1, k] = y, x
        elif code == 2:
            matrix[0, k], matrix[1, k] = -1j * y, 1j * x
        elif code == 3:
            matrix[1, k] = -y


@array_kernel
def _weight(operators: Any, at: int, rho: Any, product: Any, work: Any) -> float:
    """Return the trace of ``K rho K^+``; write K into ``work``."""
    for i in range(2):
        for j in range(2):
            work[i, j] = operators[at + 2 * i + j]
    _multiply(work, rho, product)
    total = 0.0
    for i in range(2):
        for j in range(2):
            total += (product[i, j] * work[i, j].conjugate()).real
    return total


@array_kernel
def _turned(rho: Any, operator: Any, product: Any) -> None:
    """Replace ``rho`` by ``operator rho operator^+``."""
    _multiply(operator, rho, product)
    for i in range(2):
        for j in range(2):
            total = product[i, 0] * operator[j, 0].conjugate()
            rho[i, j] = total + product[i, 1] * operator[j, 1].conjugate()


@array_kernel
def _kraus1(
    q: int, operators: Any, at: int, n_operators: int, u: float, rho: Any, product: Any, work: Any, pending: Any
) -> None:
    """Gather the operator on a qubit that ``u`` chooses, ``rho`` being the qubit's state; the norm becomes one."""
    whole, total, chosen = rho[0, 0].real + rho[1, 1].real, 0.0, 0
    weight = 0.0
    for k in range(1, n_operators):
        weight = _weight(operators, at + 4 * k, rho, product, work)
        total += weight
        if u * whole < total:
            chosen = k
            break
    if chosen == 0:
        weight = _weight(operators, at, rho, product, work)
    _scale(work, 1.0 / np.sqrt(weight))
    _multiply(work, pending[q], pending[q])


@array_kernel
def _flush(
    every: bool, spared: int, n: int, n_vectors: int, pending: Any, damped: Any, bits: Any, squares: Any, one: Any,
    coefficients: Any, args: Any,
) -> None:  # fmt: skip
    """Apply what is gathered, in pairs: all of it, or what changes weights (``damped``), but for one qubit."""
    first = -1
    for q in range(n):
        if q == spared or _is_one(pending[q]) or not (every or damped[q]):
            continue
        if first < 0:
            first = q
            continue
        _pair(one, 0, first, q, n, pending, damped, bits, squares)
        _apply(squares[0], bits, 2, n_vectors, coefficients, args)
        first = -1
    if first >= 0:
        bits[0] = n - 1 - first
        _apply(pending[first], bits, 1, n_vectors, coefficients, args)
        pending[first, 0, 0] = pending[first, 1, 1] = 1.0
        pending[first, 0, 1] = pending[first, 1, 0] = 0.0
        damped[first] = 0


@array_kernel
def _copy(source: Any, target: Any, n: int) -> None:
    for k in range(n):
        target[k] = source[k]


@array_kernel
def _kraus2(
    a: int, b: int, operators: Any, at: int, n_operators: int, u: float, state: Any, saved: Any, n: int, n_vectors:
    int, pending: Any, damped: Any, bits: Any, squares: Any, one: Any, coefficients: Any, args: Any,
) -> None:  # fmt: skip
    """Apply the operator on two qubits that ``u`` chooses; the norm becomes one."""
    _flush(True, -1, n, n_vectors, pending, damped, bits, squares, one, coefficients, args)
    whole, total = squared_norm(state), 0.0
    _copy(state, saved, len(state))
    for place in range(1, n_operators + 1):
        k = place if place < n_operators else 0  # the first operator is what is left over
        if place > 1:
            _copy(saved, state, len(state))
        _pair(operators, at + 16 * k, a, b, n, pending, damped, bits, squares)
        _apply(squares[0], bits, 2, n_vectors, coefficients, args)
        weight = squared_norm(state)
        total += weight
        if k == 0 or u * whole < total:
            _scale(pending[a], 1.0 / np.sqrt(weight))
            return


@array_kernel
def _bits_have(record: Any, codes: Any, at: int, n_bits: int, wanted: int) -> bool:
    value = 0
    for k in range(n_bits):
        value = 2 * value + record[codes[at + k]]
    return bool(value == wanted)


@array_kernel
def _gather(matrices: Any, at: int, pending: Any, work: Any) -> None:
    """Multiply what is pending on a qubit by the 2x2 matrix that starts at ``matrices[at]``."""
    for i in range(2):
        for j in range(2):
            work[i, j] = matrices[at + 2 * i + j]
    _multiply(work, pending, pending)


@array_kernel
def _jump(row: Any, u: float, numbers: Any, codes: Any, pending: Any) -> None:
    """Gather the Pauli string of a mixture that ``u`` chooses."""
    k = 0
    while k < row[2] - 1 and u >= numbers[row[1] + k]:
        k += 1
    width = row[4]
    for j in range(width):  # codes: the qubits, then the letters of each string
        _pauli(codes[row[3] + width * (1 + k) + j], pending[codes[row[3] + j]])


@array_kernel
def _outcome(row: Any, u: float, rho: Any, pending: Any) -> int:
    """Project a qubit in the state ``rho`` onto the outcome that ``u`` chooses, and return that; a reset flips 1."""
    zero, one = rho[0, 0].real, rho[1, 1].real
    outcome = 1 if u * (zero + one) >= zero else 0
    for k in range(2):
        pending[1 - outcome, k] = 0.0
    _scale(pending, 1.0 / np.sqrt(one if outcome else zero))
    if row[0] == r.RESET and outcome:
        _pauli(1, pending)
    return outcome


@array_kernel
def _look(
    row: Any, u: float, n: int, constants: Any, pending: Any, damped: Any, bits: Any, squares: Any, one: Any, small:
    Any, coefficients: Any, sums: Any, args: Any,
) -> int:  # fmt: skip
    """Look at a qubit and choose an outcome, which is returned, or a channel's operator; the norm becomes one."""
    q, n_vectors = row[1], (1 << n) >> s.LANE_BITS
    rho, product, work = small[0], small[1], small[2]
    _flush(False, q, n, n_vectors, pending, damped, bits, squares, one, coefficients, args)
    _reduced(n - 1 - q, n_vectors, bits, sums, args, rho)
    _turned(rho, pending[q], product)
    damped[q] = 1
    if row[0] == r.KRAUS1:
        _kraus1(q, constants, row[3], row[4], u, rho, product, work, pending)
        return 0
    return _outcome(row, u, rho, pending[q])


@array_kernel
def _apply_pair(
    matrices: Any, at: int, row: Any, n: int, pending: Any, damped: Any, bits: Any, squares: Any, coefficients: Any,
    args: Any,
) -> None:  # fmt: skip
    """Apply a 4x4 matrix to two qubits, with what is pending on them."""
    _pair(matrices, at, row[1], row[2], n, pending, damped, bits, squares)
    _apply(squares[0], bits, 2, (1 << n) >> s.LANE_BITS, coefficients, args)


@array_kernel
def _channel(
    row: Any, u: float, lower: float, n: int, constants: Any, numbers: Any, state: Any, saved: Any, pending: Any,
    damped: Any, bits: Any, squares: Any, one: Any, small: Any, coefficients: Any, sums: Any, args: Any,
) -> float:  # fmt: skip
    """Let a channel act; return the new lower bound of the squared norm."""
    bound = numbers[row[5]]
    if u < bound or bound >= 1.0:
        if row[0] == r.KRAUS1:
            _look(row, u, n, constants, pending, damped, bits, squares, one, small, coefficients, sums, args)
        else:
            _kraus2(
                row[1], row[2], constants, row[3], row[4], u, state, saved, n, (1 << n) >> s.LANE_BITS, pending,
                damped, bits, squares, one, coefficients, args,
            )  # fmt: skip
        return 1.0
    if row[0] == r.KRAUS1:
        _gather(constants, row[3], pending[row[1]], small[2])
        damped[row[1]] = 1
    else:
        _apply_pair(constants, row[3], row, n, pending, damped, bits, squares, coefficients, args)
    return float(lower * (1.0 - bound))


@array_kernel
def _run_one(
    n: int, tape: Any, matrices: Any, gates_at: int, constants: Any, numbers: Any, codes: Any, state: Any, saved:
    Any, record: Any, stream: Any, words: Any, pending: Any, damped: Any, bits: Any, squares: Any, one: Any, small:
    Any, coefficients: Any, sums: Any, args: Any,
) -> None:  # fmt: skip
    """Run one trajectory along the tape, all of it applied to the state at the end."""
    n_vectors = (1 << n) >> s.LANE_BITS
    lower = 1.0  # the squared norm is at least this
    at = 0
    while at < len(tape):
        row = tape[at]
        at += 1
        kind = row[0]
        if kind == r.GATE1:
            _gather(matrices, gates_at + row[3], pending[row[1]], small[2])
        elif kind == r.GATE2:
            _apply_pair(matrices, gates_at + row[3], row, n, pending, damped, bits, squares, coefficients, args)
        elif kind == r.PAULIS:
            _jump(row, uniform(stream, words), numbers, codes, pending)
        elif kind == r.KRAUS1 or kind == r.KRAUS2:
            lower = _channel(
                row, uniform(stream, words), lower, n, constants, numbers, state, saved, pending, damped, bits, squares,
                one, small, coefficients, sums, args,
            )  # fmt: skip
        elif kind == r.MEASURE or kind == r.RESET:
            u = uniform(stream, words)
            found = _look(row, u, n, constants, pending, damped, bits, squares, one, small, coefficients, sums, args)
            lower = 1.0
            if kind == r.MEASURE:
                flip = numbers[row[3] + found]
                record[row[2]] = found ^ (1 if flip > 0.0 and uniform(stream, words) < flip else 0)
        elif kind == r.JUMP or not _bits_have(record, codes, row[2], row[3], row[4]):
            at = row[1]
        if lower < r.SMALL:  # before the numbers become too small
            _flush(True, -1, n, n_vectors, pending, damped, bits, squares, one, coefficients, args)
            _scale(pending[0], 1.0 / np.sqrt(squared_norm(state)))
            lower = 1.0
    _flush(True, -1, n, n_vectors, pending, damped, bits, squares, one, coefficients, args)


@array_kernel
def _run(array: int) -> int:
    """See `run_trajectories`."""
    a = data(0, array)
    n, n_each, wanted, n_matrices = a[r.ARG_QUBITS], a[r.ARG_EACH], a[r.ARG_WANTED], a[r.ARG_MATRICES]
    tape, keys = view2(0, a[r.TAPE], a[r.TAPE + 1], r.ROW), view2(np.uint64(0), a[r.KEYS], a[r.KEYS + 1], 2)
    matrices, constants = view1(0j, a[r.MATRICES], a[r.MATRICES + 1]), view1(0j, a[r.CONSTANTS], a[r.CONSTANTS + 1])
    numbers, codes = view1(0.0, a[r.NUMBERS], a[r.NUMBERS + 1]), view1(0, a[r.CODES], a[r.CODES + 1])
    initial = view2(0.0, a[r.INITIAL], a[r.INITIAL + 1], a[r.INITIAL + 2])
    masks = view2(0, a[r.MASKS], a[r.MASKS + 1], 3)
    state, saved = view1(0.0, a[r.STATE], a[r.STATE + 1]), view1(0.0, a[r.SAVED], a[r.SAVED + 1])
    records = view2(np.uint8(0), a[r.RECORDS], a[r.RECORDS + 1], a[r.RECORDS + 2])
    values = view2(0.0, a[r.VALUES], a[r.VALUES + 1], a[r.VALUES + 2])
    drawn = view1(0, a[r.DRAWN], a[r.DRAWN + 1])
    reals, whole = view1(0.0, a[r.REALS], r.N_REALS), view1(0, a[r.INTEGERS], a[r.INTEGERS + 1])
    stream, words = view1(np.uint64(0), a[r.STREAM], 7), view1(np.uint64(0), a[r.WORDS], 4)
    pending, small = view3(0j, a[r.PENDING], n, 2, 2), view3(0j, a[r.SMALL_MATRICES], 3, 2, 2)
    squares, one = view3(0j, a[r.SQUARES], 2, 4, 4), view1(0j, a[r.ONE], 16)
    coefficients, sums = reals[: r.N_COEFFICIENTS], reals[r.N_COEFFICIENTS :]
    args, bits, damped = whole[: s.SIZE], whole[s.SIZE : s.SIZE + 2], whole[s.SIZE + 2 :]
    args[s.OPERATE] = a[r.ARG_OPERATE]
    args[s.BASE], args[s.COEFS], args[s.SUMS] = start_of(state), start_of(coefficients), start_of(sums)
    for item in range(a[r.ARG_FIRST], a[r.ARG_LAST]):
        entry = item // n_each
        seeded(stream, keys[entry], item - entry * n_each)
        _copy(initial[entry if len(initial) > 1 else 0], state, len(state))
        record = records[item]
        for k in range(len(record)):
            record[k] = 0
        for q in range(n):
            damped[q] = 0
            pending[q, 0, 0] = pending[q, 1, 1] = 1.0
            pending[q, 0, 1] = pending[q, 1, 0] = 0.0
        _run_one(
            n, tape, matrices, entry * n_matrices, constants, numbers, codes, state, saved, record, stream, words,
            pending, damped, bits, squares, one, small, coefficients, sums, args,
        )  # fmt: skip
        if wanted & r.EXPECT:
            pauli_expectations(n, state, masks, saved, values[item])
        if wanted & r.SAMPLE:
            drawn[item] = drawn_index(n, state, uniform(stream, words))
    return 0


def run_trajectories(zero: Any, array: int) -> int:
    """Run trajectories ARG_FIRST .. ARG_LAST - 1; see `superpose.engine.kernels.trajectory_rows` for the arguments.

    Args:
        zero: 0.0.
        array: The int64 array of arguments, by the address of its object.

    Returns:
        0.
    """
    return _run(array)
