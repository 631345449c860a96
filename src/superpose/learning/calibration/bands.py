"""How unlike the training pictures one is: too much or too little variation in a band of principal directions.

With the mean ``m`` of some training pictures and their directions ``u_i`` of variances ``l_i``, largest first, cut into
bands ``B`` (the last holds all directions that are not kept), a picture ``x`` has in each the energy

    ``e_B = sum_B (u_i . (x - m))**2 / l_i / |B|``, and in the last ``|rest of x - m|**2 / its mean``,

and its score is ``max_B |log e_B - c_B| / s_B``, with mean ``c_B`` and deviation ``s_B`` of other training pictures, on
which the directions were not fitted. A Mahalanobis distance sees only too much, and of many pixels mostly the last
band: a blank picture, without any detail, is near the mean and so nothing unusual to it, and an inverted one, wrong in
the leading directions alone, is lost among hundreds of others. NumPy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["ENDS", "BandNovelty"]

Floats = NDArray[np.float64]

ENDS = (16, 64, 256)
"""Where bands end, as numbers of leading directions; what lies behind the last is a band too."""

_LEAST_ENERGY = 1e-12
_ARRAYS = ("mean", "directions", "variances", "centres", "spreads")


@dataclass(frozen=True, eq=False)
class BandNovelty:
    """The score of pictures, and from where on one counts as novel.

    Attributes:
        mean: ``(n_columns,)``, of training pictures.
        directions: ``(n_directions, n_columns)``, of length 1 and at right angles.
        variances: ``(n_directions,)``, above 0.
        rest: variance of a picture along all other directions together, above 0.
        ends: of the bands of kept directions, rising; the last is ``n_directions``.
        centres: mean of the logarithm of each band's energy, ``(len(ends) + 1,)``.
        spreads: its standard deviation, above 0.
        threshold: a picture that scores above it is novel.
        expected_share: share of pictures like the validation pictures that score above it, at most.
        n_rows: validation pictures that gave the threshold, or patients where those were known.
    """

    kind: ClassVar[str] = "bands"
    mean: Floats
    directions: Floats
    variances: Floats
    rest: float
    ends: tuple[int, ...]
    centres: Floats
    spreads: Floats
    threshold: float
    expected_share: float
    n_rows: int

    def __post_init__(self) -> None:
        n_directions, n_columns = self.directions.shape
        bands = (len(self.ends) + 1,)
        shapes = (self.mean.shape, self.variances.shape, self.centres.shape, self.spreads.shape)
        fits = shapes == ((n_columns,), (n_directions,), bands, bands)
        rising = self.ends and self.ends[-1] == n_directions and all(a < b for a, b in pairwise((0, *self.ends)))
        finite = all(np.isfinite(getattr(self, name)).all() for name in _ARRAYS)
        above = np.all(self.variances > 0) and np.all(self.spreads > 0) and self.rest > 0
        if not (fits and rising and finite and above):
            raise ValueError(
                "mean, directions and bands must fit one another, be finite, and variances and spreads above 0"
            )

    @property
    def n_columns(self) -> int:
        """Pixels of a picture."""
        return len(self.mean)

    def energies(self, encoded: Floats) -> Floats:
        """The logarithm of each picture's energy in each band, ``(n_rows, len(ends) + 1)``.

        Cost: ``n_rows * n_directions * n_columns``.
        """
        apart = encoded - self.mean  # (n_rows, n_columns)
        squares = (apart @ self.directions.T) ** 2  # (n_rows, n_directions)
        others = np.maximum(np.einsum("ij,ij->i", apart, apart) - squares.sum(axis=1), 0.0)
        if len(self.directions) == self.n_columns:
            others[:] = 0.0  # there are none, and rounding is no energy
        scaled = squares / self.variances
        means = [scaled[:, first:last].mean(axis=1) for first, last in pairwise((0, *self.ends))]
        found: Floats = np.log(np.column_stack([*means, others / self.rest]) + _LEAST_ENERGY)
        return found

    def scores(self, encoded: Floats) -> Floats:
        """The score of each picture, ``(n_rows,)``: how many deviations the most unusual band lies off."""
        if not len(encoded):
            return np.zeros(0)
        found: Floats = (np.abs(self.energies(encoded) - self.centres) / self.spreads).max(axis=1)
        return found

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """A JSON description and arrays."""
        described = {
            "score": self.kind,
            "rest": self.rest,
            "ends": list(self.ends),
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
        mean, directions, variances, centres, spreads = (
            np.asarray(arrays[f"novelty.{name}"], dtype=np.float64) for name in _ARRAYS
        )
        return cls(
            mean,
            directions,
            variances,
            float(description["rest"]),
            tuple(int(end) for end in description["ends"]),
            centres,
            spreads,
            threshold=float(description["threshold"]),
            expected_share=float(description["expected_share"]),
            n_rows=int(description["n_rows"]),
        )
