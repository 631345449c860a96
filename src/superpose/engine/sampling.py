"""Measurement outcomes drawn from probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from superpose.engine.pool import get_threads
from superpose.engine.ranges import run_ranges
from superpose.errors import ShapeError

__all__ = ["bit_strings", "check_shots", "counts_from", "counts_of", "draw", "sample"]

Probabilities = npt.NDArray[np.float64]
Outcomes = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Basis states, ascending, and how often each was drawn."""

MANY_SHOTS = 8
"""From so many shots per basis state on, one binomial number per basis state is cheaper than one number per shot."""
BLOCK = 1 << 14
"""Probabilities that are summed at a time, in the fast cache."""
STRINGS_AT_ONCE = 1 << 14


def check_shots(shots: int, seed: int | None) -> None:
    """Refuse numbers of shots and seeds that do not make sense.

    Raises:
        ShapeError: Fewer than 1 shot, or a negative seed.
    """
    if shots < 1:
        raise ShapeError(f"shots must be at least 1, got {shots}.", got=shots)
    if seed is not None and seed < 0:
        raise ShapeError(f"seed must be 0 or more, or None, got {seed}.", got=seed)


def _draw_many(weights: Probabilities, shots: int, generator: np.random.Generator) -> Outcomes:
    """Return outcomes of more shots than there are basis states, a binomial number for each."""
    numbers = generator.multinomial(shots, weights / weights.sum())
    values = np.flatnonzero(numbers)
    return values, numbers[values]


def _draw_few(weights: Probabilities, shots: int, generator: np.random.Generator) -> Outcomes:
    """Return outcomes by merging sorted uniform numbers with sums of the probabilities, block by block."""
    blocks = weights.reshape(-1, min(BLOCK, len(weights)))  # (block, place)
    ends = np.cumsum(blocks.sum(axis=1))
    points = generator.random(shots)
    points.sort()
    points *= ends[-1]
    # points below the end of block b, and not below that of b - 1
    bounds = np.concatenate([[0], np.searchsorted(points, ends[:-1]), [shots]])
    found = np.empty(shots, dtype=np.int64)

    def part(first: int, last: int) -> None:
        for number in range(first, last):
            own = slice(bounds[number], bounds[number + 1])
            if own.start == own.stop:
                continue
            sums = np.cumsum(blocks[number])
            places = np.searchsorted(sums, points[own] - (ends[number - 1] if number else 0.0), side="right")
            if places[-1] >= np.searchsorted(sums, sums[-1]):  # rounding may lead beyond the last one possible
                np.minimum(places, np.flatnonzero(blocks[number])[-1], out=places)
            found[own] = places + number * blocks.shape[1]

    run_ranges(part, len(blocks), get_threads() if len(blocks) > 1 else 1)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(found)) + 1])
    return found[starts], np.diff(starts, append=shots)


def draw(probabilities: Probabilities, shots: int, seed: int | None) -> tuple[list[Outcomes], np.random.Generator]:
    """Return per row which basis states were drawn, ascending, and how often each; and the generator as it is then.

    One PCG64 stream serves row after row. Rows need not be normalised to the last digit.

    Cost: one pass over the probabilities, and sorting the shots if they are fewer than eight per basis state.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    many = shots >= MANY_SHOTS * probabilities.shape[1]
    return [(_draw_many if many else _draw_few)(row, shots, generator) for row in probabilities], generator


def sample(probabilities: Probabilities, shots: int, seed: int | None) -> npt.NDArray[np.int64]:
    """Return int64 ``(batch, shots)`` indices in random order; see `draw`."""
    outcomes, generator = draw(probabilities, shots, seed)
    out = np.empty((len(outcomes), shots), dtype=np.int64)
    for row, (values, numbers) in zip(out, outcomes, strict=True):
        row[:] = np.repeat(values, numbers)
        generator.shuffle(row)
    return out


def bit_strings(values: npt.NDArray[np.int64], n_bits: int) -> list[str]:
    """Return the bit strings of numbers, the most significant bit first."""
    if not n_bits:
        return [""] * len(values)
    shifts = np.arange(n_bits - 1, -1, -1)
    out: list[str] = []
    for first in range(0, len(values), STRINGS_AT_ONCE):
        some = values[first : first + STRINGS_AT_ONCE, None]
        text = ((some >> shifts & 1) + ord("0")).astype(np.uint8).tobytes().decode("ascii")
        out += [text[at : at + n_bits] for at in range(0, len(text), n_bits)]
    return out


def counts_from(outcomes: Sequence[Outcomes], n_qubits: int) -> list[dict[str, int]]:
    """Return per row how often each bit string was drawn, strings in ascending order."""
    return [dict(zip(bit_strings(values, n_qubits), numbers.tolist(), strict=True)) for values, numbers in outcomes]


def counts_of(samples: npt.NDArray[np.int64], n_qubits: int) -> list[dict[str, int]]:
    """Return per row how often each bit string stands in it, strings in ascending order."""
    outcomes: list[Outcomes] = [np.unique(row, return_counts=True) for row in samples]
    return counts_from(outcomes, n_qubits)
