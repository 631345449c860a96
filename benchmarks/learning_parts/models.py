"""Who takes part: the families with their default settings, their twins, and classical models that are tuned."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.datasets.generated import LabelledParts
from superpose.learning.families import FAMILIES

__all__ = ["MODELS", "Answer", "ModelChoice"]

_FOLDS = 5
_TUNING_ROWS = 2000
"""Rows that the classical models' hyperparameters are chosen on, at most; they are then fitted on all."""

_LARGEST: Mapping[str, tuple[int, str]] = {
    "circuit_centric": (4, "14 qubits at height 8, 22 at 32, for thousands of steps"),
    "data_reuploading": (16, "takes more than a minute a data set of 1,024 pixels, each an angle of every layer"),
    "strongest": (8, "boosted trees and forests take a minute a data set of 256 pixels"),
}
"""By model, with its twins, the height up to which pictures are tried in the standard size, and why not above it."""


@dataclass(frozen=True)
class Answer:
    """What a model said of the test rows: labels -1 and 1, and what it is told to be."""

    labels: NDArray[np.int64]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class ModelChoice:
    """A contestant.

    Attributes:
        name: in tables.
        kind: "quantum", "separable", "twin" (classical, as many parameters) or "classical" (tuned).
        run: learns and answers; seconds are taken around it.
        needs: "columns", which pictures are too, or "pictures".
    """

    name: str
    kind: str
    run: Callable[[LabelledParts, int], Answer]
    needs: str = "columns"

    def left_out(self, height: int | None, full: bool = False) -> str | None:
        """Why it is not tried on pictures of this height, or on columns (None); None where it is tried.

        Args:
            height: of the pictures, in pixels.
            full: whether it is tried whatever it costs.
        """
        if height is None:
            return "needs pictures" if self.needs == "pictures" else None
        largest, reason = _LARGEST.get(self.name.partition(",")[0], (height, ""))
        return None if full or height <= largest else reason


def _family(name: str, **options: Any) -> Callable[[LabelledParts, int], Answer]:
    def run(parts: LabelledParts, seed: int) -> Answer:
        model = FAMILIES[name].load()(random_state=seed, **options)
        model.fit(parts.train, parts.train_labels)
        return Answer(model.predict(parts.test), {})

    return run


def _searched(make: Callable[[int], Any], grid: Mapping[str, list[Any]]) -> Callable[[LabelledParts, int], Answer]:
    """Scaled columns, hyperparameters by cross-validated accuracy on some training rows, fitted on all of them."""

    def run(parts: LabelledParts, seed: int) -> Answer:
        from sklearn.model_selection import GridSearchCV, StratifiedKFold
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(StandardScaler(), make(seed))
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
        search = GridSearchCV(model, dict(grid), cv=folds, refit=False)
        tuning = np.random.default_rng(seed).permutation(len(parts.train))[:_TUNING_ROWS]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a perceptron that has not converged is a setting that loses
            search.fit(parts.train[tuning], parts.train_labels[tuning])
            model.set_params(**search.best_params_).fit(parts.train, parts.train_labels)
        return Answer(model.predict(parts.test), {"chosen": search.best_params_})

    return run


def _support_vectors(seed: int) -> Any:
    from sklearn.svm import SVC

    return SVC(random_state=seed)


def _perceptron(seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(random_state=seed, max_iter=300, tol=1e-3)


def _regression(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000, random_state=seed)


def _strongest(parts: LabelledParts, seed: int) -> Answer:
    from superpose.learning.baseline import strongest_classical

    mean, spread = parts.train.mean(axis=0), parts.train.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    codes = (parts.train_labels == 1).astype(np.int64)
    found = strongest_classical(
        (parts.train - mean) / scale, codes, (parts.test - mean) / scale, class_weights=None, seed=seed
    )
    return Answer(np.where(found.probabilities[:, 1] > 0.5, 1, -1), {"chosen": found.facts["family"]})


def _models() -> dict[str, ModelChoice]:
    found: dict[str, ModelChoice] = {}

    def add(name: str, kind: str, run: Callable[[LabelledParts, int], Answer], needs: str = "columns") -> None:
        found[name] = ModelChoice(name, kind, run, needs)

    for name, family in FAMILIES.items():
        add(name, "quantum", _family(name), family.needs)
        if family.has_separable_twin:
            add(f"{name}, separable", "separable", _family(name, separable=True), family.needs)
        if family.has_classical_twin:
            add(f"{name}, classical twin", "twin", _family(name, classical=True), family.needs)
    add("support vectors", "classical", _searched(_support_vectors, _SUPPORT))
    add("perceptron", "classical", _searched(_perceptron, _LAYERS))
    add("logistic regression", "classical", _searched(_regression, _STRENGTHS))
    add("strongest", "classical", _strongest)
    return found


_SUPPORT: dict[str, list[Any]] = {"svc__C": [0.1, 1, 10, 100], "svc__gamma": [0.001, 0.01, 0.1, 1]}
_LAYERS: dict[str, list[Any]] = {
    "mlpclassifier__hidden_layer_sizes": [(100,), (50, 10, 5)],
    "mlpclassifier__alpha": [0.001],
    "mlpclassifier__learning_rate_init": [0.001, 0.01],
}
_STRENGTHS: dict[str, list[Any]] = {"logisticregression__C": [0.01, 0.1, 1, 10, 100]}

MODELS = _models()
"""All contestants by name."""
