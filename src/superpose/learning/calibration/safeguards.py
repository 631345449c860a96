"""What a model file keeps beside its model to say how far an answer can be trusted. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from superpose.learning.calibration.bands import BandNovelty
from superpose.learning.calibration.conformal import ConformalSets
from superpose.learning.calibration.intervals import NumberInterval
from superpose.learning.calibration.maps import MAPS, ProbabilityMap
from superpose.learning.calibration.novelty import Novelty, NoveltyScore
from superpose.learning.calibration.reliability import ROUNDING

__all__ = ["ABSTAIN_RULES", "AbstainRule", "Safeguards"]

Floats = NDArray[np.float64]

ABSTAIN_RULES = ("probability", "set")
"""By what a model can abstain: its largest probability, or a prediction set of more than one class."""


_SCORES: Mapping[str, type[Novelty] | type[BandNovelty]] = {one.kind: one for one in (Novelty, BandNovelty)}


@dataclass(frozen=True)
class AbstainRule:
    """When no label is given: the largest probability is below ``below``, or the set has more than one class.

    Attributes:
        by: a word of `ABSTAIN_RULES`.
        below: the probability; of no account for sets.
    """

    by: str
    below: float = 0.0

    def __post_init__(self) -> None:
        if self.by not in ABSTAIN_RULES or not 0.0 <= self.below <= 1.0:
            raise ValueError(f"abstaining is by {' or '.join(ABSTAIN_RULES)}, below 0 .. 1; got {self!r}")

    def withheld(self, largest: Floats) -> NDArray[np.bool_]:
        """For which rows, by their largest probability ``(n_rows,)``, no label is given: it is below by more than
        rounding, which the rows computed beside one decide.
        """
        return np.asarray(largest < self.below - ROUNDING)

    def to_dict(self) -> dict[str, Any]:
        """The rule as JSON values."""
        return {"by": self.by, "below": self.below}


@dataclass(frozen=True, eq=False)
class Safeguards:
    """Calibration, prediction sets, abstaining, novelty and interval of one model; each may be absent.

    Attributes:
        calibration: from the model's probabilities to those that it answers with.
        sets: prediction sets, of calibrated probabilities.
        abstain: when a request that allows it gets no label.
        novelty: how unlike the training rows a row is.
        interval: of a model that predicts a number, what holds the true one.
        facts: which rows gave what; JSON values.
    """

    calibration: ProbabilityMap | None = None
    sets: ConformalSets | None = None
    abstain: AbstainRule | None = None
    novelty: NoveltyScore | None = None
    interval: NumberInterval | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to keep."""
        parts = (self.calibration, self.sets, self.abstain, self.novelty, self.interval)
        return all(part is None for part in parts)

    def calibrated(self, probabilities: Floats) -> Floats:
        """The probabilities to answer with, ``(n_rows, n_classes)``."""
        if self.calibration is None or not len(probabilities):
            return probabilities
        return self.calibration.apply(probabilities)

    def check(self, n_classes: int, n_columns: int) -> None:
        """Refuse a model of other classes or columns; one without classes predicts a number.

        Raises:
            ValueError: they do not fit.
        """
        if self.calibration is not None and not self.calibration.fits(n_classes):
            raise ValueError(f"the calibration is not for {n_classes} classes")
        if self.novelty is not None and self.novelty.n_columns != n_columns:
            raise ValueError(f"the novelty score is for {self.novelty.n_columns} columns, the model has {n_columns}")
        of_classes = (self.calibration, self.sets, self.abstain)
        if (self.interval if n_classes else next((one for one in of_classes if one is not None), None)) is not None:
            raise ValueError("intervals are for numbers; calibration, prediction sets and abstaining for classes")
        if self.abstain is not None and self.abstain.by == "set" and self.sets is None:
            raise ValueError("abstaining by prediction sets needs prediction sets")

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """A JSON description and arrays."""
        description: dict[str, Any] = {"rows": dict(self.facts)}
        arrays: dict[str, Floats] = {}
        for name in ("calibration", "novelty"):
            part: ProbabilityMap | NoveltyScore | None = getattr(self, name)
            if part is not None:
                description[name], own = part.to_parts()
                arrays |= own
        if self.sets is not None:
            description["conformal"] = self.sets.to_dict()
        if self.abstain is not None:
            description["abstain"] = self.abstain.to_dict()
        if self.interval is not None:
            description["interval"] = self.interval.to_dict()
        return description, {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in arrays.items()}

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Self:
        """The inverse of `to_parts`.

        Raises:
            ValueError, KeyError, TypeError: the parts do not fit one another.
        """
        calibration, conformal = description.get("calibration"), description.get("conformal")
        abstain, novelty = description.get("abstain"), description.get("novelty")
        interval = description.get("interval")
        return cls(
            calibration=None if calibration is None else MAPS[calibration["method"]].from_parts(calibration, arrays),
            sets=None if conformal is None else ConformalSets.from_dict(conformal),
            abstain=None if abstain is None else AbstainRule(str(abstain["by"]), float(abstain["below"])),
            novelty=None if novelty is None else _novelty(novelty, arrays),
            interval=None if interval is None else NumberInterval.from_dict(interval),
            facts=dict(description["rows"]),
        )


def _novelty(description: Mapping[str, Any], arrays: Mapping[str, Floats]) -> NoveltyScore:
    if (name := description["score"]) not in _SCORES:
        raise ValueError(f"the novelty score is {name!r}, this release knows {' and '.join(map(repr, _SCORES))}")
    return _SCORES[name].from_parts(description, arrays)
