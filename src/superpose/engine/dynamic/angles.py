"""Angles of a program: affine sums evaluated for a whole batch, and the way back for gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from superpose.circuits import Affine

__all__ = ["Angles", "Placed"]

Array = npt.NDArray[np.float64]


class Angles:
    """Distinct angles, numbered as they come."""

    def __init__(self) -> None:
        self._numbers: dict[Affine, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, angle: Affine) -> int:
        """Return the number of an angle."""
        return self._numbers.setdefault(angle, len(self._numbers))

    def placed(self, inputs: Sequence[str], weights: Sequence[str]) -> Placed:
        """Return the angles as functions of two arrays."""
        return Placed(list(self._numbers), inputs, weights)


class Placed:
    """Angles as sparse linear functions of inputs ``(batch, n_inputs)`` and weights ``(n_weights,)``."""

    def __init__(self, angles: Sequence[Affine], inputs: Sequence[str], weights: Sequence[str]) -> None:
        self.n_inputs, self.n_weights = len(inputs), len(weights)
        self.constants = np.array([angle.constant for angle in angles], np.float64)
        columns = {name: (False, k) for k, name in enumerate(inputs)} | {
            name: (True, k) for k, name in enumerate(weights)
        }
        terms: tuple[list[tuple[int, int, float]], ...] = ([], [])
        for number, angle in enumerate(angles):
            for name, coefficient in angle.terms:
                shared, column = columns[name]
                terms[shared].append((number, column, coefficient))
        self._by_input, self._by_weight = map(_columns, terms)

    def evaluate(self, inputs: Array, weights: Array) -> Array:
        """Return the angles, ``(batch, n_angles)``."""
        shared = self.constants.copy()
        number, column, factor = self._by_weight
        np.add.at(shared, number, factor * weights[column])
        out = np.tile(shared, (len(inputs), 1))  # (batch, n_angles)
        number, column, factor = self._by_input
        np.add.at(out.T, number, factor[:, None] * inputs.T[column])
        return out

    def back(self, gradients: Array) -> tuple[Array, Array]:
        """Return gradients by inputs and by weights, given those by the angles, ``(batch, n_angles)``."""
        number, column, factor = self._by_input
        by_input = np.zeros((len(gradients), self.n_inputs))
        np.add.at(by_input.T, column, factor[:, None] * gradients.T[number])
        number, column, factor = self._by_weight
        by_weight = np.zeros(self.n_weights)
        np.add.at(by_weight, column, factor * gradients.sum(axis=0)[number])
        return by_input, by_weight


def _columns(
    terms: Sequence[tuple[int, int, float]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Array]:
    """Return numbers of angles, columns of parameters, and coefficients."""
    numbers, columns, factors = zip(*terms, strict=True) if terms else ((), (), ())
    return np.array(numbers, np.int64), np.array(columns, np.int64), np.array(factors, np.float64)
