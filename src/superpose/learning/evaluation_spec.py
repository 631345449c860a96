"""The section ``evaluation`` of a training spec: how a model is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from superpose.errors import SpecError
from superpose.learning.metrics import METRICS
from superpose.learning.spec_fields import (
    Section,
    choice,
    integer,
    integer_or,
    label,
    names,
    number,
    section,
    subset,
)

__all__ = ["CONTROLS", "FEW_SPLITS", "FROM_SCRATCH", "MOST_TRIALS", "EvaluationSpec", "TuningSpec", "fixed_n_splits"]

CONTROLS = ("classical_twin", "no_entanglement", "frozen")
"""The controls an experiment can train beside the hybrid model."""

FROM_SCRATCH = "from_scratch"
"""The control that every fine-tuned model has: the same model, begun from random weights."""

FEW_SPLITS = 5
"""Splits where more would cost too much, or would change which rows are tested."""

MOST_TRIALS = 16
"""Settings that a search may try."""


@dataclass(frozen=True)
class TuningSpec(Section):
    """A search over settings inside the training rows of each split, the same number for every model.

    ``trials``: 0 tries none: networks train as the spec says, and the baseline searches as it always does. From 1 on
    the hybrid model, each control and the baseline have exactly so many settings to choose from.
    """

    path: ClassVar[str] = "evaluation.tuning"
    trials: int = integer(0, 0, MOST_TRIALS)


@dataclass(frozen=True)
class EvaluationSpec(Section):
    """How the model is judged: paired splits, controls, a baseline, and one metric that the verdict is about.

    ``n_splits``: "auto" is 10 where the spec and the data make that cheap, else 5; see
    `superpose.learning.split_count`. ``n_seeds``: trainings on each split, each with other initial weights and another
    order of the rows; the mean over them is the split's score. ``tuning``: a search inside each split.
    ``baseline``: "strongest", of four tuned families (logistic regression, gradient boosting, random forest, support
    vectors) the one of lowest cross-validated log loss; "logistic_regression", tuned; or "none".
    ``positive_class`` is the class that sensitivity and specificity speak of when there are two; by default the
    second in sorted order, as scikit-learn has it (``malignant`` of the breast cancer data). ``equivalence_margin`` is
    the difference of the primary metric below which models are as good as equal to the user: where a larger one is
    ruled out the verdict says "equal". ``subgroups`` names columns, features or not, by whose values the model's
    metrics are told apart.
    """

    path: ClassVar[str] = "evaluation"
    n_splits: int | str = integer_or("auto", 2, 1_000)
    n_seeds: int = integer(1, 1, 100)
    test_fraction: float = number(0.2, 0.0, 0.9, above=True)
    validation_fraction: float = number(0.15, 0.0, 0.9, above=True)
    controls: tuple[str, ...] = subset(CONTROLS, CONTROLS)
    baseline: str = choice("strongest", lambda: ("strongest", "logistic_regression", "none"))
    tuning: TuningSpec = section(TuningSpec)
    primary_metric: str = choice("accuracy", lambda: tuple(METRICS))
    confidence: float = number(0.95, 0.5, 0.9999)
    equivalence_margin: float = number(0.02, 0.0, 0.5, above=True)
    positive_class: str | None = label()
    subgroups: tuple[str, ...] = names(20)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.test_fraction + self.validation_fraction > 0.9:
            raise SpecError(
                f"test_fraction {self.test_fraction} + validation_fraction {self.validation_fraction} leave less than "
                "a tenth of the rows for training; lower one of them",
                self.field_path("test_fraction"),
            )


def fixed_n_splits(spec: EvaluationSpec) -> int:
    """The number of splits that the spec says; where it says "auto", 5, which is the least that it can mean."""
    return FEW_SPLITS if isinstance(spec.n_splits, str) else spec.n_splits
