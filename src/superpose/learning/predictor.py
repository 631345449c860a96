"""Serving a model file: rows in, probabilities or numbers out. NumPy and the engine, no torch, safe for threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from superpose.errors import FeatureMismatchError, ModelPredictsClassesError, SafeguardAbsentError
from superpose.learning.calibration.asking import Asked, Details, detailed
from superpose.learning.calibration.intervals import NumberInterval
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.card import notice_of
from superpose.learning.model_file import ModelFile, read_model
from superpose.learning.trained_model import ClassLabel, ServedModel
from superpose.learning.trained_regressor import TrainedRegressor

__all__ = ["Predictor"]


class Predictor:
    """A loaded model. All its methods may be called from several threads at once.

    >>> predictor = Predictor.load("heart.superpose")  # doctest: +SKIP
    >>> predictor.predict_proba([{"age": 54, "sex": "f"}])  # doctest: +SKIP
    array([[0.91, 0.09]])
    """

    def __init__(self, file: ModelFile) -> None:
        self._file = file
        self._model = file.model
        self._safeguards = file.safeguards
        # Lowers the circuit and touches the kernels, so that the first request does not pay for it.
        start = np.zeros((1, self._model.preprocessor.n_encoded))
        if isinstance(self._model, TrainedRegressor):
            self._model.numbers(start)
        else:
            self._model.probabilities(start)

    @classmethod
    def load(cls, source: Path | str | bytes, expected_digest: str | None = None) -> Self:
        """Read a model file, from a path or its bytes.

        Args:
            source: path or bytes.
            expected_digest: from a registry; another digest is refused.

        Raises:
            ModelFileCorruptError: the bytes are not those of a whole model file, or not of the expected one.
            ModelFormatError: written in a format that this release does not know.
            StateTooLargeError: the circuit has more qubits than this machine has memory for.
        """
        return cls(read_model(source, expected_digest))

    @property
    def model(self) -> ServedModel:
        """The model itself, as plain values."""
        return self._model

    @property
    def safeguards(self) -> Safeguards:
        """What the model file keeps to say how far answers can be trusted; empty in older files."""
        return self._safeguards

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        """Class labels, in the order of the probabilities; none where the model predicts a number."""
        return self._model.classes

    @property
    def predicts_numbers(self) -> bool:
        """Whether it predicts a number, and so has no classes."""
        return isinstance(self._model, TrainedRegressor)

    @property
    def target(self) -> str | None:
        """What the predicted number is called; None of a classifier."""
        return self._model.target if isinstance(self._model, TrainedRegressor) else None

    @property
    def interval(self) -> NumberInterval | None:
        """Of a model that predicts a number what holds the true one, if its file keeps it."""
        return self._safeguards.interval

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns, in the order in which rows without names give them."""
        return self._model.preprocessor.columns.names

    @property
    def manifest(self) -> dict[str, Any]:
        """The model file's manifest."""
        return self._file.manifest

    @property
    def digest(self) -> str:
        """The model's digest."""
        return self._file.digest

    @property
    def notice(self) -> str | None:
        """The sentence that must stand wherever the model shows itself, such as "Not for clinical use."; else None."""
        return notice_of(self._file.manifest)

    @property
    def input_schema(self) -> list[dict[str, Any]]:
        """One description per column: name, kind ("number" or "category"), and a category's known values.

        ``datatype`` is the column's type in the Open Inference Protocol. Every value may be null.
        """
        preprocessor = self._model.preprocessor
        known = dict(zip((name for _, name in preprocessor.columns.categories), preprocessor.categories, strict=True))
        schema: list[dict[str, Any]] = []
        for name, kind in zip(preprocessor.columns.names, preprocessor.columns.kinds, strict=True):
            column: dict[str, Any] = {"name": name, "kind": kind, "nullable": True}
            column["datatype"] = "FP64" if kind == "number" else "BYTES"
            if kind == "category":
                column["categories"] = list(known[name])
            schema.append(column)
        return schema

    def predict_proba(self, rows: Any) -> NDArray[np.float64]:
        """Probability of each class, float64 ``(n_rows, n_classes)``; every row sums to one.

        A row's probabilities do not depend on the rows beside it, up to rounding.

        Args:
            rows: data frame or list of mappings (by column name), list of lists or 2-D array (by position); None and
                nan are missing values, unknown categories count as none of the known ones.

        Raises:
            FeatureMismatchError: columns are absent, unknown or of the wrong kind.
            ModelPredictsNumbersError: it has no classes.

        Cost: ``n_rows * 2**n_qubits`` per gate, memory for at most 4096 rows at a time.
        """
        return self.predict_encoded(self.encode(rows))

    def encode(self, rows: Any) -> NDArray[np.float64]:
        """Rows as the model's own numbers, float64 ``(n_rows, n_encoded)``, for `predict_encoded`.

        A server encodes each request by itself, so that bad rows are their sender's problem, and predicts many at once.

        Raises:
            FeatureMismatchError: columns are absent, unknown or of the wrong kind.
        """
        return self.encode_counting(rows)[0]

    def encode_counting(self, rows: Any) -> tuple[NDArray[np.float64], dict[str, int]]:
        """As `encode`, and for each category column with values that the model does not know, how many there are.

        Raises:
            FeatureMismatchError: columns are absent, unknown or of the wrong kind.
        """
        try:
            encoded = self._model.preprocessor.encode(rows)
            return encoded.values, encoded.unknown_categories
        except FeatureMismatchError as error:
            target = self._file.manifest.get("data", {}).get("target")
            if error.details.get("missing") == [] and error.details.get("unknown") == [target]:
                raise FeatureMismatchError(
                    f"column {target!r} is what the model predicts; leave it out", missing=[], unknown=[target]
                ) from None
            raise

    def predict_encoded(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of each class, float64 ``(n_rows, n_classes)``, of rows that `encode` made; calibrated, if the
        model is.

        Raises:
            ModelPredictsNumbersError: it has no classes.
        """
        return self._safeguards.calibrated(self._model.probabilities(encoded))

    def numbers_encoded(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """The predicted number, float64 ``(n_rows,)``, of rows that `encode` made.

        Raises:
            ModelPredictsClassesError: it predicts classes.
        """
        if not isinstance(self._model, TrainedRegressor):
            raise ModelPredictsClassesError(
                f"this model predicts one of {len(self.classes)} classes, not a number; ask predict or predict_proba",
                classes=[str(label)[:80] for label in self.classes[:20]],
            )
        return self._model.numbers(encoded)

    def predict_intervals(self, rows: Any) -> NDArray[np.float64]:
        """Lower and upper end of the interval around each row's number, float64 ``(n_rows, 2)``.

        They hold the true number as often as ``interval.coverage`` says, if rows are like those that gave it.

        Raises:
            FeatureMismatchError: columns are absent, unknown or of the wrong kind.
            ModelPredictsClassesError: it predicts classes.
            SafeguardAbsentError: the model file keeps no interval.
        """
        numbers = self.numbers_encoded(self.encode(rows))
        if self.interval is None:
            raise SafeguardAbsentError(
                "This model file keeps no interval. Fit its HybridRegressor with a coverage, such as conformal=0.9, or "
                "give save one of held-out rows: Safeguards(interval=NumberInterval.from_residuals(0.8, residuals)).",
                asked="interval",
            )
        return self.interval.around(numbers)

    def detailed(self, rows: Any, asked: Asked) -> tuple[NDArray[np.float64], Details]:
        """The probabilities of rows, and what else is asked for: prediction sets, abstaining, novelty.

        Of a model that predicts a number the numbers; it has nothing but novelty to be asked for.

        >>> predictor.detailed(rows, Asked(prediction_set=True, abstain=0.9))  # doctest: +SKIP

        Raises:
            FeatureMismatchError: columns are absent, unknown or of the wrong kind.
            SafeguardAbsentError: the model file has nothing that could give it.
            ModelPredictsNumbersError: what only classes have is asked of a model that has none.
        """
        return self.answered(self.encode(rows), asked)

    def answered(self, encoded: NDArray[np.float64], asked: Asked) -> tuple[NDArray[np.float64], Details]:
        """As `detailed`, of rows that `encode` made; of a model that predicts a number its numbers ``(n_rows,)``.

        Raises:
            SafeguardAbsentError: the model file has nothing that could give it.
            ModelPredictsNumbersError: what only classes have is asked of a model that has none.
        """
        found = self.numbers_encoded(encoded) if self.predicts_numbers else self.predict_encoded(encoded)
        labels = tuple(map(str, self.classes))
        return found, detailed(self._safeguards, asked, found, labels, encoded)

    def predict(self, rows: Any) -> list[ClassLabel]:
        """Most probable class of each row; of a model that predicts a number that number, a float."""
        if isinstance(self._model, TrainedRegressor):
            return list(self._model.numbers(self.encode(rows)).tolist())
        classes = self._model.classes
        return [classes[int(i)] for i in self.predict_proba(rows).argmax(axis=1)]

    def count_unknown_categories(self, rows: Any) -> dict[str, int]:
        """For each category column with values that the model does not know, how many there are in ``rows``."""
        return self._model.preprocessor.encode(rows).unknown_categories
