"""A trained model beside another, or beside what is in use, on the same labelled rows: which does better there, and
how many rows would tell.

Nothing is fitted to the rows. A difference is decided by McNemar's exact test of the rows that one model alone gets
right (of numbers by the interval of the difference of absolute errors). "Equal" needs the interval of two one-sided
tests (90 % where others are 95 %) to lie within a margin, and as many rows as could show that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from superpose.errors import ModelPredictsNumbersError, SpecError
from superpose.learning.areas import auc_difference
from superpose.learning.labelled import LabelledRows, check_columns, labelled_rows, positive_place
from superpose.learning.metrics import area_under_curve
from superpose.learning.paired_words import paired_summary
from superpose.learning.rows import category_text
from superpose.learning.shares import (
    difference_of_paired_shares,
    effect_of_groups,
    interval_of_mean,
    paired_shares_are_near,
)
from superpose.learning.verdicts.cases import (
    PairedCases,
    cases_to_call_equal,
    cases_to_decide,
    groups_to_decide,
    mcnemar,
    mcnemar_of_groups,
)

if TYPE_CHECKING:
    import pandas as pd

    from superpose.learning.predictor import Predictor

__all__ = ["MARGIN", "paired_validation"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

MARGIN: Final = 0.02
"""Shares of right answers that differ by less are equal for practical purposes."""


def paired_validation(  # noqa: PLR0913  # two models, the rows, and what is to be known of them
    first: Predictor,
    second: Predictor | str,
    rows: pd.DataFrame,
    *,
    names: tuple[str, str] = ("the first model", "the second model"),
    target: str | None = None,
    labels: Mapping[str, str] | None = None,
    groups: str | None = None,
    confidence: float = 0.95,
    margin: float = MARGIN,
) -> dict[str, Any]:
    """How a model differs from another, or from answers that stand beside the rows, as JSON values.

    >>> paired_validation(Predictor.load("new.superpose"), Predictor.load("old.superpose"), frame)  # doctest: +SKIP

    Args:
        first, second: the models, as they answer: calibrated, if they are. Their classes must be the same, in any
            order; columns may differ, and the rows have those of both. A text in place of the second names a column
            with the answers of what is in use, such as a reader's: labels as the truth has them, or numbers. Rows
            without one are left out.
        rows: columns of both models and that of the truth, ``(n_rows, n_columns)``.
        names: what sentences call the two.
        target, labels, groups, confidence: as for `superpose.learning.external_validation.external_validation`; the
            column of the truth is by default the first model's.
        margin: of shares of right answers, within which the models may be called equal; of numbers it is a share of the
            second model's mean absolute error.

    Returns:
        ``first``, ``second``: the names; ``n_rows``, ``n_without_answer``, ``n_groups`` or None, ``confidence``,
        ``margin``; ``metrics``: of each ``first``, ``second``, ``difference`` (first less second), ``low`` and
        ``high``, None where the rows do not tell (of answers in a column neither AUC nor Brier score); ``said``:
        whether the first is "better", "worse", "equal" or "undecided", by accuracy, or by mean absolute error;
        ``summary``: sentences made of the figures. Of classes also ``only_first_right``, ``only_second_right``, ``p``,
        and rows, or groups, that would be needed: ``to_decide`` a difference of this size, None where there is none,
        and ``to_call_equal`` models that are.

    Raises:
        DatasetTargetError, FeatureMismatchError, DatasetFormatError: as for ``external_validation``.
        SpecError: the same; a margin that is none; classes that are not the same; a column without answers.
        ModelPredictsNumbersError: one predicts numbers and the other classes.

    Cost: one prediction of each row by each model.

    Source: McNemar's exact test, of groups Obuchowski's (see `superpose.learning.verdicts.cases`); Newcombe's intervals
    of paired shares; DeLong's of two areas (`superpose.learning.areas.auc_difference`); Student's of mean differences.
    """
    if not 0.0 < confidence < 1.0:
        raise SpecError(f"must lie between 0 and 1, got {confidence!r}", "confidence")
    if not 0.0 < margin < 1.0:
        raise SpecError(f"must lie between 0 and 1, got {margin!r}", "margin")
    if isinstance(second, str):
        kept = _answered(rows, second)
    else:
        kept = rows
        _check_alike(first, second, names)
    labelled = labelled_rows(first, kept, target=target, labels=labels, groups=groups)
    found: dict[str, Any] = {
        "first": names[0],
        "second": names[1],
        "n_rows": len(labelled.frame),
        "n_without_answer": len(rows) - len(kept),
        "n_groups": None if labelled.members is None else len(np.unique(labelled.members)),
        "confidence": confidence,
        "margin": margin,
    }
    other = _said_by(second, first, labelled, labels)
    if first.predicts_numbers:
        own = first.numbers_encoded(_encoded(first, labelled.frame))
        found |= _of_numbers(own, other, labelled, confidence, margin)
    else:
        cases = PairedCases(
            labelled.truth.astype(np.int64), _probabilities(first, labelled.frame), other, labelled.members
        )
        found |= _of_classes(cases, positive_place(first), confidence, margin, has_scores=not isinstance(second, str))
    return found | {"summary": paired_summary(found)}


def _answered(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows that have an answer in a column.

    Raises:
        SpecError: there is no such column, or no answer in it.
        DatasetFormatError: a column's name repeats.
    """
    check_columns(rows, [column], "against")
    kept = rows.loc[[category_text(value) is not None for value in rows[column].tolist()]]
    if not len(kept):
        raise SpecError(f"column {column!r} has no answer in any row", "against", column=column)
    return kept


def _check_alike(first: Predictor, second: Predictor, names: tuple[str, str]) -> None:
    """Refuse models that do not predict the same.

    Raises:
        ModelPredictsNumbersError: one predicts a number and the other classes.
        SpecError: their classes are not the same.
    """
    if first.predicts_numbers != second.predicts_numbers:
        kinds = ["a number" if one.predicts_numbers else "classes" for one in (first, second)]
        raise ModelPredictsNumbersError(
            f"{names[0]} predicts {kinds[0]}, {names[1]} {kinds[1]}; two models are held against each other that "
            "predict the same."
        )
    if first.predicts_numbers:
        return
    own, other = ([str(label) for label in one.classes] for one in (first, second))
    if sorted(own) != sorted(other):
        raise SpecError(
            f"{names[0]} knows {', '.join(own[:10])}, {names[1]} {', '.join(other[:10])}; models that are held "
            "against each other must know the same classes",
            "against",
        )


def _said_by(
    second: Predictor | str, first: Predictor, labelled: LabelledRows, labels: Mapping[str, str] | None
) -> Floats:
    """What the second answers: numbers ``(n_rows,)``, or probabilities in the order of the first's classes, of a column
    ones and zeros ``(n_rows, n_classes)``.
    """
    if isinstance(second, str):
        answers = labelled_rows(first, labelled.frame, target=second, labels=labels).truth
        return answers if first.predicts_numbers else np.eye(len(first.classes))[answers.astype(np.int64)]
    if first.predicts_numbers:
        return second.numbers_encoded(_encoded(second, labelled.frame))
    others = [str(label) for label in second.classes]
    return _probabilities(second, labelled.frame)[:, [others.index(str(label)) for label in first.classes]]


def _encoded(predictor: Predictor, rows: pd.DataFrame) -> Floats:
    return predictor.encode_counting(rows[[name for name in predictor.feature_names if name in rows.columns]])[0]


def _probabilities(predictor: Predictor, rows: pd.DataFrame) -> Floats:
    return predictor.safeguards.calibrated(predictor.model.probabilities(_encoded(predictor, rows)))


def _figure(first: float, second: float, ends: tuple[float | None, float | None]) -> dict[str, float | None]:
    values = {"first": first, "second": second, "difference": first - second, "low": ends[0], "high": ends[1]}
    return {name: None if value is None or not math.isfinite(value) else value for name, value in values.items()}


def _of_numbers(
    said: Floats, other_said: Floats, labelled: LabelledRows, confidence: float, margin: float
) -> dict[str, Any]:
    """Absolute errors of both."""
    errors = [np.abs(one - labelled.truth) for one in (said, other_said)]
    own, other = (float(np.mean(one)) for one in errors)
    more = errors[0] - errors[1]
    low, high = interval_of_mean(more, confidence, labelled.members)
    outcome = "better" if high < 0.0 else "worse" if low > 0.0 else "undecided"
    narrower = interval_of_mean(more, _one_sided(confidence), labelled.members)
    if outcome == "undecided" and high > low and _within(narrower, margin * other):
        outcome = "equal"
    return {"metrics": {"mae": _figure(own, other, (low, high))}, "said": outcome}


def _one_sided(confidence: float) -> float:
    """The confidence of an interval that two one-sided tests come to, each as sure as the two-sided test."""
    return max(2.0 * confidence - 1.0, 0.5)


def _within(ends: tuple[float, float], margin: float) -> bool:
    return max(-ends[0], ends[1]) < margin


def _of_classes(
    cases: PairedCases, positive: int, confidence: float, margin: float, *, has_scores: bool
) -> dict[str, Any]:
    """Answers of both, and probabilities where the second has any."""
    truth, members = cases.truth, cases.groups
    decided = _decided(cases, confidence, margin)
    right, other_right = (one.argmax(axis=1) == truth for one in (cases.hybrid, cases.other))
    difference, *ends = difference_of_paired_shares(right, other_right, _one_sided(confidence), members)
    near = paired_shares_are_near(right, other_right, margin, min(1.0 - confidence, 0.25), members)
    n_independent = len(truth) if members is None else len(np.unique(members))
    said = "undecided"
    if decided["p"] < 1.0 - confidence:
        said = "better" if difference > 0.0 else "worse"
    elif near and _within((ends[0], ends[1]), margin) and n_independent >= decided["to_call_equal"]:
        said = "equal"
    return {"metrics": _metrics(cases, positive, confidence, has_scores=has_scores), **decided, "said": said}


def _metrics(cases: PairedCases, positive: int, confidence: float, *, has_scores: bool) -> dict[str, Any]:
    """Each metric of both, and the difference with its interval."""
    truth, members = cases.truth, cases.groups
    answered = [one.argmax(axis=1) for one in (cases.hybrid, cases.other)]

    def shares(right: list[NDArray[np.bool_]], of: NDArray[np.bool_]) -> dict[str, float | None]:
        if not of.any():
            return _figure(math.nan, math.nan, (None, None))
        own, other = (one[of] for one in right)
        _, low, high = difference_of_paired_shares(own, other, confidence, None if members is None else members[of])
        return _figure(float(np.mean(own)), float(np.mean(other)), (low, high))

    everyone = np.ones(len(truth), dtype=bool)
    found = {"accuracy": shares([one == truth for one in answered], everyone)}
    if cases.hybrid.shape[1] == 2:
        ill = truth == positive
        if has_scores:
            found["auc"] = _areas(cases, ill, positive, confidence)
        found["sensitivity"] = shares([one == positive for one in answered], ill)
        found["specificity"] = shares([one != positive for one in answered], ~ill)
    if not has_scores:
        return found
    target = np.eye(cases.hybrid.shape[1])[truth]
    losses = [0.5 * np.sum((one - target) ** 2, axis=1) for one in (cases.hybrid, cases.other)]
    ends = interval_of_mean(losses[0] - losses[1], confidence, members)
    found["brier"] = _figure(float(np.mean(losses[0])), float(np.mean(losses[1])), ends)
    return found


def _areas(cases: PairedCases, ill: NDArray[np.bool_], positive: int, confidence: float) -> dict[str, float | None]:
    """The AUC of both; an interval of the difference where each class has two cases, or groups, at least."""
    members = np.arange(len(ill)) if cases.groups is None else cases.groups
    areas = [area_under_curve(cases.truth, one, positive) for one in (cases.hybrid, cases.other)]
    if min(len(np.unique(members[ill])), len(np.unique(members[~ill]))) < 2:
        return _figure(areas[0], areas[1], (None, None))
    sides = [(-one[ill, positive], -one[~ill, positive]) for one in (cases.hybrid, cases.other)]
    together = None if cases.groups is None else (members[ill], members[~ill])
    _, low, high = auc_difference(sides[0], sides[1], confidence, together)
    return _figure(areas[0], areas[1], (low, high))


def _decided(cases: PairedCases, confidence: float, margin: float) -> dict[str, Any]:
    """McNemar's test, and the rows or groups that would be needed."""
    only_first, only_second, of_groups = cases.only_hybrid_right, cases.only_other_right, cases.of_groups
    n_cases, allowed, members = len(cases.truth), 1.0 - confidence, cases.groups
    if of_groups is None or members is None:
        p_value, to_decide = (
            mcnemar(only_first, only_second),
            cases_to_decide(only_first, only_second, n_cases, allowed),
        )
        to_call_equal = cases_to_call_equal((only_first + only_second) / n_cases, margin, allowed)
    else:
        p_value = mcnemar_of_groups(of_groups)
        to_decide = groups_to_decide(of_groups, allowed)
        right, other_right = (one.argmax(axis=1) == cases.truth for one in (cases.hybrid, cases.other))
        effect = effect_of_groups(right, other_right, members)
        n_equal = cases_to_call_equal((only_first + only_second) / n_cases, margin, allowed)
        to_call_equal = math.ceil(n_equal * effect * len(of_groups) / n_cases)
    return {
        "only_first_right": only_first,
        "only_second_right": only_second,
        "p": p_value,
        "to_decide": to_decide,
        "to_call_equal": to_call_equal,
    }
