"""Data sets, learning and model files."""

from __future__ import annotations

from superpose.errors.base import SuperposeError

__all__ = [
    "CheckpointError",
    "DatasetEmptyError",
    "DatasetError",
    "DatasetFormatError",
    "DatasetOneClassError",
    "DatasetTargetError",
    "DatasetTooLargeError",
    "DatasetTooSmallError",
    "DatasetTooWideError",
    "ExplanationError",
    "FeatureMismatchError",
    "LearningError",
    "ModelFileCorruptError",
    "ModelFileError",
    "ModelFormatError",
    "ModelPredictsClassesError",
    "ModelPredictsNumbersError",
    "ModuleExportError",
    "ModuleFormatError",
    "NotFittedError",
    "RowRefusedError",
    "SafeguardAbsentError",
    "SpecError",
    "TrainingDivergedError",
]


class DatasetError(SuperposeError):
    """Data cannot be used for learning."""


class DatasetFormatError(DatasetError):
    """The bytes are not a table of the stated format."""

    code = "dataset.format"


class DatasetEmptyError(DatasetError):
    """The data set has no rows or no feature columns."""

    code = "dataset.empty"


class DatasetTargetError(DatasetError):
    """The target column is absent or unusable."""

    code = "dataset.target"


class DatasetOneClassError(DatasetError):
    """The target has fewer than two classes."""

    code = "dataset.one_class"


class DatasetTooWideError(DatasetError):
    """The data set has more columns than the limit."""

    code = "dataset.too_wide"


class DatasetTooLargeError(DatasetError):
    """The data set holds more values than one table may."""

    code = "dataset.too_large"


class DatasetTooSmallError(DatasetError):
    """Too few rows, or too few of one class, to split as asked."""

    code = "dataset.too_small"


class LearningError(SuperposeError):
    """A model cannot be built, trained or used."""


class SpecError(LearningError):
    """A training spec is wrong; ``field`` is the dotted path of the field, such as ``model.ansatz.layers``."""

    code = "spec.invalid"

    def __init__(self, message: str, field: str, **details: object) -> None:
        super().__init__(f"{field}: {message}", field=field, **details)
        self.field = field


class NotFittedError(LearningError):
    """The estimator has not been fitted."""

    code = "learning.not_fitted"


class FeatureMismatchError(LearningError):
    """The rows do not have the columns that the model was trained on."""

    code = "learning.feature_mismatch"


class RowRefusedError(LearningError):
    """A row of a file cannot be predicted; details name its number, from 0."""

    code = "learning.row_refused"


class CheckpointError(LearningError):
    """A checkpoint does not belong to this run or is damaged."""

    code = "learning.checkpoint"


class TrainingDivergedError(LearningError):
    """The training loss is no longer a finite number."""

    code = "learning.diverged"


class ExplanationError(LearningError):
    """A prediction cannot be explained this way: no such method or class, or a model that the method cannot take."""

    code = "learning.explanation"


class SafeguardAbsentError(LearningError):
    """A request asks for prediction sets, abstaining or novelty, and the model file has nothing that gives them."""

    code = "learning.safeguard_absent"


class ModelPredictsNumbersError(LearningError):
    """The model predicts a number, and classes or probabilities were asked for."""

    code = "learning.predicts_numbers"


class ModelPredictsClassesError(LearningError):
    """The model predicts classes, and a number was asked for."""

    code = "learning.predicts_classes"


class ModuleExportError(LearningError):
    """A PyTorch module cannot be exported; the message names the operator or statement, and its line if torch tells."""

    code = "module.not_exportable"


class ModuleFormatError(LearningError):
    """Not an exported module, or one that uses what exported modules may not."""

    code = "module.format"


class ModelFileError(SuperposeError):
    """A model file cannot be used."""


class ModelFileCorruptError(ModelFileError):
    """The bytes of a model file are not those that its manifest or the registry states."""

    code = "model.corrupt"


class ModelFormatError(ModelFileError):
    """The model file's format version or kind is not known to this release."""

    code = "model.format"
