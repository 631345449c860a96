"""Data sets that come with scikit-learn or are made by rule, so that a first run needs no network and no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.datasets.domains import MEDICAL
from superpose.datasets.table import Table
from superpose.errors import RequestError

__all__ = ["builtin_names", "builtin_table"]


def builtin_names() -> tuple[str, ...]:
    """Names that ``builtin_table`` knows.

    >>> builtin_names()
    ('breast_cancer', 'digits', 'iris', 'wine', 'bars_and_stripes', 'hidden_manifold', 'hyperplanes', 'two_curves')
    """
    return tuple(_LOADERS)


def builtin_table(name: str) -> Table:
    """A built-in table; ``breast_cancer`` has the classes ``benign`` and ``malignant`` (the positive one),
    and is of the domain "medical".

    The last four are made by rule (`superpose.datasets.generated`), with the classes ``-1`` and ``1`` and always the
    same rows: 4 x 4 pictures of ``bars_and_stripes``, and tables of 300 rows and 10 columns.

    Raises:
        RequestError: no built-in table of this name.
    """
    try:
        load = _LOADERS[name]
    except KeyError:
        raise RequestError(
            f"There is no built-in data set {name!r}; allowed are {', '.join(_LOADERS)}.",
            field="builtin",
            allowed=list(_LOADERS),
        ) from None
    return load()


def _breast_cancer() -> Table:
    from sklearn.datasets import load_breast_cancer

    return _table("breast_cancer", load_breast_cancer(), target_name="diagnosis").of_domain(MEDICAL)


def _digits() -> Table:
    from sklearn.datasets import load_digits

    return _table("digits", load_digits(), target_name="digit")


def _iris() -> Table:
    from sklearn.datasets import load_iris

    return _table("iris", load_iris(), target_name="species", unit_suffixes={" (cm)": "cm"})


def _wine() -> Table:
    from sklearn.datasets import load_wine

    return _table("wine", load_wine(), target_name="cultivar")


def _bars_and_stripes() -> Table:
    from superpose.datasets.generated import bars_and_stripes

    return _made("bars_and_stripes", *bars_and_stripes(1200, 4), target_name="kind", column="pixel")


def _hidden_manifold() -> Table:
    from superpose.datasets.generated import hidden_manifold

    return _made("hidden_manifold", *hidden_manifold(300, 10), target_name="side", column="x")


def _hyperplanes() -> Table:
    from superpose.datasets.generated import hyperplanes_parity

    return _made("hyperplanes", *hyperplanes_parity(300, 10, n_hyperplanes=3), target_name="parity", column="x")


def _two_curves() -> Table:
    from superpose.datasets.generated import two_curves

    return _made("two_curves", *two_curves(300, 10), target_name="curve", column="x")


def _made(name: str, rows: NDArray[np.float64], labels: NDArray[np.int64], *, target_name: str, column: str) -> Table:
    columns = {f"{column}{i}": np.ascontiguousarray(values) for i, values in enumerate(rows.T)}
    return Table.from_columns(name, columns, target_name, labels.astype(str).astype(object))


def _table(name: str, bunch: Any, *, target_name: str, unit_suffixes: Mapping[str, str] | None = None) -> Table:
    columns, units = {}, {}
    for i, raw in enumerate(bunch.feature_names):
        column = str(raw)
        for suffix, unit in (unit_suffixes or {}).items():
            if column.endswith(suffix):
                column = column.removesuffix(suffix)
                units[column] = unit
        columns[column] = np.ascontiguousarray(bunch.data[:, i], dtype=np.float64)
    class_names = [str(label) for label in bunch.target_names]
    labels = np.array([class_names[index] for index in bunch.target], dtype=object)
    return Table.from_columns(name, columns, target_name, labels, units)


_LOADERS: dict[str, Callable[[], Table]] = {
    "breast_cancer": _breast_cancer,
    "digits": _digits,
    "iris": _iris,
    "wine": _wine,
    "bars_and_stripes": _bars_and_stripes,
    "hidden_manifold": _hidden_manifold,
    "hyperplanes": _hyperplanes,
    "two_curves": _two_curves,
}
