"""How many shots each circuit of a step gets.

*Fixed*: every circuit ``shots``.

*Adaptive*: let ``s_b`` be the shots of each shifted circuit of row b, and ``B_b`` what row b adds to the variance of
the loss's gradient by the weights with a single shot, ``B_b = sum_kp M[k, p]**2 sum_o g_bo**2 v_o``: M the matrix of
`superpose.learning.measured.shifts`, ``g_bo`` the derivative of the loss by expectation o of row b, ``v_o`` the
variance of a shot. Then the gradient has the variance ``V = sum_b B_b / s_b``.

- Among rows: ``s_b`` in proportion to ``sqrt(B_b)``, which makes V least for a given sum (Neyman 1934): rows that the
  model gets right have small ``g_b`` and get few shots or none. ``g_b`` is that of the row's last visit, mixed with a
  fifth of equal shares, so that no row is forgotten. Shares are rounded at random to whole numbers of circuits of
  ``unit`` shots, and each row is weighted by the inverse of its share, so that the gradient's expected value does not
  depend on the shares (random sampling as in Rosalin: Arrasmith, Cincio, Somma and Coles 2020, arXiv 2004.06252).
- In all: ``N = sum_b s_b = c (sum_b sqrt(B_b))**2 / |grad|**2``, both averaged over steps, which holds V at ``1 / c``
  of the squared gradient. This is the rule of gCANS (Gu, Lowe, Dub, Coles and Arrasmith 2021, arXiv 2108.10434) with
  rows for its components, where ``c = 2 L a / (2 - L a)``, a the learning rate and L the gradient's Lipschitz constant;
  AdamW has no such a, and averages over some 10 steps itself, so that c is a constant here, `SIGNAL`. The squared
  gradient is that of the mini-batch, so N stays finite where the batch's own noise rules.

Per circuit N is at least one shot and at most ``shots``, and grows by at most a quarter from step to step, since the
gradient's estimated square may be anything, below zero too, where noise rules. Circuits without shifts get as many
shots as ``FORWARD`` of all others, at most ``shots`` each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["AdaptiveShots", "FixedShots", "ShotRule", "StepShots"]

Array = NDArray[np.float64]

SIGNAL = 0.25
"""c: the squared gradient over its variance by shots."""
FORWARD = 0.125
"""Shots of circuits without shifts, over those of all shifted ones."""
LEAST = 1.0
"""Least shots of a shifted circuit, on average."""
GROWTH = 1.25
"""Most shots of a step over those of the step before."""
MEMORY = 0.95
"""Weight of the past in averages over steps."""
MIXED = 0.2
"""Share of shots that all rows get alike."""


@dataclass(frozen=True, eq=False)
class StepShots:
    """The shots of a step.

    Attributes:
        unit: shots of each circuit.
        forward_copies: how often each row's circuit without shifts is run.
        copies: how often the shifted circuits of each row are run, int64 ``(batch,)``.
        weights: factor of each row's measured derivatives, ``(batch,)``: copies over their expected number.
        expected: expected number of copies, ``(batch,)``.
    """

    unit: int
    forward_copies: int
    copies: NDArray[np.int64]
    weights: Array
    expected: Array


class ShotRule:
    """What both rules answer.

    Args:
        shots: of each circuit; for the adaptive rule the most, on average.
    """

    def __init__(self, shots: int) -> None:
        self.shots = shots

    def share(self, rows: NDArray[np.int64], n_points: int, generator: np.random.Generator) -> StepShots:
        """The shots of a step over these rows with so many shifted circuits each."""
        raise NotImplementedError

    def learn(self, rows: NDArray[np.int64], shots: StepShots, deviations: Array, gradients: Array) -> None:
        """Take in what a step has shown.

        Args:
            rows: which rows of the training set.
            shots: what they got.
            deviations: ``sqrt(B_b)``, ``(batch,)``.
            gradients: measured gradient of each row by the weights, before its factor, ``(batch, n_weights)``.
        """

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and facts that go on in another process."""
        return {}, {}

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """The inverse of `state`."""


class FixedShots(ShotRule):
    """Every circuit the same."""

    def share(self, rows: NDArray[np.int64], n_points: int, generator: np.random.Generator) -> StepShots:
        """See `ShotRule`."""
        ones = np.ones(len(rows))
        return StepShots(self.shots, 1, ones.astype(np.int64), ones, ones)


class AdaptiveShots(ShotRule):
    """Shots where they matter; see the top of this file.

    Args:
        shots: the most that a circuit gets on average.
        n_rows: rows of the training set.
        least: least shots of a circuit.
    """

    def __init__(self, shots: int, n_rows: int, least: int = 4) -> None:
        super().__init__(shots)
        self._least = least
        self._deviations: Array = np.full(n_rows, np.nan)  # of each row's last visit
        self._spread = self._signal = 0.0  # averages over steps, not yet corrected for their beginning
        self._n_steps = 0
        self._mean = LEAST  # shots of a shifted circuit in the last step

    def share(self, rows: NDArray[np.int64], n_points: int, generator: np.random.Generator) -> StepShots:
        """See `ShotRule`."""
        batch = len(rows)
        self._mean = mean = min(float(self.shots), max(LEAST, self._wanted(batch) / batch))
        unit = min(self.shots, max(self._least, round(mean / 2)))
        total = min(mean * batch / unit, float(self.shots * batch // unit))  # copies in all
        expected = self._shares(rows) * total
        return _rounded(unit, expected, generator, self._forward_copies(unit, total / batch, n_points))

    def _forward_copies(self, unit: int, copies: float, n_points: int) -> int:
        return max(1, min(self.shots // unit, round(FORWARD * copies * n_points)))

    def _wanted(self, batch: int) -> float:
        """N of the next step, without its bounds but that of growth."""
        if not self._n_steps:
            return 0.0
        largest = GROWTH * self._mean * batch
        wanted = SIGNAL * self._spread
        return wanted / self._signal if wanted < largest * self._signal else largest

    def _shares(self, rows: NDArray[np.int64]) -> Array:
        """Share of each row, summing to one."""
        known: Array = self._deviations[rows]
        seen = known[np.isfinite(known)]
        if not seen.size or not seen.sum() > 0:
            return np.full(len(rows), 1.0 / len(rows))
        filled: Array = np.where(np.isfinite(known), known, seen.mean())
        shares: Array = (1.0 - MIXED) * filled / filled.sum() + MIXED / len(rows)
        return shares

    def learn(self, rows: NDArray[np.int64], shots: StepShots, deviations: Array, gradients: Array) -> None:
        """See `ShotRule`."""
        former = self._deviations[rows]
        self._deviations[rows] = np.where(np.isfinite(former), 0.5 * (former + deviations), deviations)
        measured = float(((shots.weights[:, np.newaxis] * gradients).sum(axis=0) ** 2).sum())
        signal = measured - _noise(shots, deviations, gradients)
        self._spread = MEMORY * self._spread + (1.0 - MEMORY) * float(deviations.sum()) ** 2
        self._signal = MEMORY * self._signal + (1.0 - MEMORY) * signal
        self._n_steps += 1

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """See `ShotRule`."""
        return {"deviations": self._deviations}, {
            "spread": self._spread,
            "signal": self._signal,
            "n_steps": self._n_steps,
            "mean": self._mean,
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """See `ShotRule`."""
        self._deviations = np.array(arrays["deviations"])
        self._spread, self._signal = float(facts["spread"]), float(facts["signal"])
        self._n_steps, self._mean = int(facts["n_steps"]), float(facts["mean"])


def _rounded(unit: int, expected: Array, generator: np.random.Generator, forward_copies: int) -> StepShots:
    """Whole copies with these expected values, whose sum is that of the expected values rounded down or up."""
    ends = np.floor(np.cumsum(expected) + generator.random())
    copies = np.diff(ends, prepend=0.0)
    return StepShots(unit, forward_copies, copies.astype(np.int64), copies / expected, expected)


def _noise(shots: StepShots, deviations: Array, gradients: Array) -> float:
    """Estimated variance of the measured gradient: of shots, and of rows that are left out at random."""
    by_shots = deviations**2 / (shots.unit * np.maximum(shots.expected, 1e-12))
    own = (gradients**2).sum(axis=1) - deviations**2 / (shots.unit * np.maximum(shots.copies, 1))
    part = shots.expected - np.floor(shots.expected)
    by_rounding = part * (1.0 - part) / shots.expected**2 * np.maximum(own, 0.0) * (shots.copies > 0)
    seen = np.minimum(1.0, shots.expected)  # how often a row is there to be counted
    return float((by_shots + by_rounding / seen).sum())
