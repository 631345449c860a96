"""Safeguards of estimators with scikit-learn's conventions: from hyperparameters, and what users ask of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import SafeguardAbsentError
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.calibration.spec import CalibrationSpec

__all__ = ["SafeguardedClassifier", "asked_calibration", "calibration_params"]


def asked_calibration(
    calibration: str | None, conformal: float | None, abstain_below: float | None
) -> CalibrationSpec | None:
    """The section ``calibration`` that hyperparameters stand for; None where nothing is asked for.

    Raises:
        SpecError: a hyperparameter is out of range.
    """
    if calibration is None and conformal is None and abstain_below is None:
        return None
    abstain = {} if abstain_below is None else {"abstain": {"by": "probability", "below": abstain_below}}
    sets = {} if conformal is None else {"conformal": {"coverage": conformal}}
    return CalibrationSpec.from_dict({"method": calibration or "none", **sets, **abstain})


def calibration_params(section: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `asked_calibration`, of a section as JSON values; what no hyperparameter says is left out."""
    found: dict[str, Any] = {}
    if section.get("method", "none") != "none":
        found["calibration"] = section["method"]
    coverage = (section.get("conformal") or {}).get("coverage")
    if coverage is not None:
        found["conformal"] = coverage
    rule = section.get("abstain") or {}
    if rule.get("by") == "probability":
        found["abstain_below"] = rule["below"]
    return found


class SafeguardedClassifier(ABC):
    """What a fitted classifier with ``safeguards_`` answers beside labels and probabilities."""

    safeguards_: Safeguards

    @abstractmethod
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Calibrated probabilities, ``(n_rows, n_classes)``."""

    @abstractmethod
    def _check_fitted(self) -> None:
        """Refuse a classifier that has not been fitted."""

    def predict_set(self, X: Any) -> NDArray[np.bool_]:
        """Which classes, in the order of ``classes_``, are in each row's prediction set, ``(n_rows, n_classes)``.

        For rows from where the training rows came from, the set holds the true class with a probability of at least
        ``conformal``, or a point or so less, as the held-out rows that gave the sets chose the epoch at which training
        stopped too; the most probable class is always in.

        Raises:
            NotFittedError: ``fit`` has not been called.
            SafeguardAbsentError: the classifier was fitted without ``conformal``.
            ValueError, FeatureMismatchError: see ``predict_proba``.
        """
        self._check_fitted()
        if self.safeguards_.sets is None:
            raise SafeguardAbsentError(
                "This classifier has no prediction sets. Fit it with a coverage, such as conformal=0.9.",
                asked="prediction_set",
            )
        return self.safeguards_.sets.sets(self.predict_proba(X))

    def abstains(self, X: Any) -> NDArray[np.bool_]:
        """For which rows no label should be given, ``(n_rows,)``: their largest probability is below
        ``abstain_below``. ``predict`` gives one all the same, as scikit-learn's tools expect.

        Raises:
            NotFittedError: ``fit`` has not been called.
            SafeguardAbsentError: the classifier was fitted without ``abstain_below``.
            ValueError, FeatureMismatchError: see ``predict_proba``.
        """
        self._check_fitted()
        rule = self.safeguards_.abstain
        if rule is None:
            raise SafeguardAbsentError(
                "This classifier has no rule for abstaining. Fit it with a probability, such as abstain_below=0.8.",
                asked="abstain",
            )
        if rule.by == "set":
            return np.asarray(self.predict_set(X).sum(axis=1) > 1)
        return rule.withheld(self.predict_proba(X).max(axis=1))
