"""Fitting a trained model's safeguards, and what they do on rows that nothing has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.learning.calibration.conformal import ConformalSets
from superpose.learning.calibration.fitting import chosen_method, fit_map, fit_novelty, halves
from superpose.learning.calibration.novelty import NoveltyScore, are_novel
from superpose.learning.calibration.reliability import (
    abstaining_curve,
    calibration_error,
    log_loss,
    reliability_bins,
)
from superpose.learning.calibration.safeguards import AbstainRule, Safeguards
from superpose.learning.metrics import brier_score, evaluate
from superpose.learning.shares import interval_of_mean, interval_of_share

if TYPE_CHECKING:
    from superpose.datasets import Split
    from superpose.learning.calibration.spec import CalibrationSpec
    from superpose.learning.spec import TrainingSpec
    from superpose.learning.trained_model import ServedModel

__all__ = ["calibration_report", "fit_safeguards", "safeguarded"]

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]


def safeguarded(  # what was trained, and on what
    spec: TrainingSpec,
    model: ServedModel,
    encoded: Floats,
    classes: Labels,
    split: Split,
    *,
    positive: int,
    groups: Labels | None = None,
) -> tuple[Safeguards, dict[str, Any]]:
    """A trained model's safeguards, and the evaluation's figures of them.

    Args:
        spec: of the training.
        model: the registered model.
        encoded: all rows of the table, ``(n_rows, n_columns)``.
        classes: index of each row's class.
        split: the rows that trained, stopped and test the model.
        positive: index of the positive class.
        groups: which rows belong together, any integers ``(n_rows,)``; None where that is not known.

    Returns:
        The safeguards; ``calibration``, see `calibration_report`, and, where probabilities are calibrated,
        ``model_metrics``: all metrics of the calibrated ones on the test rows.

    Cost: a prediction of validation and test rows, a principal component analysis of the training rows.
    """
    validation = encoded[split.validation]
    held = None if groups is None else groups[split.validation]
    safeguards = fit_safeguards(
        spec.calibration,
        probabilities=model.probabilities(validation),
        truth=classes[split.validation],
        novelty=fit_novelty(encoded[split.train], validation, held),
        seed=spec.training.seed,
        groups=held,
    )
    if groups is not None:
        trained = np.isin(np.unique(groups[split.validation]), groups[split.train])
        known = {**safeguards.facts["groups"], "also_in_training": int(trained.sum())}
        safeguards = replace(safeguards, facts={**safeguards.facts, "groups": known})
    test, truth = encoded[split.test], classes[split.test]
    own = model.probabilities(test)
    figures: dict[str, Any] = {
        "calibration": calibration_report(
            safeguards,
            probabilities=own,
            truth=truth,
            encoded=test,
            confidence=spec.evaluation.confidence,
            groups=None if groups is None else groups[split.test],
        )
    }
    if safeguards.calibration is not None:
        figures["model_metrics"] = evaluate(truth, safeguards.calibrated(own), positive)
    return safeguards, figures


def fit_safeguards(
    spec: CalibrationSpec,
    *,
    probabilities: Floats,
    truth: Labels,
    novelty: NoveltyScore,
    seed: int,
    groups: Labels | None = None,
) -> Safeguards:
    """What a spec asks for, fitted on validation rows, beside a novelty score.

    Where probabilities are calibrated and prediction sets made as well, one half of the rows gives the calibration and
    the other the sets, whose guarantee would not hold on rows that chose the calibration. Rows of one group are in one
    half, and in one of the folds that choose a method.

    Args:
        spec: what is asked for.
        probabilities: the model's, of the validation rows, ``(n_rows, n_classes)``.
        truth: index of each validation row's class.
        novelty: the score, see `superpose.learning.calibration.fitting.fit_novelty`.
        seed: of halves and folds.
        groups: which validation rows belong together, any integers ``(n_rows,)``; None where that is not known.

    Raises:
        ValueError: too few rows; `check_rows` says so before.
    """
    coverage = spec.conformal.coverage
    everything = np.arange(len(truth))
    apart = coverage is not None and spec.method != "none"
    first, second = halves(truth, seed, groups) if apart else (everything, everything)

    def own(rows: NDArray[np.intp]) -> Labels | None:
        return None if groups is None else groups[rows]

    def counted(rows: NDArray[np.intp]) -> int:
        return 0 if groups is None else len(np.unique(groups[rows]))

    facts: dict[str, Any] = {"part": "validation", "split": 0, "calibration": 0, "conformal": 0}
    known = {"validation": counted(everything), "calibration": 0, "conformal": 0}
    method = spec.method
    if method == "auto":
        method, facts["losses"] = chosen_method(probabilities[first], truth[first], seed, own(first))
    calibration = fit_map(method, probabilities[first], truth[first])
    if spec.method != "none":
        facts["calibration"], known["calibration"] = len(first), counted(first)
    answered = Safeguards(calibration).calibrated(probabilities[second])
    sets = None
    if coverage is not None:
        sets = ConformalSets.from_rows(spec.conformal.method, coverage, answered, truth[second], own(second))
        facts["conformal"], known["conformal"] = len(second), counted(second)
    facts["groups"] = None if groups is None else known
    rule = spec.abstain
    abstain = None if rule.by == "none" else AbstainRule(rule.by, rule.below if rule.by == "probability" else 0.0)
    return Safeguards(calibration, sets, abstain, novelty, facts=facts)


def calibration_report(  # of which rows
    safeguards: Safeguards,
    *,
    probabilities: Floats,
    truth: Labels,
    encoded: Floats,
    confidence: float,
    groups: Labels | None = None,
) -> dict[str, Any]:
    """What the safeguards do on test rows, as JSON values.

    Args:
        safeguards: of the registered model.
        probabilities: the model's own, of the test rows, ``(n_rows, n_classes)``.
        truth: index of each test row's class.
        encoded: the test rows, encoded.
        confidence: of the intervals.
        groups: which test rows belong together, any integers ``(n_rows,)``; None where that is not known.

    Returns:
        ``method``; ``n_rows``: test rows; ``n_groups`` of them, or None; ``before`` and ``after`` calibration: ``ece``,
        ``brier``, ``log_loss`` and ``bins``; ``abstaining``: accuracy by share of rows answered; ``conformal``,
        ``abstain`` and ``novelty`` or None: shares of test rows with Wilson intervals, and the mean size of sets with a
        t interval, of rows that stand each for itself or of groups; of two classes, where it is 1 and the share of sets
        with both, with Wilson's. Where all sets have one size, so many of other sizes, the least or the largest, are
        reckoned with as Wilson's interval of none has at most.
    """
    after, told = safeguards.calibrated(probabilities), _Intervals(confidence, groups)
    return {
        "method": "none" if safeguards.calibration is None else safeguards.calibration.method,
        "n_rows": len(truth),
        "n_groups": None if groups is None else len(np.unique(groups)),
        "confidence": confidence,
        "rows": dict(safeguards.facts),
        "before": _reliability(truth, probabilities),
        "after": _reliability(truth, after),
        "abstaining": abstaining_curve(truth, after),
        "conformal": _conformal(safeguards, truth, after, told),
        "abstain": _abstain(safeguards, truth, after, told),
        "novelty": _novelty(safeguards, encoded, told),
    }


def _reliability(truth: Labels, probabilities: Floats) -> dict[str, Any]:
    return {
        "ece": calibration_error(truth, probabilities),
        "brier": brier_score(truth, probabilities),
        "log_loss": log_loss(truth, probabilities),
        "bins": reliability_bins(truth, probabilities),
    }


@dataclass(frozen=True)
class _Intervals:
    """Shares and means of test rows, with intervals."""

    confidence: float
    groups: Labels | None

    def share(self, found: NDArray[np.bool_], of: NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """Of all rows, or of some."""
        chosen = np.ones(len(found), dtype=bool) if of is None else of
        groups = None if self.groups is None else self.groups[chosen]
        low, high = interval_of_share(found[chosen], self.confidence, groups)
        return {"share": float(found[chosen].mean()), "low": low, "high": high}

    def mean(self, values: NDArray[np.integer], least: float, most: float) -> dict[str, Any]:
        """Cut to what a value can be; where all values are one, from how many others the rows do not rule out."""
        mean = float(values.mean())
        if most - least == 1.0:
            low, high = (least + end for end in interval_of_share(values == most, self.confidence, self.groups))
        elif values.min() == values.max():
            others = interval_of_share(values != values[0], self.confidence, self.groups)[1]
            low, high = mean - others * (mean - least), mean + others * (most - mean)
        else:
            low, high = interval_of_mean(values.astype(np.float64), self.confidence, self.groups)
        return {"mean": mean, "low": max(least, low), "high": min(most, high)}


def _conformal(safeguards: Safeguards, truth: Labels, after: Floats, told: _Intervals) -> Mapping[str, Any] | None:
    if safeguards.sets is None:
        return None
    members = safeguards.sets.sets(after)
    sizes = members.sum(axis=1)
    return {
        **safeguards.sets.to_dict(),
        "covered": told.share(members[np.arange(len(sizes)), truth]),
        "mean_size": told.mean(sizes, 1.0, float(members.shape[1])),
        "single": told.share(sizes == 1),
    }


def _abstain(safeguards: Safeguards, truth: Labels, after: Floats, told: _Intervals) -> Mapping[str, Any] | None:
    rule = safeguards.abstain
    if rule is None:
        return None
    kept = ~rule.withheld(after.max(axis=1))
    if rule.by == "set" and safeguards.sets is not None:
        kept = safeguards.sets.sets(after).sum(axis=1) == 1
    right = after.argmax(axis=1) == truth
    accuracy = told.share(right, kept) if kept.any() else None
    return {**rule.to_dict(), "answered": told.share(kept), "accuracy": accuracy}


def _novelty(safeguards: Safeguards, encoded: Floats, told: _Intervals) -> Mapping[str, Any] | None:
    score = safeguards.novelty
    if score is None:
        return None
    novel = are_novel(score, score.scores(encoded))
    told_of = {"score": score.kind, "threshold": score.threshold, "expected_share": score.expected_share}
    return {**told_of, "novel": told.share(novel)}
