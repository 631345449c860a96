"""What our scikit-learn estimators share: rows and labels checked, rows held back for stopping, seeds, two errors.

`TabularEstimator` is what they are; the functions are what they do with rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn.exceptions
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from superpose.datasets import grouped_splits, stratified_splits
from superpose.datasets.masks import first_masked, unmasked
from superpose.errors import DatasetOneClassError, DatasetTooSmallError, NotFittedError, SpecError
from superpose.learning.rows import ColumnKind, category_text, is_frame, is_number

if TYPE_CHECKING:
    from superpose.learning.preprocessing import Preprocessor

__all__ = [
    "EstimatorNotFittedError",
    "EstimatorOneClassError",
    "TabularEstimator",
    "check_encoded",
    "check_validation_fraction",
    "classes_of",
    "default_names",
    "early_stopping_split",
    "encoded_rows",
    "group_members",
    "plain_value",
    "rows_at",
    "seed_of",
    "validated_rows",
    "with_labels",
]


_LARGEST_SEED = 2**63 - 2
"""torch takes 64 bits with a sign; shuffling takes the number after the seed."""


class EstimatorNotFittedError(NotFittedError, sklearn.exceptions.NotFittedError):  # type: ignore[misc]  # no types
    """Ours, and the one that scikit-learn's tools look for."""


class EstimatorOneClassError(DatasetOneClassError, ValueError):
    """Ours, and the one that scikit-learn's tools look for."""


class TabularEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A scikit-learn estimator of rows with numbers and categories, whose learnt preprocessing is ``preprocessor_``."""

    def __sklearn_is_fitted__(self) -> bool:
        """Whether ``fit`` has been called."""
        return hasattr(self, "preprocessor_")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn may expect: missing values are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _check_fitted(self) -> None:
        if self.__sklearn_is_fitted__():
            return
        name = type(self).__name__
        if not hasattr(self, "preprocessor_"):
            raise EstimatorNotFittedError(f"this {name} is not fitted; call fit first")
        raise EstimatorNotFittedError(
            f"this {name} is not fitted: its fit was broken off, or it is a pickle of another release; call fit again, "
            "or save it as a model file with the release that fitted it and load that (pickles are read by no other)"
        )

    def _take_columns(self, preprocessor: Preprocessor) -> None:
        """Have the columns that a model file's preprocessing was learnt on."""
        names = preprocessor.columns.names
        self.n_features_in_ = len(names)
        if names != default_names(len(names)):
            self.feature_names_in_ = np.array(names, dtype=object)
        self.preprocessor_ = preprocessor


def classes_of(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.integer]]:
    """The classes, sorted, and the index of each label's class ``(n_rows,)``.

    Raises:
        EstimatorOneClassError: there is one class only.
    """
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise EstimatorOneClassError(
            f"the labels have one class only, {plain_value(classes[0])!r}; a classifier needs at least two classes",
            classes=[str(classes[0])],
        )
    return classes, codes


def check_validation_fraction(share: float) -> None:
    """Refuse a share of held-back rows that leaves none to learn from.

    Raises:
        SpecError: it is not from 0 to below 1.
    """
    if not isinstance(share, int | float | np.number) or not 0 <= share < 1:
        raise SpecError(f"must be from 0 to below 1, got {share!r:.60}", "validation_fraction")


def seed_of(random_state: int | np.random.RandomState | None) -> int:
    """The number itself, or one drawn from a generator; None draws from NumPy's global one.

    Raises:
        SpecError: a number that is no seed.
    """
    if isinstance(random_state, int | np.integer):
        if not 0 <= random_state <= _LARGEST_SEED:
            raise SpecError(f"must be from 0 to {_LARGEST_SEED}, got {random_state}", "random_state")
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def validated_rows(
    estimator: Any, X: Any, y: Any, *, numbers: bool = False
) -> tuple[Any, NDArray[Any], list[ColumnKind]]:
    """Rows, labels and column kinds, with the estimator's ``n_features_in_`` and ``feature_names_in_`` set.

    With ``numbers`` the labels are numbers to be learnt, float64 and finite.

    What is under the mask of a masked array is missing, as NaN is; a label under one is refused.

    Raises:
        ValueError: the rows or labels cannot be used.
    """
    if (row := first_masked(y)) is not None:
        what = "number" if numbers else "label"
        raise ValueError(f"y has no {what} in row {row} (masked); leave rows without one out")
    X = unmasked(X)
    if not _has_categories(X):
        rows, labels = validate_data(
            estimator, X, y, dtype=np.float64, ensure_all_finite="allow-nan", y_numeric=numbers
        )
        return rows, _labels(labels, numbers), ["number"] * rows.shape[1]
    X, labels = _with_text_names(X), _labels(column_or_1d(y, warn=True), numbers)
    if len(labels) != len(X):
        raise ValueError(f"X has {len(X)} rows and y {len(labels)} labels; they must be equally many")
    validate_data(estimator, X, skip_check_array=True)
    return X, labels, _column_kinds(X)


def _labels(labels: NDArray[Any], numbers: bool) -> NDArray[Any]:
    if not numbers:
        if labels.dtype.kind == "O":
            gaps = [
                i
                for i, label in enumerate(labels.tolist())
                if not isinstance(label, str) and category_text(label) is None
            ]
            if gaps:
                raise ValueError(f"y has no label in row {gaps[0]} ({labels[gaps[0]]!r}); leave rows without one out")
        check_classification_targets(labels)
        return labels
    found: NDArray[np.float64] = np.asarray(labels, dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError("y must hold finite numbers; it has NaN or infinity")
    return found


def encoded_rows(estimator: Any, X: Any) -> NDArray[np.float64]:
    """Rows as a fitted estimator's ``preprocessor_`` encodes them, float64 ``(n_rows, n_encoded)``.

    Raises:
        ValueError: the array, or data frame of numbers, does not have the columns seen by ``fit`` in their order.
        FeatureMismatchError: the frame with categories, or list of mappings by column, does not have them.
    """
    encoded: NDArray[np.float64]
    X = unmasked(X)
    if estimator.preprocessor_.columns.categories or _has_categories(X) or _is_named(X):
        encoded = estimator.preprocessor_.transform(_with_text_names(X))
    else:
        rows = validate_data(estimator, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        encoded = estimator.preprocessor_.transform(rows)
    return encoded


def check_encoded(preprocessor: Preprocessor) -> None:
    """Refuse rows of which nothing is left to learn from.

    Raises:
        ValueError: there are category columns only, and each category occurs once.
    """
    if not preprocessor.n_encoded:
        names = ", ".join(preprocessor.columns.names[:5])
        raise ValueError(
            f"there is nothing to learn from: every category of {names} occurs once only, as of names or "
            "numbers of cases; bring columns whose values come again"
        )


def default_names(n_columns: int) -> tuple[str, ...]:
    """Names of columns that have none."""
    return tuple(f"x{i}" for i in range(n_columns))


def rows_at(rows: Any, places: NDArray[np.integer]) -> Any:
    """Some rows of a data frame or an array."""
    return rows.iloc[places] if is_frame(rows) else rows[places]


def plain_value(value: Any) -> Any:
    """A hyperparameter as a JSON value: NumPy's numbers as Python's, a mapping from labels with texts as keys."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {_label_text(key): plain_value(one) for key, one in value.items()}
    return [plain_value(one) for one in value] if isinstance(value, list | tuple) else value


def with_labels(weights: Mapping[str, Any], labels: Sequence[Any]) -> dict[Any, Any]:
    """A mapping from labels that `plain_value` gave texts as keys, with the labels again."""
    label_of = {_label_text(label): label for label in labels}
    return {label_of.get(text, text): weight for text, weight in weights.items()}


def _label_text(label: Any) -> str:
    plain = label.item() if isinstance(label, np.generic) else label
    return plain if isinstance(plain, str) else json.dumps(plain)


def group_members(groups: Any, n_rows: int) -> NDArray[np.int64] | None:
    """The number of each row's group, ``(n_rows,)``, of what ``fit`` was given; None where it was given none.

    Raises:
        ValueError: they are not one value for each row.
    """
    if groups is None:
        return None
    given, groups = type(groups).__name__, unmasked(groups)
    if isinstance(groups, list | tuple):
        groups = np.array(groups, dtype=object)  # else a gap beside texts would become the text "nan"
    try:
        values = np.asarray(column_or_1d(groups), dtype=object)
    except ValueError:
        raise ValueError(
            f"groups must be one number or text for each row of X, got {given} of shape "
            f"{np.shape(groups)}; give one column, of {n_rows} values"
        ) from None
    if len(values) != n_rows:
        raise ValueError(f"groups has {len(values)} values and X {n_rows} rows; give one value for each row")
    names = [category_text(value) for value in values.tolist()]
    if None in names:
        row = names.index(None)
        raise ValueError(
            f"groups has no value in row {row} ({values[row]!r}); a row that stands for itself needs a name of its own"
        )
    members: NDArray[np.int64] = np.unique(np.array(names, dtype=object), return_inverse=True)[1].astype(np.int64)
    return members


def early_stopping_split(
    codes: NDArray[np.integer], fraction: float, seed: int, groups: NDArray[np.integer] | None = None
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Places of training and validation rows, whole groups where they are known; without validation where a class has
    too few rows, or groups, for both.
    """
    everything = np.arange(len(codes)), np.empty(0, dtype=np.int64)
    if fraction == 0.0:
        return everything
    try:
        if groups is None:
            (split,) = stratified_splits(codes, n_splits=1, test_fraction=fraction, validation_fraction=0.0, seed=seed)
        else:
            shares = {"test_fraction": fraction, "validation_fraction": 0.0}
            (split,) = grouped_splits(codes, groups, n_splits=1, seed=seed, **shares)
    except DatasetTooSmallError:
        return everything
    return split.train, split.test


def _is_number_column(series: Any) -> bool:
    """Whether a column is one of numbers by its dtype, or, where that says nothing, by its values."""
    if series.dtype != object:
        return _has_number_type(series)
    given = [value for value in series.tolist() if category_text(value) is not None]
    return bool(given) and all(is_number(value) for value in given)


def _has_number_type(series: Any) -> bool:
    return getattr(series.dtype, "kind", "O") in "fiub"


def _is_named(rows: Any) -> bool:
    """Whether these rows map column names to values, as requests to an endpoint do."""
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], Mapping)


def _has_categories(rows: Any) -> bool:
    """Whether these rows are a data frame with columns that are not numbers, or not by their dtype."""
    if not is_frame(rows):
        return False
    if not rows.columns.is_unique:
        name = rows.columns[rows.columns.duplicated()][0]
        raise ValueError(f"the data frame has two columns called {name!r}; names must be unique")
    return not all(_has_number_type(rows[name]) for name in rows.columns)


def _with_text_names(rows: Any) -> Any:
    """A data frame whose columns are called by numbers with the texts that a preprocessor knows them by."""
    if not is_frame(rows) or all(isinstance(name, str) for name in rows.columns):
        return rows
    return rows.set_axis([str(name) for name in rows.columns], axis=1)


def _column_kinds(frame: Any) -> list[ColumnKind]:
    return ["number" if _is_number_column(frame[name]) else "category" for name in frame.columns]
