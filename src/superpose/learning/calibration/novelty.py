"""How unlike the training rows a row is: its Mahalanobis distance under probabilistic PCA of the encoded rows.

With the mean ``m`` of the training rows, their leading directions ``u_i`` of variances ``l_i`` and the mean variance
``s2`` of all other directions, the score of an encoded row ``x`` is

    ``sum_i (u_i . (x - m))**2 / l_i + (|x - m|**2 - sum_i (u_i . (x - m))**2) / s2``,

over the number of columns, so that training rows score about 1. No row is kept, only these summaries. NumPy only.

Source: Mahalanobis 1936; Tipping and Bishop 1999, "Probabilistic principal component analysis", whose covariance it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_DIRECTIONS", "Novelty", "NoveltyScore", "are_novel"]

Floats = NDArray[np.float64]

MAX_DIRECTIONS = 32
"""Leading directions that are kept at most."""

_ARRAYS = ("mean", "directions", "variances")

_ROUNDING = 1e-9
"""Share of the threshold by which rounding may part scores of one row."""


class NoveltyScore(Protocol):
    """What `Novelty` of rows and `superpose.learning.calibration.bands.BandNovelty` of pictures have in common."""

    kind: ClassVar[str]
    """The word for it in files and results."""

    @property
    def n_columns(self) -> int:
        """Encoded columns."""

    @property
    def threshold(self) -> float:
        """A row that scores above it is novel."""

    @property
    def expected_share(self) -> float:
        """Share of rows like the validation rows that score above the threshold, at most."""

    @property
    def n_rows(self) -> int:
        """Validation rows that gave the threshold, or groups of them where those were known."""

    def scores(self, encoded: Floats) -> Floats:
        """The score of each encoded row, ``(n_rows,)``."""

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """A JSON description, whose ``score`` names the kind, and arrays."""


def are_novel(score: NoveltyScore, scores: Floats) -> NDArray[np.bool_]:
    """Which of some scores are above the threshold by more than rounding, ``(n_rows,)``.

    Of rows of few different kinds, as of categories alone, many score what the threshold is, and a row's score differs
    by rounding with the rows beside it.

    Args:
        score: whose threshold.
        scores: as it gives them, ``(n_rows,)``.
    """
    found: NDArray[np.bool_] = scores > score.threshold * (1.0 + _ROUNDING)
    return found


@dataclass(frozen=True, eq=False)
class Novelty:
    """The score of rows, and from where on it counts as novel.

    Attributes:
        mean: ``(n_columns,)``, of the training rows.
        directions: ``(n_directions, n_columns)``, of length 1 and at right angles.
        variances: ``(n_directions,)``, above 0.
        rest: mean variance of all other directions, above 0.
        threshold: a row that scores above it is novel.
        expected_share: share of rows like the validation rows that score above it, at most.
        n_rows: validation rows that gave the threshold, or groups of them where those were known.
    """

    kind: ClassVar[str] = "mahalanobis"
    mean: Floats
    directions: Floats
    variances: Floats
    rest: float
    threshold: float
    expected_share: float
    n_rows: int

    def __post_init__(self) -> None:
        n_directions, n_columns = self.directions.shape
        fits = self.mean.shape == (n_columns,) and self.variances.shape == (n_directions,)
        finite = all(np.isfinite(a).all() for a in (self.mean, self.directions, self.variances))
        if not fits or not finite or not np.all(self.variances > 0) or not self.rest > 0:
            raise ValueError("mean, directions and variances must fit one another, be finite, and variances above 0")

    @property
    def n_columns(self) -> int:
        """Encoded columns."""
        return len(self.mean)

    def scores(self, encoded: Floats) -> Floats:
        """The score of each encoded row, ``(n_rows,)``.

        Cost: ``n_rows * n_directions * n_columns``.
        """
        apart = encoded - self.mean  # (n_rows, n_columns)
        along = apart @ self.directions.T  # (n_rows, n_directions)
        squares = along**2
        others = np.maximum(np.einsum("ij,ij->i", apart, apart) - squares.sum(axis=1), 0.0)
        if len(self.directions) == self.n_columns:
            others[:] = 0.0  # there are none, and rounding is no distance
        found: Floats = (squares @ (1.0 / self.variances) + others / self.rest) / self.n_columns
        return found

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """A JSON description and arrays."""
        described = {
            "score": self.kind,
            "rest": self.rest,
            "threshold": self.threshold,
            "expected_share": self.expected_share,
            "n_rows": self.n_rows,
        }
        return described, {f"novelty.{name}": getattr(self, name) for name in _ARRAYS}

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Self:
        """The inverse of `to_parts`.

        Raises:
            ValueError, KeyError, TypeError: the parts do not fit one another.
        """
        mean, directions, variances = (np.asarray(arrays[f"novelty.{name}"], dtype=np.float64) for name in _ARRAYS)
        return cls(
            mean,
            directions,
            variances,
            rest=float(description["rest"]),
            threshold=float(description["threshold"]),
            expected_share=float(description["expected_share"]),
            n_rows=int(description["n_rows"]),
        )
