"""`TrainedRegressor`: a trained hybrid model that predicts numbers, as plain values that NumPy and the engine run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from superpose.circuits import Circuit
from superpose.errors import ModelPredictsNumbersError
from superpose.learning.trained_model import CHUNK_ROWS, ClassLabel, DressedModel, dressed_parts

__all__ = ["TrainedRegressor"]


@dataclass(frozen=True, eq=False)
class TrainedRegressor(DressedModel):
    """A `DressedModel` with one output, which is a number in units of ``scale`` around ``centre``.

    Attributes:
        target: what the number is called.
        centre: the training rows' mean.
        scale: their standard deviation, above 0.
    """

    kind: ClassVar[str] = "hybrid_regressor"

    target: str
    centre: float
    scale: float

    def __post_init__(self) -> None:
        self._check_arrays(1)
        if not (math.isfinite(self.centre) and math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"centre and scale must be finite, scale above 0; got {self.centre} and {self.scale}")

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        """None: it predicts numbers."""
        return ()

    def numbers(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """The predicted number ``(n_rows,)`` of encoded rows ``(n_rows, n_columns)``, in float64; safe for threads."""
        return self.outputs(encoded)[:, 0] * self.scale + self.centre

    def number_gradients(self, encoded: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The predicted number of each row, ``(n_rows,)``, and its gradient, ``(n_rows, n_columns)``, in float64.

        Exact: the chain rule through both linear layers, with the circuit's adjoint gradient between them.

        Args:
            encoded: rows, ``(n_rows, n_columns)``, of any number; they are computed in parts.

        Cost: some four forward passes.
        """
        if not len(encoded):
            return np.empty(0), np.empty(encoded.shape)
        starts = range(0, len(encoded), CHUNK_ROWS)
        parts = [self._gradients_of(encoded[i : i + CHUNK_ROWS]) for i in starts]
        return np.concatenate([values for values, _ in parts]), np.concatenate([slopes for _, slopes in parts])

    def _gradients_of(self, encoded: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        entry, entry_bias, weights, exit_, exit_bias = self._wide
        bent = np.tanh(encoded @ entry + entry_bias)  # (n_rows, n_inputs)
        inputs = bent * self.max_angle
        expectations, tape_state = self._program.forward(self.block.feature_map.apply(inputs), weights)
        values = (expectations @ exit_ + exit_bias)[:, 0] * self.scale + self.centre
        of_expectations = np.repeat(self.scale * exit_.T, len(encoded), axis=0)  # (n_rows, n_observables)
        grad_angles, _ = self._program.backward(tape_state, of_expectations)
        grad_inputs = self.block.feature_map.vjp(inputs, grad_angles)
        slopes: NDArray[np.float64] = (grad_inputs * self.max_angle * (1.0 - bent**2)) @ entry.T
        return values, slopes

    def probabilities(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Nothing has probabilities here.

        Raises:
            ModelPredictsNumbersError: always.
        """
        raise ModelPredictsNumbersError(
            f"this model predicts a number, {self.target!r}, and has no classes; ask predict for numbers instead of "
            "probabilities",
            target=self.target,
        )

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The model, except for its circuit, as a JSON description and plain arrays."""
        description, arrays = self._parts(["linear", "scaled_tanh", "circuit", "linear"])
        target = {"name": self.target, "centre": self.centre, "scale": self.scale}
        return {**description, "target": target}, arrays

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], circuit: Circuit) -> Self:
        """The inverse of `to_parts`, given the circuit.

        Raises:
            ValueError: the parts do not fit one another; also KeyError, TypeError and a CircuitError, by cause.
        """
        target = description["target"]
        return cls(
            *dressed_parts(description, arrays, circuit),
            target=str(target["name"]),
            centre=float(target["centre"]),
            scale=float(target["scale"]),
        )
