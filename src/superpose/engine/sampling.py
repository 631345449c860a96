"""Measurement outcomes drawn from final states."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.engine.lowering import Lowered
from superpose.engine.states import probabilities
from superpose.errors import ShapeError

__all__ = ["counts_of", "sample_states"]


def sample_states(
    lowered: Lowered, saved: npt.NDArray[Any], batch: int, shots: int, seed: int | None
) -> npt.NDArray[np.int64]:
    """Return int64 ``(batch, shots)`` basis indices, drawn one sample after the other from one PCG64 stream."""
    if shots < 1:
        raise ShapeError(f"shots must be at least 1, got {shots}.", got=shots)
    if seed is not None and seed < 0:
        raise ShapeError(f"seed must be 0 or more, got {seed}.", got=seed)
    generator = np.random.Generator(np.random.PCG64(seed))
    out = np.empty((batch, shots), dtype=np.int64)
    for row, weights in enumerate(probabilities(lowered, saved, batch)):
        sums = np.cumsum(weights)
        drawn = generator.random(shots) * sums[-1]
        out[row] = np.searchsorted(sums, drawn, side="right")
    # a draw that rounding puts at the very end belongs to the last state
    return np.minimum(out, (1 << lowered.n_qubits) - 1, out=out)


def counts_of(samples: npt.NDArray[np.int64], n_qubits: int) -> list[dict[str, int]]:
    """Return per row how often each bit string stands in it, strings in ascending order."""
    out = []
    for row in samples:
        values, numbers = np.unique(row, return_counts=True)
        out.append({format(int(v), f"0{n_qubits}b"): int(k) for v, k in zip(values, numbers, strict=True)})
    return out
