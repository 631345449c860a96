"""The spec's section ``calibration``: how far answers can be trusted, and when none is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from superpose.errors import SpecError
from superpose.learning.calibration.conformal import SCORES
from superpose.learning.calibration.safeguards import ABSTAIN_RULES
from superpose.learning.spec_fields import Section, choice, maybe_number, number, section

__all__ = ["METHODS", "AbstainSpec", "CalibrationSpec", "ConformalSpec"]

METHODS = ("none", "temperature", "isotonic", "auto")
"""Ways to calibrate; "auto" takes the one of the others with the lowest cross-validated log loss."""


@dataclass(frozen=True)
class AbstainSpec(Section):
    """When a request that allows it gets no label: ``by`` "probability", where the largest is below ``below``; "set",
    where the prediction set has more than one class; or "none".
    """

    path: ClassVar[str] = "calibration.abstain"
    by: str = choice("none", lambda: ("none", *ABSTAIN_RULES))
    below: float = number(0.8, 0.0, 1.0)


@dataclass(frozen=True)
class ConformalSpec(Section):
    """Prediction sets: ``coverage``, how often they hold the true class, and ``method``, "lac" or "aps"; without a
    coverage there are none.
    """

    path: ClassVar[str] = "calibration.conformal"
    coverage: float | None = maybe_number(0.5, 0.999)
    method: str = choice("lac", lambda: tuple(SCORES))


@dataclass(frozen=True)
class CalibrationSpec(Section):
    """How probabilities are calibrated, prediction sets made and answers withheld, from validation rows alone.

    ``method``: "temperature", "isotonic", "auto" or "none", which leaves the model's own probabilities.
    """

    path: ClassVar[str] = "calibration"
    method: str = choice("none", lambda: METHODS)
    conformal: ConformalSpec = section(ConformalSpec)
    abstain: AbstainSpec = section(AbstainSpec)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.abstain.by == "set" and self.conformal.coverage is None:
            raise SpecError(
                "is 'set', but there are no prediction sets; give calibration.conformal.coverage, such as 0.9",
                "calibration.abstain.by",
            )
