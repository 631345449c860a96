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
from superpose.learning.trained_model import ClassLabel, DressedModel, dressed_parts

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
