"""What a training job tells about its model on test rows, for its card: which columns moved predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose.errors import ExplanationError
from superpose.explain.attributions import Look, attribute_watched, gives_gradients

if TYPE_CHECKING:
    from superpose.learning.predictor import Predictor

__all__ = ["MOST_SAMPLED_ROWS", "explanation_sample", "strongest_first"]

MOST_SAMPLED_ROWS = 50
"""Test rows that an explanation sample is of, at most."""

_MOST_PREDICTIONS = 50_000
_ROUGH = 1e-4
"""How far a module's attributions may be from adding up: a network with many kinks would take minutes for less."""
_NODES, _MANY = 4, 200
"""Gradients at once for each row that is explained at once, and so many at once of models whose rows take little."""

_WIDE_QUBITS = 10
"""From so many qubits on, each further one halves the rows."""


def explanation_sample(
    predictor: Predictor,
    rows: Any,
    seed: int = 0,
    look: Look | None = None,
    *,
    most_rows: int = MOST_SAMPLED_ROWS,
    tell: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Which columns moved predictions most over a sample of rows: means of absolute attributions, as JSON values.

    By integrated gradients where the model has gradients, else by occlusion; see `superpose.explain.attribute`. Of the
    rows nothing is kept.

    Args:
        predictor: the model.
        rows: test rows as a data frame with the model's columns.
        seed: of the choice of rows.
        look: called before each pass over the model; what it raises ends it.
        most_rows: of how many rows at most.
        tell: called with the number of rows that are explained, and of all that will be, before each few: one, where
            the model is a large module, else so many that they take hardly longer than all at once.

    Returns:
        ``method``, ``n_rows``, ``columns``: column -> mean absolute attribution in units of probability, the strongest
        first, and ``largest_completeness_error`` (None for occlusion, which adds up to nothing in particular). Of a
        model that predicts a number also ``unit``, what the attributions are in units of instead.

    Raises:
        ExplanationError: the model cannot be explained this way, or there are no rows.

    Cost: some 64 gradients or ``n_features`` predictions for each of at most 50 rows, fewer rows beyond 10 qubits.
    """
    if not len(rows):
        raise ExplanationError("There are no rows to make a sample of; give one at least.", field="rows")
    exact = gives_gradients(predictor)
    method = "integrated_gradients" if exact else "occlusion"
    n_rows = min(len(rows), most_rows, _most_rows(predictor, exact))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:n_rows])
    rough = _ROUGH if predictor.model.kind == "module_classifier" else None
    model: Any = predictor.model
    few = max(1, getattr(model, "gradient_rows_at_once", _MANY) // _NODES) if tell is not None else n_rows
    parts = []
    for start in range(0, n_rows, few):
        if tell is not None:
            tell(start, n_rows)
        own = rows.iloc[chosen[start : start + few]]
        parts.append(attribute_watched(predictor, own, method, look=look, tolerance=rough))
    found = parts[0]
    means = np.abs(np.concatenate([part.values for part in parts])).mean(axis=0)  # (n_features,)
    order = np.argsort(-means, kind="stable")
    return {
        "method": method,
        "n_rows": n_rows,
        "columns": {found.feature_names[place]: float(means[place]) for place in order},
        "largest_completeness_error": float(max(part.completeness_errors.max() for part in parts)) if exact else None,
        **({"unit": "the predicted number"} if predictor.predicts_numbers else {}),
    }


def strongest_first(sample: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Column and mean absolute attribution of an explanation sample, the strongest first.

    A registry keeps the sample's columns in the order of their names.
    """
    return sorted(sample["columns"].items(), key=lambda item: -item[1])


def _most_rows(predictor: Predictor, exact: bool) -> int:
    widest = max((block.circuit.n_qubits for block in predictor.model.blocks), default=0)
    narrow = MOST_SAMPLED_ROWS >> max(0, widest - _WIDE_QUBITS)
    per_row = 1 if exact else len(predictor.feature_names)
    return max(1, min(narrow, _MOST_PREDICTIONS // per_row))
