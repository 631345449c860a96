"""Support vector machines on Gram matrices, one class against the rest, chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.svm import SVC

from superpose.learning.folds import stratified_folds

__all__ = ["Choice", "KernelMachine", "best_temperature", "choose", "fit_machine"]

Matrix = NDArray[np.float64]
Codes = NDArray[np.integer]
Key = TypeVar("Key")

PENALTIES = (0.1, 1.0, 10.0, 100.0)
"""Values of C that cross-validation compares."""


@dataclass(frozen=True)
class Choice(Generic[Key]):
    """What cross-validation chose.

    Attributes:
        key: of the Gram matrix.
        penalty: the support vector machine's C.
        temperature: factor from decision values to scores whose softmax are probabilities, above 0.
        accuracy: mean over the folds; NaN where the rows are too few for folds.
    """

    key: Key
    penalty: float
    temperature: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class KernelMachine:
    """Decision values ``gram @ weights + bias``.

    Attributes:
        support: places of the rows with weights, ``(n_support,)``.
        weights: ``(n_support, n_classes)``.
        bias: ``(n_classes,)``.
    """

    support: NDArray[np.integer]
    weights: Matrix
    bias: Matrix


def fit_machine(gram: Matrix, codes: Codes, n_classes: int, penalty: float) -> KernelMachine:
    """One class against the rest, each a support vector machine; two classes share one.

    Args:
        gram: ``(n_rows, n_rows)``.
        codes: index of each row's class, ``(n_rows,)``.
        n_classes: number of classes; one without rows has decision value -1.
        penalty: C.
    """
    weights, bias = np.zeros((len(codes), n_classes)), np.full(n_classes, -1.0)
    for label in [1] if n_classes == 2 else range(n_classes):
        is_it = codes == label
        if is_it.all():
            bias[label] = 1.0
        elif is_it.any():
            machine = SVC(kernel="precomputed", C=penalty).fit(gram, is_it)
            weights[machine.support_, label] = machine.dual_coef_[0]
            bias[label] = machine.intercept_[0]
    if n_classes == 2:
        weights[:, 0], bias[0] = -weights[:, 1], -bias[1]
    support = np.flatnonzero(np.abs(weights).max(axis=1))
    return KernelMachine(support, weights[support], bias)


def choose(
    candidates: Iterable[tuple[Key, Matrix]],
    codes: Codes,
    n_classes: int,
    *,
    penalties: Sequence[float] = PENALTIES,
    folds: int = 5,
    seed: int = 0,
    groups: Codes | None = None,
) -> Choice[Key]:
    """The Gram matrix and penalty with the best cross-validated accuracy, the earlier of equals.

    Args:
        candidates: keys with their Gram matrices ``(n_rows, n_rows)``, from the plainest to the most flexible.
        codes: index of each row's class, ``(n_rows,)``.
        n_classes: number of classes.
        penalties: values of C, ascending.
        folds: at most this many; fewer where a class has fewer rows, or groups. Where there are none nothing is
            compared: the middle candidate and penalty are taken.
        seed: of the folds.
        groups: which rows belong together and are in one fold, any integers ``(n_rows,)``; None if none do.

    Cost: per candidate ``len(penalties) * folds`` support vector machines per class.
    """
    every = bool(np.bincount(codes, minlength=n_classes).all())
    parts = stratified_folds(codes, at_most=folds, seed=seed, groups=groups) if every else []
    if not parts:
        keys = [key for key, _ in candidates]
        return Choice(keys[len(keys) // 2], penalties[len(penalties) // 2], 1.0, float("nan"))
    best: tuple[float, Key, float, Matrix] | None = None
    for key, gram in candidates:
        for penalty in penalties:
            decisions = _out_of_fold(gram, codes, n_classes, penalty, parts)
            accuracy = float((decisions.argmax(axis=1) == codes).mean())
            if best is None or accuracy > best[0] + 1e-9:
                best = accuracy, key, penalty, decisions
    if best is None:
        raise ValueError("there must be a Gram matrix and a penalty to choose")
    accuracy, key, penalty, decisions = best
    return Choice(key, penalty, best_temperature(decisions, codes), accuracy)


def _out_of_fold(
    gram: Matrix, codes: Codes, n_classes: int, penalty: float, parts: Sequence[tuple[Any, Any]]
) -> Matrix:
    """Decision values ``(n_rows, n_classes)`` of machines that did not see the row."""
    decisions = np.empty((len(codes), n_classes))
    for train, test in parts:
        machine = fit_machine(gram[np.ix_(train, train)], codes[train], n_classes, penalty)
        decisions[test] = gram[np.ix_(test, train[machine.support])] @ machine.weights + machine.bias
    return decisions


def best_temperature(decisions: Matrix, codes: Codes) -> float:
    """The factor that makes the softmax of decision values most likely."""

    def loss(exponent: float) -> float:
        scores = decisions * np.exp(exponent)
        return float((np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(codes)), codes]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-5.0, 4.0), method="bounded").x))
