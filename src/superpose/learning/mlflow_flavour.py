"""How MLflow loads an exported model: named as ``loader_module`` in its MLmodel file, so that nothing is unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose.learning.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PredictorModel"]


class PredictorModel:
    """What ``mlflow.pyfunc.load_model`` wraps.

    Args:
        predictor: the model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row per row of the input: ``prediction`` and ``p(class)`` for each class, or of numbers ``prediction`` and,
        if the model file keeps an interval, its ends ``low`` and ``high``.

        Args:
            model_input: a data frame, a list of mappings, or whatever `Predictor.predict_proba` takes.
            params: MLflow's; none are known.

        Raises:
            FeatureMismatchError: columns are absent, unknown or of the wrong kind.
        """
        import numpy as np
        import pandas as pd

        if self.predictor.predicts_numbers:
            numbers = np.array(self.predictor.predict(model_input), dtype=np.float64)
            told = pd.DataFrame({"prediction": numbers})
            if self.predictor.interval is not None:
                told[["low", "high"]] = self.predictor.interval.around(numbers)
            return told
        probabilities = self.predictor.predict_proba(model_input)
        classes = [str(label) for label in self.predictor.classes]
        frame = pd.DataFrame(probabilities, columns=[f"p({label})" for label in classes])
        frame.insert(0, "prediction", [classes[best] for best in probabilities.argmax(axis=1)])
        return frame


def _load_pyfunc(path: str) -> PredictorModel:
    """The model file under ``path``, which is what MLflow calls."""
    found = Path(path)
    if found.is_dir():
        found = next(found.glob("*.superpose"))
    return PredictorModel(Predictor.load(found))
