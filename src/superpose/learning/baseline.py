"""Classical baselines: what a practitioner would use instead, tuned inside the training part."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["BASELINES", "BaselineResult", "strongest_classical", "tuned_logistic_regression"]

_STRENGTHS = np.logspace(-3, 3, 9)
_FOLDS = 4

_NEWTON_PARAMETERS = 300
"""Up to so many parameters the Newton solver, whose cost is cubic in them, is the faster one by 3 to 10 times."""


@dataclass(frozen=True)
class BaselineResult:
    """What the baseline predicts.

    Attributes:
        probabilities: ``(n_test, n_classes)``, columns in the order of the class indices.
        n_params: learnt numbers: weights and intercepts, leaves of trees (of boosted ones their
            largest number), coefficients of support vectors.
        facts: what was chosen, as JSON values.
    """

    probabilities: NDArray[np.float64]
    n_params: int
    facts: Mapping[str, Any]


class _Classifier(Protocol):
    """What scikit-learn's classifiers do."""

    def fit(self, encoded: Any, classes: Any, sample_weight: Any = None) -> Any: ...

    def predict_proba(self, encoded: Any) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class _Candidate:
    """One setting of one family."""

    family: str
    setting: Mapping[str, Any]
    make: Callable[[], _Classifier]


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
    found, best = _tuned(_regressions(encoded, classes), encoded, classes, class_weights, seed)
    return BaselineResult(
        probabilities=np.asarray(found.predict_proba(test), dtype=np.float64),
        n_params=_n_params(best.family, found),
        facts={"inverse_regularisation": best.setting["C"]},
    )


def strongest_classical(
    encoded: NDArray[np.float64],
    classes: NDArray[np.integer],
    test: NDArray[np.float64],
    *,
    class_weights: NDArray[np.float64] | None,
    seed: int,
) -> BaselineResult:
    """Of four families, 4 settings each, fit the one of lowest cross-validated log loss, and predict the test part.

    Logistic regression, gradient boosted trees, random forests, and support vectors with a Gaussian kernel and
    probabilities by Platt's method, all of scikit-learn; equal numbers of settings, the same folds.

    Args:
        encoded, classes, test, class_weights, seed: as for `tuned_logistic_regression`.

    Cost: 65 fits; some 15 to 45 s for 500 rows of 30 columns.
    """
    candidates = [
        *_regressions(encoded, classes)[1::2],
        *_boosted(seed),
        *_forests(seed),
        *_support_vectors(seed),
    ]
    found, best = _tuned(candidates, encoded, classes, class_weights, seed)
    return BaselineResult(
        probabilities=np.asarray(found.predict_proba(test), dtype=np.float64),
        n_params=_n_params(best.family, found),
        facts={"family": best.family, "setting": dict(best.setting)},
    )


def _regressions(encoded: NDArray[np.float64], classes: NDArray[np.integer]) -> list[_Candidate]:
    from sklearn.linear_model import LogisticRegression

    few = encoded.shape[1] * len(np.unique(classes)) <= _NEWTON_PARAMETERS
    solver = "newton-cholesky" if few else "lbfgs"

    def make(strength: float) -> Callable[[], _Classifier]:
        return lambda: LogisticRegression(C=strength, max_iter=1000, tol=1e-5, solver=solver)

    return [_Candidate("logistic_regression", {"C": float(c)}, make(float(c))) for c in _STRENGTHS]


def _boosted(seed: int) -> list[_Candidate]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    def make(rate: float, leaves: int) -> Callable[[], _Classifier]:
        return lambda: HistGradientBoostingClassifier(
            learning_rate=rate, max_leaf_nodes=leaves, max_iter=100, early_stopping=False, random_state=seed
        )

    settings = [(rate, leaves) for rate in (0.03, 0.1) for leaves in (4, 15)]
    return [_Candidate("gradient_boosting", {"learning_rate": r, "max_leaf_nodes": n}, make(r, n)) for r, n in settings]


def _forests(seed: int) -> list[_Candidate]:
    from sklearn.ensemble import RandomForestClassifier

    def make(features: float | str, leaf: int) -> Callable[[], _Classifier]:
        return lambda: RandomForestClassifier(
            n_estimators=100, max_features=features, min_samples_leaf=leaf, random_state=seed
        )

    settings = [(features, leaf) for features in ("sqrt", 0.5) for leaf in (1, 4)]
    return [_Candidate("random_forest", {"max_features": f, "min_samples_leaf": n}, make(f, n)) for f, n in settings]


def _support_vectors(seed: int) -> list[_Candidate]:
    from sklearn.svm import SVC

    def make(strength: float, width: float) -> Callable[[], _Classifier]:
        return lambda: SVC(C=strength, gamma=width, probability=True, random_state=seed)

    settings = [(c, g) for c in (1.0, 10.0) for g in (0.005, 0.05)]
    return [_Candidate("support_vectors", {"C": c, "gamma": g}, make(c, g)) for c, g in settings]


def _tuned(
    candidates: Sequence[_Candidate],
    encoded: NDArray[np.float64],
    classes: NDArray[np.integer],
    class_weights: NDArray[np.float64] | None,
    seed: int,
) -> tuple[_Classifier, _Candidate]:
    """The best candidate, fitted on all rows."""
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold

    labels = np.unique(classes)
    weights = None if class_weights is None else np.asarray(class_weights)[classes]

    def fitted(candidate: _Candidate, rows: NDArray[np.intp] | slice) -> _Classifier:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converging at C=1e3 on separable data is a loss that tuning sees
            made = candidate.make()
            made.fit(encoded[rows], classes[rows], sample_weight=None if weights is None else weights[rows])
            return made

    n_folds = min(_FOLDS, int(np.bincount(classes)[labels].min()))
    best = next((c for c in candidates if c.setting.get("C") == 1.0), candidates[0])
    if n_folds >= 2:
        folds = list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(encoded, classes))
        losses = [
            sum(
                log_loss(classes[out], fitted(candidate, rows).predict_proba(encoded[out]), labels=labels)
                for rows, out in folds
            )
            for candidate in candidates
        ]
        best = candidates[int(np.argmin(losses))]
    return fitted(best, slice(None)), best


def _n_params(family: str, model: Any) -> int:
    """Numbers that were learnt."""
    if family == "logistic_regression":
        return int(model.coef_.size + model.intercept_.size)
    if family == "random_forest":
        return int(sum(tree.get_n_leaves() for tree in model.estimators_))
    if family == "support_vectors":
        return int(model.dual_coef_.size + model.intercept_.size)
    return int(model.n_iter_ * model.n_trees_per_iteration_ * model.max_leaf_nodes)


BASELINES: Mapping[str, Callable[..., BaselineResult]] = {
    "logistic_regression": tuned_logistic_regression,
    "strongest": strongest_classical,
}
"""The baselines that a spec can ask for."""
