"""The strong classical baseline: logistic regression, its regularisation tuned inside the training part."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BaselineResult", "tuned_logistic_regression"]

_STRENGTHS = np.logspace(-3, 3, 9)
_FOLDS = 4

_NEWTON_PARAMETERS = 300
"""Up to so many parameters the Newton solver, whose cost is cubic in them, is the faster one by 3 to 10 times."""


@dataclass(frozen=True)
class BaselineResult:
    """What the baseline predicts.

    Attributes:
        probabilities: ``(n_test, n_classes)``, columns in the order of the class indices.
        n_params: weights and intercepts.
        inverse_regularisation: the C that cross validation chose.
    """

    probabilities: NDArray[np.float64]
    n_params: int
    inverse_regularisation: float


def tuned_logistic_regression(
    encoded: NDArray[np.float64],
    classes: NDArray[np.integer],
    test: NDArray[np.float64],
    *,
    class_weights: NDArray[np.float64] | None,
    seed: int,
) -> BaselineResult:
    """Fit on the training part with the C of lowest cross-validated log loss, and predict the test part.

    C is chosen from 9 values between 1e-3 and 1e3 by stratified folds, at most 4 and no more than the rarest class
    has rows.

    Args:
        encoded: ``(n_train, n_columns)``; training and validation rows together, since folds take validation's place.
        classes: class indices ``(n_train,)``, each class at least once.
        test: ``(n_test, n_columns)``.
        class_weights: weight of each class by its index, ``(n_classes,)``; None weighs all alike.
        seed: shuffles the folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold

    labels = np.unique(classes)
    solver = "newton-cholesky" if encoded.shape[1] * len(labels) <= _NEWTON_PARAMETERS else "lbfgs"

    weight = None if class_weights is None else {int(label): float(class_weights[label]) for label in labels}

    def fitted(strength: float, rows: NDArray[np.intp] | slice) -> LogisticRegression:
        model = LogisticRegression(C=strength, class_weight=weight, max_iter=1000, tol=1e-5, solver=solver)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converging at C=1e3 on separable data is a loss that tuning sees
            return model.fit(encoded[rows], classes[rows])

    n_folds = min(_FOLDS, int(np.bincount(classes)[labels].min()))
    best = 1.0
    if n_folds >= 2:
        folds = list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(encoded, classes))
        losses = [
            sum(
                log_loss(classes[out], fitted(c, rows).predict_proba(encoded[out]), labels=labels)
                for rows, out in folds
            )
            for c in _STRENGTHS
        ]
        best = float(_STRENGTHS[int(np.argmin(losses))])
    model = fitted(best, slice(None))
    return BaselineResult(
        probabilities=np.asarray(model.predict_proba(test), dtype=np.float64),
        n_params=int(model.coef_.size + model.intercept_.size),
        inverse_regularisation=best,
    )
