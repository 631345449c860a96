"""From the results of a cut program's runs to what was found of each fragment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from superpose.backends.cutting.joining import FragmentValues, n_forms
from superpose.backends.cutting.plan import CutPlan
from superpose.backends.cutting.questions import Question
from superpose.backends.cutting.sampling import FormGrid, Sampling
from superpose.circuits import ProgramSetResult

__all__ = ["fragment_values"]

Array = npt.NDArray[np.float64]


def fragment_values(
    plan: CutPlan, question: Question, sampling: Sampling, results: ProgramSetResult, batch: int
) -> list[FragmentValues]:
    """Return what the runs found of each fragment.

    Cost: linear in the bit strings that were counted times the strings that are asked; memory for the covariances of
    those, for each batch entry, form and setting.
    """
    exact = all(one.grid.shots is None for one in sampling.grids)
    out = []
    for number, asks in enumerate(question.fragments):
        n = prod(n_forms(plan, number))
        means = np.zeros((batch, len(asks.strings), n))
        means[:, :, sampling.known[number]] = 1.0
        spreads: list[Array] = (
            [] if exact else [np.zeros((batch, n, len(s.strings), len(s.strings))) for s in asks.settings]
        )
        for place, one in enumerate(sampling.grids):
            if one.fragment != number:
                continue
            if exact:
                found = np.asarray(results[place].expectations).reshape(one.n_runs, one.n_entries, -1)
                means[:, :, one.forms] = found[:, one.entries].transpose(1, 2, 0)
            else:
                _count(one, asks.strings, asks.settings, results[place].counts, means, spreads)
        out.append(FragmentValues(means, None if exact else tuple(spreads)))
    return out


def _count(
    one: FormGrid, strings: Sequence[str], settings: Sequence[Any], counts: Any, means: Array, spreads: list[Array]
) -> None:
    """Write what a grid's counts say into means and covariances."""
    loaded = np.empty((one.n_runs, one.n_entries), object)
    loaded.reshape(-1)[:] = np.asarray(counts[...], object).reshape(-1)
    bits = _bit_of(one)
    masks = {
        place: np.array([_mask(strings[s], bits, one) for s in setting.strings], np.uint64)
        for place, setting in enumerate(settings)
    }
    entries: list[npt.NDArray[np.int64]] = [np.flatnonzero(one.entries == k) for k in range(one.n_entries)]
    for run, (form, place) in enumerate(zip(one.forms.tolist(), one.settings.tolist(), strict=True)):
        inside = list(settings[place].strings)
        for entry, here in enumerate(entries):
            mean, spread = _moments(loaded[run, entry], masks[place])
            means[np.ix_(here, inside, [form])] = mean[None, :, None]
            spreads[place][here, form] = spread


def _bit_of(one: FormGrid) -> dict[int, int]:
    """The classical bit of each of the fragment's qubits that is measured at the end."""
    letters = [item for item in one.made.circuit.without_final_measurements()[1]]
    return {item.qubit: item.bit for item in letters if item.bit >= one.made.n_read}


def _mask(string: str, bits: Mapping[int, int], one: FormGrid) -> int:
    """The bits, the first one the most significant, whose parity is the sign: those read, and those of the string."""
    n = one.made.circuit.n_bits
    chosen = [*range(one.made.n_read), *(bits[q] for q, letter in enumerate(string) if letter != "I")]
    return sum(1 << (n - 1 - bit) for bit in chosen)


def _moments(counts: Mapping[str, int], masks: npt.NDArray[np.uint64]) -> tuple[Array, Array]:
    """Means of the strings, and the covariances of these means, ``(n,)`` and ``(n, n)``.

    Where all shots agree, or nearly, the variance is taken to be that of one outcome in two runs that is otherwise: it
    would else be 0, and the error larger than any multiple of that.
    """
    outcomes = np.array([int(text, 2) if text else 0 for text in counts], np.uint64)
    numbers = np.fromiter(counts.values(), np.float64, len(counts))
    shots = numbers.sum()
    signs = 1.0 - 2.0 * (np.bitwise_count(outcomes[:, None] & masks) & 1)  # (n_outcomes, n)
    mean = numbers @ signs / shots
    spread = ((signs * numbers[:, None]).T @ signs / shots - np.outer(mean, mean)) / (shots - 1)
    diagonal = np.einsum("aa->a", spread)  # a view
    np.maximum(diagonal, np.where(masks != 0, 2.0 / shots**2, 0.0), out=diagonal)
    return mean, spread
