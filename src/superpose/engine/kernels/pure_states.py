"""What is read of pure states kept as vectors of eight real parts, then of eight imaginary ones."""

from __future__ import annotations

from typing import Any

from superpose.engine.kernels.views import array_kernel

__all__ = ["drawn_index", "pauli_expectations", "squared_norm"]


@array_kernel
def squared_norm(state: Any) -> float:
    """Return the sum of squares."""
    total = 0.0
    for k in range(0, len(state), 8):
        for lane in range(8):
            total += state[k + lane] * state[k + lane]
    return total


@array_kernel
def pauli_expectations(n: int, state: Any, masks: Any, probabilities: Any, out: Any) -> None:
    """Write the expectations of Pauli strings (masks x, z, number of Ys) in a state that need not be normalised."""
    size = 1 << n
    for k in range(size):
        at = (k >> 3) * 16 + (k & 7)
        probabilities[k] = state[at] * state[at] + state[at + 8] * state[at + 8]
    h = 1
    while h < size:
        for base in range(0, size, 2 * h):
            for j in range(base, base + h):
                x, y = probabilities[j], probabilities[j + h]
                probabilities[j] = x + y
                probabilities[j + h] = x - y
        h *= 2
    norm = probabilities[0]
    for t in range(len(masks)):
        x, z, ys = masks[t, 0], masks[t, 1], masks[t, 2]
        if x == 0:
            out[t] = probabilities[z] / norm
            continue
        real, imaginary = 0.0, 0.0
        for j in range(size):
            k = j ^ x
            a, b = (j >> 3) * 16 + (j & 7), (k >> 3) * 16 + (k & 7)
            odd = j & z
            for shift in (32, 16, 8, 4, 2, 1):
                odd ^= odd >> shift
            sign = 1.0 - 2.0 * (odd & 1)
            real += sign * (state[b] * state[a] + state[b + 8] * state[a + 8])
            imaginary += sign * (state[b] * state[a + 8] - state[b + 8] * state[a])
        turn = ys & 3
        out[t] = (real if turn == 0 else -imaginary if turn == 1 else -real if turn == 2 else imaginary) / norm


@array_kernel
def drawn_index(n: int, state: Any, u: float) -> int:
    """Return a basis state drawn by the state's weights."""
    norm = squared_norm(state)
    target, total, last = u * norm, 0.0, 0
    for vector in range((1 << n) >> 3):
        piece = 0.0
        for k in range(16):
            piece += state[16 * vector + k] * state[16 * vector + k]
        if total + piece <= target:
            total += piece
            continue
        for lane in range(8):
            weight = state[16 * vector + lane] ** 2 + state[16 * vector + 8 + lane] ** 2
            total += weight
            if weight > 0.0:
                last = 8 * vector + lane
            if total > target:
                return last
    return last
