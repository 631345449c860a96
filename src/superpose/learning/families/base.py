"""`FamilyClassifier`: what all families share. Rows checked and scaled, labels encoded, seeds, saving and loading.

A family is a keyword-only dataclass of its hyperparameters, which is how scikit-learn reads them, and fills in four
methods: `_learn`, `_probabilities`, `_blocks` and `_to_model` with its inverse `_from_model`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from superpose.errors import ModelFormatError, SpecError
from superpose.learning.estimator import (
    TabularEstimator,
    check_encoded,
    classes_of,
    default_names,
    encoded_rows,
    group_members,
    plain_value,
    seed_of,
    validated_rows,
    with_labels,
)
from superpose.learning.families.labelled_rows import LabelledRows
from superpose.learning.families.table import FAMILIES
from superpose.learning.model_file import ModelFacts, read_model, write_model
from superpose.learning.preprocessing import Preprocessor
from superpose.learning.quantum_block import QuantumBlock
from superpose.learning.rows import is_frame
from superpose.learning.spec import PreprocessingSpec
from superpose.learning.trained_model import ServedModel

if TYPE_CHECKING:
    from superpose.learning.training import TrainingWatch

__all__ = ["FamilyClassifier", "load_family", "unfitted_family"]


@dataclass(kw_only=True, eq=False, repr=False)
class FamilyClassifier(ClassifierMixin, TabularEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """Base of all families, for two or more classes; rows may have category columns and missing values.

    Args:
        scaling: "standard" (mean 0, deviation 1), "robust", "minmax" (0 .. 1) or "none".
        separable: True leaves out every gate on two qubits: the family's separable twin.
        random_state: seed; None takes one from NumPy's global generator.

    Attributes:
        classes_: labels, sorted.
        n_features_in_: columns seen by ``fit``.
        feature_names_in_: their names, if they had names that are all texts.
        preprocessor_: the learnt preprocessing.
        trained_params_: hyperparameters that the model was made with, whatever ``set_params`` says later; JSON values.
    """

    family: ClassVar[str]
    """The family's name in `FAMILIES`."""
    former: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Hyperparameters that model files of earlier releases do not state, with the values of those releases."""

    scaling: str = "standard"
    separable: bool = False
    random_state: int | np.random.RandomState | None = None

    def fit(  # scikit-learn's names
        self, X: Any, y: Any, *, groups: Any = None, watch: TrainingWatch | None = None
    ) -> Self:
        """Learn from rows ``(n_rows, n_columns)`` and their labels ``(n_rows,)``.

        Args:
            X: numeric array, or data frame with number and category columns.
            y: labels.
            groups: which rows belong together, such as those of a patient: a number or a text for each, ``(n_rows,)``.
                None of them is on both sides where rows are held back to stop training, or to choose by.
            watch: what looks on, stops and keeps checkpoints where a family trains by steps.

        Raises:
            ValueError: the rows, labels or groups cannot be used; also a `DatasetOneClassError` for labels of one
                class.
            SpecError: a hyperparameter is out of range.
        """
        self._check_hyperparameters()
        rows, labels, kinds = validated_rows(self, X, y)
        self.classes_, codes = classes_of(labels)
        frame_names = rows.columns if is_frame(rows) else getattr(self, "feature_names_in_", None)
        names = default_names(self.n_features_in_) if frame_names is None else [str(name) for name in frame_names]
        # Small data still has common categories; only those that occur once are left out here.
        options = PreprocessingSpec(scaling=self.scaling, min_category_rows=2)
        self.preprocessor_ = Preprocessor.fit(rows, names, kinds, options)
        check_encoded(self.preprocessor_)
        self.__dict__.pop("trained_params_", None)  # of the model that was here before
        data = LabelledRows(self.preprocessor_.transform(rows), codes, group_members(groups, len(codes)))
        self._learn(data, seed_of(self.random_state), watch)
        self.trained_params_ = self._plain_hyperparameters()
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether ``fit`` has been called, and has ended."""
        return hasattr(self, "trained_params_")

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each class, float64 ``(n_rows, n_classes)``, in the order of ``classes_``.

        Raises:
            NotFittedError: ``fit`` has not been called.
            ValueError: the array, or data frame of numbers, does not have the columns seen by ``fit`` in their order.
            FeatureMismatchError: the frame with categories, or list of mappings by column, does not have them.
        """
        self._check_fitted()
        return self._probabilities(encoded_rows(self, X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable label of each row."""
        chosen = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[chosen]
        return labels

    @property
    def quantum_blocks_(self) -> tuple[QuantumBlock, ...]:
        """The fitted model's circuits, with their inputs and observables; none in a classical twin.

        Raises:
            NotFittedError: ``fit`` has not been called.
        """
        self._check_fitted()
        return self._blocks()

    def to_model(self) -> ServedModel:
        """The fitted model as plain values: what a model file holds and a `superpose.learning.Predictor` serves.

        Raises:
            NotFittedError: ``fit`` has not been called.
        """
        self._check_fitted()
        return self._to_model()

    def save(self, path: Path | str, facts: ModelFacts | None = None) -> str:
        """Write a model file (JSON, circuits and safetensors, no pickle), atomically, and return its digest.

        `load_family` reads it back, and `superpose.learning.Predictor` serves it.

        Raises:
            NotFittedError: ``fit`` has not been called.
            ValueError: the labels are neither texts, numbers nor truth values.
        """
        self._check_fitted()
        facts = facts or ModelFacts()
        described = {"family": {"name": self.family, "params": self.trained_params_}}
        provenance = {"backend": "local", **dict(facts.provenance), **described}
        return write_model(
            Path(path), self.to_model(), ModelFacts(facts.evaluation, facts.data, provenance, facts.baseline)
        )

    def take_over(self, model: ServedModel) -> None:
        """Become the fitted classifier whose plain values a model holds; the inverse of `to_model`.

        Raises:
            ModelFormatError: the model is not of this family with these hyperparameters.
        """
        self.classes_ = np.array(model.classes)
        self._take_columns(model.preprocessor)
        self.trained_params_ = self._plain_hyperparameters()
        weights = getattr(self, "class_weight", None)
        if isinstance(weights, Mapping):
            self.set_params(class_weight=with_labels(weights, model.classes))
        try:
            self._from_model(model)
        except (ArithmeticError, SpecError, ValueError, KeyError, TypeError, IndexError) as error:
            raise ModelFormatError(
                f"the values in the model file are not those of a {type(self).__name__}: {error}"
            ) from None

    def _plain_hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters as JSON values; a generator as random_state is left out."""
        found = self.get_params(deep=False)
        if not isinstance(found.get("random_state"), int | np.integer):
            found.pop("random_state", None)
        return {name: plain_value(value) for name, value in found.items()}

    def _check_hyperparameters(self) -> None:
        """Refuse what is out of range; families add their own.

        Raises:
            SpecError: a hyperparameter is out of range.
        """
        for name in ("separable", "classical", "refit"):
            value = getattr(self, name, False)
            if not isinstance(value, bool | np.bool_):
                raise SpecError(f"must be True or False, got {value!r:.60}", name)

    def _check_whole(self, name: str, least: int, most: int) -> None:
        """Refuse a hyperparameter that is no whole number from ``least`` to ``most``.

        Raises:
            SpecError: it is not.
        """
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
            raise SpecError(f"must be a whole number from {least} to {most}, got {value!r}", name)

    def _check_size(self, name: str, most: float, other: str = "") -> None:
        """Refuse a hyperparameter that is no number above 0 up to ``most``, nor the word ``other`` where there is one.

        Raises:
            SpecError: it is not.
        """
        value = getattr(self, name)
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool) and 0 < float(value) <= most
        if not number and not (other and isinstance(value, str) and value == other):
            word = f'"{other}" or ' if other else ""
            raise SpecError(f"must be {word}a number above 0 up to {most:g}, got {value!r}", name)

    @abstractmethod
    def _learn(self, data: LabelledRows, seed: int, watch: TrainingWatch | None) -> None:
        """Learn from encoded rows ``(n_rows, n_encoded)`` with their classes and groups."""

    @abstractmethod
    def _probabilities(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Class probabilities ``(n_rows, n_classes)`` of encoded rows ``(n_rows, n_encoded)``."""

    @abstractmethod
    def _blocks(self) -> tuple[QuantumBlock, ...]:
        """The circuits of the fitted model."""

    @abstractmethod
    def _to_model(self) -> ServedModel:
        """The fitted model as plain values."""

    @abstractmethod
    def _from_model(self, model: ServedModel) -> None:
        """Take over what ``_to_model`` gave; classes, columns and preprocessing are already there."""


def load_family(path: Path | str | bytes, expected_digest: str | None = None) -> FamilyClassifier:
    """A fitted family from the model file that `FamilyClassifier.save` wrote; nothing in it is executed or unpickled.

    Args:
        path: the file, or its bytes.
        expected_digest: from a registry; another digest is refused.

    Raises:
        ModelFileCorruptError: the bytes are not those of a whole model file, or not of the expected one.
        ModelFormatError: the file holds no family, or one that this release does not know.
    """
    file = read_model(path, expected_digest)
    described = file.manifest["provenance"].get("family")
    if not isinstance(described, Mapping):
        raise ModelFormatError(
            f"the model file holds a {file.model.kind!r} of no family; superpose.learning.Predictor.load serves it"
        )
    classifier = unfitted_family(described.get("name"), described.get("params"))
    classifier.take_over(file.model)
    return classifier


def unfitted_family(name: object, params: object) -> FamilyClassifier:
    """A family with the hyperparameters that a model file states.

    Raises:
        ModelFormatError: no family of this name is known, or its hyperparameters cannot be used.
    """
    if not isinstance(name, str) or name not in FAMILIES or not isinstance(params, Mapping):
        raise ModelFormatError(
            f"the model file holds family {str(name)[:40]!r}, this release knows {', '.join(FAMILIES)}; "
            "a newer release may read the file"
        )
    family = FAMILIES[name].load()
    unknown = sorted(set(params) - set(family().get_params()))
    if unknown:
        raise ModelFormatError(f"family {name!r} has no hyperparameters {unknown}; a newer release may read the file")
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in params.items()}
    classifier = family(**{**family.former, **plain})
    try:
        classifier._check_hyperparameters()
    except (SpecError, TypeError) as error:
        raise ModelFormatError(f"the hyperparameters in the model file cannot be used: {error}") from None
    return classifier
