"""From a model's probabilities to calibrated ones. NumPy only: this is what serving applies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAPS", "Isotonic", "ProbabilityMap", "Temperature"]

Floats = NDArray[np.float64]

_TINY = 1e-300
"""Stands for a probability of 0 where its logarithm is needed."""


class ProbabilityMap(Protocol):
    """What calibrates; a row of `MAPS`."""

    method: ClassVar[str]

    def apply(self, probabilities: Floats) -> Floats:
        """Calibrated probabilities ``(n_rows, n_classes)``; every row sums to one."""
        ...

    def fits(self, n_classes: int) -> bool:
        """Whether it is for so many classes."""
        ...

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """A JSON description and arrays."""
        ...

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Self:
        """The inverse of `to_parts`.

        Raises:
            ValueError, KeyError, TypeError: the parts do not fit one another.
        """
        ...


@dataclass(frozen=True)
class Temperature:
    """``softmax(log(p) / temperature)``: above 1 it makes a model less sure, and never changes which class is first.

    Source: Guo et al. 2017, "On calibration of modern neural networks", arXiv 1706.04599, section 4.2. There it divides
    the scores before the softmax, which the logarithms of its probabilities equal but for a constant.
    """

    method: ClassVar[str] = "temperature"

    temperature: float

    def __post_init__(self) -> None:
        if not 0.0 < self.temperature < 1e6:
            raise ValueError(f"temperature must be above 0 and finite, got {self.temperature!r}")

    def apply(self, probabilities: Floats) -> Floats:
        """See `ProbabilityMap`."""
        scores: Floats = np.log(np.maximum(probabilities, _TINY)) / self.temperature
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def fits(self, n_classes: int) -> bool:
        """See `ProbabilityMap`."""
        return n_classes >= 2

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """See `ProbabilityMap`."""
        return {"method": self.method, "temperature": self.temperature}, {}

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Self:
        """See `ProbabilityMap`."""
        return cls(float(description["temperature"]))


@dataclass(frozen=True, eq=False)
class Isotonic:
    """A rising curve for each class, of straight pieces, one class against the rest; then rows are made to sum to one.

    With two classes there is one curve, of the second class, and the first has the rest. Outside a curve's ends its
    last value holds.

    Source: Zadrozny and Elkan 2002, "Transforming classifier scores into accurate multiclass probability estimates",
    KDD, sections 3.2 and 4.

    Attributes:
        curves: for each class, or for the second of two, probabilities that the model gives, rising, and what they
            become; both ``(n_points,)``, above 0 and below 1 where they are results.
    """

    method: ClassVar[str] = "isotonic"

    curves: tuple[tuple[Floats, Floats], ...]

    def __post_init__(self) -> None:
        for given, becomes in self.curves:
            rising = given.ndim == 1 and len(given) >= 1 and given.shape == becomes.shape
            if not rising or np.any(np.diff(given) < 0) or np.any(np.diff(becomes) < 0):
                raise ValueError("a calibration curve must rise, with as many results as probabilities")
            if not (np.isfinite(given).all() and np.all(becomes > 0) and np.all(becomes < 1)):
                raise ValueError("a calibration curve must lead to probabilities above 0 and below 1")

    def apply(self, probabilities: Floats) -> Floats:
        """See `ProbabilityMap`."""
        if probabilities.shape[1] == 2:
            second = np.interp(probabilities[:, 1], *self.curves[0])
            return np.stack([1.0 - second, second], axis=1)
        columns = [np.interp(probabilities[:, place], *curve) for place, curve in enumerate(self.curves)]
        found = np.stack(columns, axis=1)  # (n_rows, n_classes)
        found /= found.sum(axis=1, keepdims=True)
        return found

    def fits(self, n_classes: int) -> bool:
        """See `ProbabilityMap`."""
        return len(self.curves) == (1 if n_classes == 2 else n_classes)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """See `ProbabilityMap`."""
        arrays: dict[str, Floats] = {}
        for place, (given, becomes) in enumerate(self.curves):
            arrays |= {f"isotonic.{place}.given": given, f"isotonic.{place}.becomes": becomes}
        return {"method": self.method, "n_curves": len(self.curves)}, arrays

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Self:
        """See `ProbabilityMap`."""
        places = range(int(description["n_curves"]))
        return cls(tuple((arrays[f"isotonic.{i}.given"], arrays[f"isotonic.{i}.becomes"]) for i in places))


_KINDS: Sequence[type[Temperature] | type[Isotonic]] = (Temperature, Isotonic)
MAPS: dict[str, type[Temperature] | type[Isotonic]] = {kind.method: kind for kind in _KINDS}
"""All ways to calibrate, by name."""
