"""Fitting a trained model's safeguards, and what they do on rows that nothing has seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.learning.calibration.conformal import ConformalSets
from superpose.learning.calibration.fitting import chosen_method, fit_map, fit_novelty, halves
from superpose.learning.calibration.reliability import (
    abstaining_curve,
    calibration_error,
    log_loss,
    reliability_bins,
)
from superpose.learning.calibration.safeguards import AbstainRule, Safeguards
from superpose.learning.metrics import brier_score, evaluate
from superpose.learning.subgroups import wilson_interval

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
) -> tuple[Safeguards, dict[str, Any]]:
    """A trained model's safeguards, and the evaluation's figures of them.

    Args:
        spec: of the training.
        model: the registered model.
        encoded: all rows of the table, ``(n_rows, n_columns)``.
        classes: index of each row's class.
        split: the rows that trained, stopped and test the model.
        positive: index of the positive class.

    Returns:
        The safeguards; ``calibration``, see `calibration_report`, and, where probabilities are calibrated,
        ``model_metrics``: all metrics of the calibrated ones on the test rows.

    Cost: a prediction of validation and test rows, a principal component analysis of the training rows.
    """
    validation = encoded[split.validation]
    safeguards = fit_safeguards(
        spec.calibration,
        probabilities=model.probabilities(validation),
        truth=classes[split.validation],
        train=encoded[split.train],
        validation=validation,
        seed=spec.training.seed,
    )
    test, truth = encoded[split.test], classes[split.test]
    own = model.probabilities(test)
    figures: dict[str, Any] = {
        "calibration": calibration_report(
            safeguards, probabilities=own, truth=truth, encoded=test, confidence=spec.evaluation.confidence
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
    train: Floats,
    validation: Floats,
    seed: int,
) -> Safeguards:
    """What a spec asks for, fitted on validation rows, and the novelty score.

    Where probabilities are calibrated and prediction sets made as well, one half of the rows gives the calibration and
    the other the sets, whose guarantee would not hold on rows that chose the calibration.

    Args:
        spec: what is asked for.
        probabilities: the model's, of the validation rows, ``(n_rows, n_classes)``.
        truth: index of each validation row's class.
        train: encoded training rows.
        validation: encoded validation rows.
        seed: of halves and folds.

    Raises:
        ValueError: too few rows; `check_rows` says so before.
    """
    coverage = spec.conformal.coverage
    everything = np.arange(len(truth))
    first, second = halves(truth, seed) if coverage is not None and spec.method != "none" else (everything, everything)
    facts: dict[str, Any] = {"part": "validation", "split": 0, "calibration": 0, "conformal": 0}
    method = spec.method
    if method == "auto":
        method, facts["losses"] = chosen_method(probabilities[first], truth[first], seed)
    calibration = fit_map(method, probabilities[first], truth[first])
    if spec.method != "none":
        facts["calibration"] = len(first)
    answered = Safeguards(calibration).calibrated(probabilities[second])
    sets = None
    if coverage is not None:
        sets = ConformalSets.from_rows(spec.conformal.method, coverage, answered, truth[second])
        facts["conformal"] = len(second)
    rule = spec.abstain
    abstain = None if rule.by == "none" else AbstainRule(rule.by, rule.below if rule.by == "probability" else 0.0)
    return Safeguards(calibration, sets, abstain, fit_novelty(train, validation), facts=facts)


def calibration_report(
    safeguards: Safeguards, *, probabilities: Floats, truth: Labels, encoded: Floats, confidence: float
) -> dict[str, Any]:
    """What the safeguards do on test rows, as JSON values.

    Args:
        safeguards: of the registered model.
        probabilities: the model's own, of the test rows, ``(n_rows, n_classes)``.
        truth: index of each test row's class.
        encoded: the test rows, encoded.
        confidence: of the intervals.

    Returns:
        ``method``; ``n_rows``: test rows; ``before`` and ``after`` calibration: ``ece``, ``brier``, ``log_loss`` and
        ``bins``; ``abstaining``: accuracy by share of rows answered; ``conformal``, ``abstain`` and ``novelty`` or
        None: shares of test rows with Wilson intervals, and the mean size of sets with a t interval.
    """
    after = safeguards.calibrated(probabilities)
    return {
        "method": "none" if safeguards.calibration is None else safeguards.calibration.method,
        "n_rows": len(truth),
        "confidence": confidence,
        "rows": dict(safeguards.facts),
        "before": _reliability(truth, probabilities),
        "after": _reliability(truth, after),
        "abstaining": abstaining_curve(truth, after),
        "conformal": _conformal(safeguards, truth, after, confidence),
        "abstain": _abstain(safeguards, truth, after, confidence),
        "novelty": _novelty(safeguards, encoded, confidence),
    }


def _reliability(truth: Labels, probabilities: Floats) -> dict[str, Any]:
    return {
        "ece": calibration_error(truth, probabilities),
        "brier": brier_score(truth, probabilities),
        "log_loss": log_loss(truth, probabilities),
        "bins": reliability_bins(truth, probabilities),
    }


def _share(found: NDArray[np.bool_], confidence: float) -> dict[str, Any]:
    low, high = wilson_interval(int(found.sum()), len(found), confidence)
    return {"share": float(found.mean()), "low": low, "high": high}


def _conformal(safeguards: Safeguards, truth: Labels, after: Floats, confidence: float) -> Mapping[str, Any] | None:
    if safeguards.sets is None:
        return None
    from scipy.stats import t

    members = safeguards.sets.sets(after)
    sizes = members.sum(axis=1)
    n = len(sizes)
    reach = float(t.ppf(0.5 + confidence / 2, n - 1) * sizes.std(ddof=1) / math.sqrt(n)) if n > 1 else math.inf
    mean = float(sizes.mean())
    return {
        **safeguards.sets.to_dict(),
        "covered": _share(members[np.arange(n), truth], confidence),
        "mean_size": {"mean": mean, "low": max(1.0, mean - reach), "high": min(members.shape[1], mean + reach)},
        "single": _share(sizes == 1, confidence),
    }


def _abstain(safeguards: Safeguards, truth: Labels, after: Floats, confidence: float) -> Mapping[str, Any] | None:
    rule = safeguards.abstain
    if rule is None:
        return None
    kept = after.max(axis=1) >= rule.below
    if rule.by == "set" and safeguards.sets is not None:
        kept = safeguards.sets.sets(after).sum(axis=1) == 1
    right = after.argmax(axis=1) == truth
    accuracy = None if not kept.any() else _share(right[kept], confidence)
    return {**rule.to_dict(), "answered": _share(kept, confidence), "accuracy": accuracy}


def _novelty(safeguards: Safeguards, encoded: Floats, confidence: float) -> Mapping[str, Any] | None:
    score = safeguards.novelty
    if score is None:
        return None
    novel = score.scores(encoded) > score.threshold
    return {"threshold": score.threshold, "expected_share": score.expected_share, "novel": _share(novel, confidence)}
