"""What a request may ask for beside labels and probabilities, and the answer to that. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from superpose.errors import ModelPredictsNumbersError, SafeguardAbsentError
from superpose.learning.calibration.novelty import are_novel
from superpose.learning.calibration.safeguards import AbstainRule, Safeguards

__all__ = ["Asked", "Details", "absent", "check_of_classes", "detailed"]

Floats = NDArray[np.float64]

_ABSENT = {
    "prediction_set": "prediction sets. Train again: a spec with calibration.conformal.coverage, such as 0.9, or a "
    "picture template of this release.",
    "abstain": "rule for abstaining. Give a probability instead of true, such as 0.8, or train again: a spec with "
    "calibration.abstain, or a picture template of this release.",
    "novelty": "novelty score: a release before novelty scores trained it, or it is of a kind that keeps none, such as "
    "families and HybridRegressor. Training jobs and HybridClassifier keep one: train such a model.",
}


@dataclass(frozen=True)
class Asked:
    """What is asked for beside the default answer.

    Attributes:
        prediction_set: the set of classes that holds the true one as often as the model's coverage says.
        abstain: whether a label may be withheld: True by the model's own rule, a number where the largest probability
            is below it, "set" where the prediction set has more than one class.
        novelty: how unlike the training rows each row is.
    """

    prediction_set: bool = False
    abstain: bool | float | str = False
    novelty: bool = False

    def __bool__(self) -> bool:
        return self.prediction_set or self.abstain is not False or self.novelty


@dataclass(frozen=True)
class Details:
    """The answer to what was asked for; None is what was not.

    Attributes:
        sets: of each row the labels in its prediction set, the most probable first.
        coverage: how often those sets hold the true class, at least.
        reasons: of each row why no label is given, or None where one is.
        novelty: of each row its score; training rows score about 1, training pictures seldom above 3.
        novel: of each row whether the score is above the model's threshold.
        novelty_threshold: that threshold.
    """

    sets: tuple[tuple[str, ...], ...] | None = None
    coverage: float | None = None
    reasons: tuple[str | None, ...] | None = None
    novelty: tuple[float, ...] | None = None
    novel: tuple[bool, ...] | None = None
    novelty_threshold: float | None = None

    def to_json(self) -> dict[str, object]:
        """What there is of it, as answers have it; labels are withheld there by ``reasons``."""
        found: dict[str, object] = {}
        if self.sets is not None:
            found |= {"prediction_sets": [list(row) for row in self.sets], "coverage": self.coverage}
        if self.reasons is not None:
            found["abstained"] = list(self.reasons)
        if self.novelty is not None and self.novel is not None:
            found |= {"novelty": list(self.novelty), "novel": list(self.novel)}
            found["novelty_threshold"] = self.novelty_threshold
        return found


def detailed(
    safeguards: Safeguards, asked: Asked, probabilities: Floats, labels: Sequence[str], encoded: Floats | None
) -> Details:
    """What is asked for, of rows whose probabilities are known.

    Args:
        safeguards: the model's.
        asked: what is wanted.
        probabilities: calibrated, ``(n_rows, n_classes)``.
        labels: of the classes, in order; none where the model predicts a number.
        encoded: the encoded rows; needed for novelty only.

    Raises:
        SafeguardAbsentError: the model has nothing that gives it; says how to get a model that has.
        ModelPredictsNumbersError: sets of classes or labels to withhold are asked of a model without classes.
    """
    check_of_classes(asked, bool(labels))
    sets: tuple[tuple[str, ...], ...] | None = None
    rule = _rule(safeguards, asked.abstain)
    if asked.prediction_set or (rule is not None and rule.by == "set"):
        sets = _sets(safeguards, probabilities, labels)
    reasons = None if rule is None else _reasons(rule, probabilities, sets)
    found = Details(reasons=reasons)
    if asked.prediction_set and safeguards.sets is not None:
        found = Details(sets=sets, coverage=safeguards.sets.coverage, reasons=reasons)
    if not asked.novelty:
        return found
    if safeguards.novelty is None or encoded is None:
        raise absent("novelty")
    scores = safeguards.novelty.scores(encoded)
    novel = are_novel(safeguards.novelty, scores)
    return replace(
        found,
        novelty=tuple(scores.tolist()),
        novel=tuple(novel.tolist()),
        novelty_threshold=safeguards.novelty.threshold,
    )


def absent(asked: str) -> SafeguardAbsentError:
    """The refusal of what a model has nothing for, the same at an endpoint and for a file.

    Args:
        asked: "prediction_set", "abstain" (by the model's own rule) or "novelty".
    """
    return SafeguardAbsentError(f"This model version has no {_ABSENT[asked]}", asked=asked)


def check_of_classes(asked: Asked, has_classes: bool) -> None:
    """Refuse what only a model with classes can tell.

    Raises:
        ModelPredictsNumbersError: it is asked of another.
    """
    if not has_classes and (asked.prediction_set or asked.abstain is not False):
        raise ModelPredictsNumbersError(
            f"This model predicts a number: it has no {'prediction sets' if asked.prediction_set else 'labels'}. Its "
            "answers have intervals, if its file keeps them, and novelty may be asked for."
        )


def _rule(safeguards: Safeguards, abstain: bool | float | str) -> AbstainRule | None:
    if abstain is False:
        return None
    if abstain is True:
        if safeguards.abstain is None:
            raise absent("abstain")
        return safeguards.abstain
    return AbstainRule("set") if isinstance(abstain, str) else AbstainRule("probability", float(abstain))


def _sets(safeguards: Safeguards, probabilities: Floats, labels: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    if safeguards.sets is None:
        raise absent("prediction_set")
    members = safeguards.sets.sets(probabilities)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    return tuple(tuple(labels[i] for i in ranks if row[i]) for row, ranks in zip(members, order.tolist(), strict=True))


def _reasons(
    rule: AbstainRule, probabilities: Floats, sets: tuple[tuple[str, ...], ...] | None
) -> tuple[str | None, ...]:
    if rule.by == "set":
        return tuple(
            f"the prediction set has {len(row)} classes: {', '.join(row[:5])}" + (", ..." if len(row) > 5 else "")
            if len(row) > 1
            else None
            for row in sets or ()
        )
    largest, below = probabilities.max(axis=1), f"below {rule.below:g}"
    return tuple(
        f"the largest probability, {p:.4g}, is {below}" if withheld else None
        for p, withheld in zip(largest.tolist(), rule.withheld(largest).tolist(), strict=True)
    )
