"""Classical baselines: what a practitioner would use instead, tuned inside the training part."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from superpose.learning.folds import Fold, stratified_folds

__all__ = ["BASELINES", "MOST_SETTINGS", "BaselineResult", "strongest_classical", "tuned_logistic_regression"]

_STRENGTHS = tuple(float(strength) for strength in np.logspace(-3, 3, 9))
"""The values of C that are tried."""

_LIKELY_STRENGTHS = tuple(_STRENGTHS[place] for place in (4, 2, 6, 1))
_FOLDS = 4
_PLATTS_FOLDS = 5

_FINALISTS = 4
"""So many settings are measured on all folds; the first fold shows which."""

_FEW_ROWS = 500
"""With fewer rows a class trees get half the settings: the noise of the folds is larger than what they would gain."""

_SEARCHED_ROWS = 4_000
"""Settings are compared on at most so many rows; the one chosen is fitted on all."""

_ROWS_OF_SUPPORT_VECTORS = 10_000
"""Above so many rows support vectors, whose cost grows with their square, are left out."""

_ROWS_OF_A_TREE = 20_000
"""A tree of a forest draws at most so many rows."""

_TREES, _TREES_IN_SEARCH = 100, 40

_DOUBT = 0.01
"""Share of the uniform distribution that is mixed into probabilities before losses of different families are compared:
of a forest's zeros and ones a plain loss would see nothing else."""

_NEWTON_PARAMETERS = 300
"""Up to so many parameters the Newton solver, whose cost is cubic in them, is the faster one by 3 to 10 times."""

MOST_SETTINGS = 16
"""A budget of settings is at most this."""


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
    """One setting of one family; ``make`` is told whether the model is the final one or one of the search."""

    family: str
    setting: Mapping[str, Any]
    make: Callable[[bool], _Classifier]


def tuned_logistic_regression(
    encoded: NDArray[np.float64],
    classes: NDArray[np.integer],
    test: NDArray[np.float64],
    *,
    class_weights: NDArray[np.float64] | None,
    seed: int,
    n_settings: int | None = None,
    groups: NDArray[np.integer] | None = None,
) -> BaselineResult:
    """Fit on the training part with the C of lowest cross-validated log loss, and predict the test part.

    C is chosen from 9 values between 1e-3 and 1e3 by stratified folds, at most 4 and no more than the rarest class
    has rows, or is in groups. Folds of rows would measure each setting on patients that it was fitted on.

    Args:
        encoded: ``(n_train, n_columns)``; training and validation rows together, since folds take validation's place.
        classes: class indices ``(n_train,)``, each class at least once.
        test: ``(n_test, n_columns)``.
        class_weights: weight of each class by its index, ``(n_classes,)``; None weighs all alike.
        seed: shuffles the folds.
        n_settings: so many values of C between 1e-3 and 1e3 instead, at most `MOST_SETTINGS`; 1 is C = 1.
        groups: which training rows belong together and are in one fold, any integers ``(n_train,)``; None if none do.
    """
    candidates = _regressions(encoded, classes, _STRENGTHS if n_settings is None else _strengths(n_settings))
    rows = _Rows(encoded, classes, class_weights, groups, seed)
    found, best, folds = _tuned(candidates, rows, finalists=len(candidates), doubt=0.0)
    return BaselineResult(
        probabilities=np.asarray(found.predict_proba(test), dtype=np.float64),
        n_params=_n_params(best.family, found),
        facts={"inverse_regularisation": best.setting["C"], "n_settings": len(candidates), "folds": folds},
    )


def strongest_classical(
    encoded: NDArray[np.float64],
    classes: NDArray[np.integer],
    test: NDArray[np.float64],
    *,
    class_weights: NDArray[np.float64] | None,
    seed: int,
    n_settings: int | None = None,
    groups: NDArray[np.integer] | None = None,
) -> BaselineResult:
    """Of four families fit the setting of lowest cross-validated log loss, and predict the test part.

    Logistic regression, gradient boosted trees, random forests, and support vectors with a Gaussian kernel and
    probabilities by Platt's method, all of scikit-learn, on the same folds. Every setting is measured on the first
    fold, the best 4 on all of them. A mistake made for certain is not to decide alone, so losses are those of
    probabilities with 1 % of the uniform distribution mixed in.

    From 500 rows a class on each family has 4 settings, below trees have 2. Settings are compared on at most 4,000
    rows, drawn in proportion to the classes; above 10,000 rows support vectors, whose cost grows with the square, are
    left out.

    Args:
        encoded, classes, test, class_weights, seed, groups: as for `tuned_logistic_regression`; Platt's folds keep
            groups together too.
        n_settings: so many settings instead, the families in turn, at most `MOST_SETTINGS`.

    Cost: 25 to 29 fits; see docs/learning.md for what they take.
    """
    n_classes = len(np.unique(classes))
    families = _families(
        encoded,
        classes,
        seed,
        grouped=groups is not None,
        few=n_settings is None and len(classes) < _FEW_ROWS * n_classes,
    )
    in_turn = [family[place] for place in range(4) for family in families if place < len(family)]
    candidates = in_turn[:n_settings]
    rows = _Rows(encoded, classes, class_weights, groups, seed)
    found, best, folds = _tuned(candidates, rows, finalists=_FINALISTS, doubt=_DOUBT)
    return BaselineResult(
        probabilities=np.asarray(found.predict_proba(test), dtype=np.float64),
        n_params=_n_params(best.family, found),
        facts={"family": best.family, "setting": dict(best.setting), "n_settings": len(candidates), "folds": folds},
    )


def _families(
    encoded: NDArray[np.float64], classes: NDArray[np.integer], seed: int, *, few: bool, grouped: bool
) -> list[list[_Candidate]]:
    """The settings of each family, the likeliest first."""
    n_rows = len(classes)
    trees = [_boosted(seed), _forests(seed, n_rows)]
    found = [_regressions(encoded, classes, _LIKELY_STRENGTHS), *(t[:2] if few else t for t in trees)]
    return found if n_rows > _ROWS_OF_SUPPORT_VECTORS else [*found, _support_vectors(seed, grouped)]


def _regressions(
    encoded: NDArray[np.float64], classes: NDArray[np.integer], strengths: Sequence[float]
) -> list[_Candidate]:
    from sklearn.linear_model import LogisticRegression

    few = encoded.shape[1] * len(np.unique(classes)) <= _NEWTON_PARAMETERS
    solver = "newton-cholesky" if few else "lbfgs"

    def make(strength: float) -> Callable[[bool], _Classifier]:
        return lambda final: LogisticRegression(C=strength, max_iter=1000, tol=1e-5, solver=solver)

    return [_Candidate("logistic_regression", {"C": c}, make(c)) for c in strengths]


def _strengths(number: int) -> Sequence[float]:
    """So many values of C."""
    return (1.0,) if number == 1 else [float(strength) for strength in np.logspace(-3, 3, number)]


def _boosted(seed: int) -> list[_Candidate]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    def make(iterations: int, leaves: int) -> Callable[[bool], _Classifier]:
        return lambda final: HistGradientBoostingClassifier(
            max_iter=iterations, max_leaf_nodes=leaves, early_stopping=False, random_state=seed
        )

    settings = [(30, 4), (100, 4), (30, 15), (100, 15)]
    return [_Candidate("gradient_boosting", {"max_iter": i, "max_leaf_nodes": n}, make(i, n)) for i, n in settings]


def _forests(seed: int, n_rows: int) -> list[_Candidate]:
    from sklearn.ensemble import RandomForestClassifier

    def make(features: float | str, leaf: int) -> Callable[[bool], _Classifier]:
        return lambda final: RandomForestClassifier(
            n_estimators=_TREES if final else _TREES_IN_SEARCH,
            max_features=features,
            min_samples_leaf=leaf,
            max_samples=_ROWS_OF_A_TREE if final and n_rows > _ROWS_OF_A_TREE else None,
            random_state=seed,
        )

    settings: list[tuple[float | str, int]] = [("sqrt", 1), ("sqrt", 4), (0.5, 1), (0.5, 4)]
    return [_Candidate("random_forest", {"max_features": f, "min_samples_leaf": n}, make(f, n)) for f, n in settings]


def _support_vectors(seed: int, grouped: bool) -> list[_Candidate]:
    from sklearn.svm import SVC

    def make(strength: float, width: float) -> Callable[[bool], _Classifier]:
        return lambda final: SVC(C=strength, gamma=width, probability=not grouped, random_state=seed)

    settings = [(1.0, 0.05), (10.0, 0.05), (10.0, 0.005), (1.0, 0.005)]
    return [_Candidate("support_vectors", {"C": c, "gamma": g}, make(c, g)) for c, g in settings]


@dataclass(frozen=True, eq=False)
class _Rows:
    """What a baseline is fitted on."""

    encoded: NDArray[np.float64]
    classes: NDArray[np.integer]
    class_weights: NDArray[np.float64] | None
    groups: NDArray[np.integer] | None
    seed: int

    def fit(self, model: Any, rows: NDArray[np.intp]) -> _Classifier:
        """The model, fitted on some rows; support vectors without probabilities get them by Platt's method, from folds
        of groups.
        """
        from sklearn.calibration import CalibratedClassifierCV

        classes = self.classes[rows]
        if self.groups is not None and not hasattr(model, "predict_proba"):
            folds = stratified_folds(classes, at_most=_PLATTS_FOLDS, seed=self.seed, groups=self.groups[rows])
            model = (
                CalibratedClassifierCV(model, method="sigmoid", cv=folds, ensemble=False)
                if folds
                else model.set_params(probability=True)  # too few groups: Platt's folds are of rows
            )
        weights = None if self.class_weights is None else np.asarray(self.class_weights)[classes]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converging at C=1e3 on separable data is a loss that tuning sees
            model.fit(self.encoded[rows], classes, sample_weight=weights)
        fitted: _Classifier = model
        return fitted

    def searched(self) -> list[Fold]:
        """Rows to fit and rows to measure, of each fold, over at most `_SEARCHED_ROWS` rows; empty without folds."""
        places: NDArray[np.intp] = np.arange(len(self.classes))
        if len(self.classes) > _SEARCHED_ROWS:
            places = _drawn(self.classes, _FOLDS, self.seed)
        groups = None if self.groups is None else self.groups[places]
        folds = stratified_folds(self.classes[places], at_most=_FOLDS, seed=self.seed, groups=groups)
        return [(places[rows], places[out]) for rows, out in folds]


def _tuned(
    candidates: Sequence[_Candidate], data: _Rows, *, finalists: int, doubt: float
) -> tuple[_Classifier, _Candidate, dict[str, Any]]:
    """The best candidate, fitted on all rows, and what told: how many folds, of "rows" or "groups"."""
    labels = np.unique(data.classes)

    def loss(candidate: _Candidate, rows: NDArray[np.intp], out: NDArray[np.intp]) -> float:
        said = np.asarray(data.fit(candidate.make(False), rows).predict_proba(data.encoded[out]))
        doubted = np.maximum((1.0 - doubt) * said + doubt / len(labels), np.finfo(np.float64).eps)
        return -float(np.log(doubted[np.arange(len(out)), np.searchsorted(labels, data.classes[out])]).mean())

    best = next((c for c in candidates if c.setting.get("C") == 1.0), candidates[0])
    folds = data.searched() if len(candidates) > 1 else []
    if folds:
        (rows, out), *others = folds
        first = np.array([loss(candidate, rows, out) for candidate in candidates])
        left = np.argsort(first, kind="stable")[:finalists]
        losses = [first[i] + sum(loss(candidates[i], rows, out) for rows, out in others) for i in left]
        best = candidates[left[int(np.argmin(losses))]]
    told = {"n": len(folds), "of": "rows" if data.groups is None else "groups"}
    return data.fit(best.make(True), np.arange(len(data.classes))), best, told


def _drawn(classes: NDArray[np.integer], at_least: int, seed: int) -> NDArray[np.intp]:
    """Places of some `_SEARCHED_ROWS` rows, of each class its share, and ``at_least`` so many."""
    rng = np.random.default_rng(seed)
    parts = []
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        size = max(at_least, round(len(members) * _SEARCHED_ROWS / len(classes)))
        parts.append(rng.permutation(members)[:size])
    return np.sort(np.concatenate(parts))


def _n_params(family: str, model: Any) -> int:
    """Numbers that were learnt."""
    if family == "logistic_regression":
        return int(model.coef_.size + model.intercept_.size)
    if family == "random_forest":
        return int(sum(tree.get_n_leaves() for tree in model.estimators_))
    if family == "support_vectors":
        model = model.calibrated_classifiers_[0].estimator if hasattr(model, "calibrated_classifiers_") else model
        return int(model.dual_coef_.size + model.intercept_.size)
    return int(model.n_iter_ * model.n_trees_per_iteration_ * model.max_leaf_nodes)


BASELINES: Mapping[str, Callable[..., BaselineResult]] = {
    "logistic_regression": tuned_logistic_regression,
    "strongest": strongest_classical,
}
"""The baselines that a spec can ask for."""
