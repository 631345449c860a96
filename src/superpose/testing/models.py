"""What every model file must do, checked through `Predictor` alone: whole, unforgeable, and the same for any batch."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from superpose.errors import FeatureMismatchError, ModelFileError
from superpose.learning import Predictor

__all__ = ["MODEL_CHECKS", "check_model"]

Rows = Sequence[Mapping[str, Any]]

_TOLERANCE = 1e-12
_PLACES = 200
"""How many bytes of the file are changed, one at a time."""


def check_model(content: bytes, rows: Rows) -> None:
    """Check that a model file keeps the contract of the model format and of `Predictor`.

    Args:
        content: the file's bytes.
        rows: at least three rows that the model takes, as mappings of JSON values by column name.

    Raises:
        AssertionError: it does not; the message says in what.
    """
    for check in MODEL_CHECKS:
        check(content, rows)


def check_description(content: bytes, rows: Rows) -> None:
    """The model says what it takes and gives, in JSON."""
    predictor = Predictor.load(content)
    _require(len(predictor.digest) == 64, "the digest is SHA-256 in hexadecimal")
    _require(json.loads(json.dumps(predictor.manifest)) == predictor.manifest, "the manifest is JSON")
    _require(len(predictor.classes) >= 2, "there are at least two classes")
    names = [column["name"] for column in json.loads(json.dumps(predictor.input_schema))]
    _require(tuple(names) == predictor.feature_names, "the schema describes every column, in order")


def check_changed_bytes(content: bytes, rows: Rows) -> None:
    """A changed, missing or added byte is refused, and so is another model's digest."""
    digest = Predictor.load(content).digest
    for place in np.linspace(0, len(content) - 1, _PLACES).astype(int):
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        _refused(ModelFileError, partial(Predictor.load, changed, digest), f"byte {place} changed")
    _refused(ModelFileError, lambda: Predictor.load(content[:-1], digest), "last byte missing")
    _refused(ModelFileError, lambda: Predictor.load(content + b"\0", digest), "a byte added")
    _refused(ModelFileError, lambda: Predictor.load(content, "0" * 64), "another digest expected")


def check_probabilities(content: bytes, rows: Rows) -> None:
    """Rows give probabilities, however they are handed over and whatever stands beside them."""
    predictor = Predictor.load(content)
    found = predictor.predict_proba(rows)
    _require(found.shape == (len(rows), len(predictor.classes)), "one row of probabilities per row")
    _require(found.dtype == np.float64 and bool(np.isfinite(found).all()), "probabilities are finite float64")
    _require(bool((found >= 0).all()) and np.allclose(found.sum(axis=1), 1.0), "each row sums to one")
    lists = [[row[name] for name in predictor.feature_names] for row in rows]
    _require(np.array_equal(predictor.predict_proba(lists), found), "rows by position give the same as rows by name")
    alone = np.concatenate([predictor.predict_proba([row]) for row in rows])
    _require(np.abs(alone - found).max() <= _TOLERANCE, "a row does not depend on the rows beside it")
    best = [predictor.classes[i] for i in found.argmax(axis=1)]
    _require(predictor.predict(rows) == best, "the prediction is the most probable class")
    _require(predictor.predict_proba([]).shape == (0, len(predictor.classes)), "no rows give no probabilities")
    empty = dict.fromkeys(predictor.feature_names)
    _require(bool(np.isfinite(predictor.predict_proba([empty])).all()), "every value may be missing")


def check_refusals(content: bytes, rows: Rows) -> None:
    """Rows with other columns are refused by name."""
    predictor = Predictor.load(content)
    name, row = predictor.feature_names[0], dict(rows[0])
    _refused(FeatureMismatchError, lambda: predictor.predict_proba([row | {"no such column": 1}]), "an unknown column")
    del row[name]
    _refused(FeatureMismatchError, lambda: predictor.predict_proba([row]), "a column that is absent")


def check_threads(content: bytes, rows: Rows) -> None:
    """Threads can share one predictor."""
    predictor = Predictor.load(content)
    expected = predictor.predict_proba(rows)
    errors: list[float] = []

    def ask() -> None:
        errors.extend(float(np.abs(predictor.predict_proba(rows) - expected).max()) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _require(len(errors) == 80 and max(errors) <= _TOLERANCE, "threads get the same probabilities")


MODEL_CHECKS: tuple[Callable[[bytes, Rows], None], ...] = (
    check_description,
    check_changed_bytes,
    check_probabilities,
    check_refusals,
    check_threads,
)
"""All checks, in order."""


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"The model file does not keep its contract: {what}.")


def _refused(error: type[Exception], call: Callable[[], object], what: str) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"The model file does not keep its contract: {what}, and it was not refused.")
