"""Measurement outcomes drawn from probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from superpose.errors import ShapeError

__all__ = ["check_shots", "counts_of", "sample"]


def check_shots(shots: int, seed: int | None) -> None:
    """Refuse numbers of shots and seeds that do not make sense.

    Raises:
        ShapeError: Fewer than 1 shot, or a negative seed.
    """
    if shots < 1:
        raise ShapeError(f"shots must be at least 1, got {shots}.", got=shots)
    if seed is not None and seed < 0:
        raise ShapeError(f"seed must be 0 or more, or None, got {seed}.", got=seed)


def sample(probabilities: npt.NDArray[np.float64], shots: int, seed: int | None) -> npt.NDArray[np.int64]:
    """Return int64 ``(batch, shots)`` indices, drawn row after row from one PCG64 stream.

    Rows need not be normalised to the last digit.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    out = np.empty((len(probabilities), shots), dtype=np.int64)
    for row, weights in enumerate(probabilities):
        sums = np.cumsum(weights)
        out[row] = np.searchsorted(sums, generator.random(shots) * sums[-1], side="right")
    # a draw that rounding puts at the very end belongs to the last state
    return np.minimum(out, probabilities.shape[1] - 1, out=out)


def counts_of(samples: npt.NDArray[np.int64], n_qubits: int) -> list[dict[str, int]]:
    """Return per row how often each bit string stands in it, strings in ascending order."""
    out = []
    for row in samples:
        values, numbers = np.unique(row, return_counts=True)
        out.append({format(int(v), f"0{n_qubits}b"): int(k) for v, k in zip(values, numbers, strict=True)})
    return out
