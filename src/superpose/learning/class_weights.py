"""Weights of classes in the loss, so that rare ones count as much as frequent ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import SpecError

__all__ = ["balanced_class_weights", "class_weights_of"]

_MOST_WEIGHT = 1e6


def balanced_class_weights(classes: NDArray[np.integer], n_classes: int) -> NDArray[np.float64]:
    """``n_rows / (n_classes * rows of the class)`` per class, ``(n_classes,)``; 0 for a class that does not occur."""
    counts = np.bincount(classes, minlength=n_classes)
    return np.where(counts > 0, classes.size / (n_classes * np.maximum(counts, 1)), 0.0)


def class_weights_of(
    class_weight: str | Mapping[Any, float] | None, labels: NDArray[Any], classes: NDArray[np.integer]
) -> NDArray[np.float64] | None:
    """Weight of each class by its index, from an estimator's ``class_weight``; None for None.

    Args:
        class_weight: None, "balanced", or a mapping from label to weight, 1 where none is given.
        labels: of all classes, ``(n_classes,)``.
        classes: index of each training row's class, ``(n_rows,)``.

    Raises:
        SpecError: another word, a weight that is no number above 0 up to 1e6, or weights of what is no label while
            labels have none.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str) and class_weight == "balanced":
        return balanced_class_weights(classes, len(labels))
    if not isinstance(class_weight, Mapping):
        raise SpecError(f"must be None, 'balanced' or a mapping, got {class_weight!r:.100}", "class_weight")
    unknown = [key for key in class_weight if key not in labels.tolist()]
    without = [label for label in labels.tolist() if label not in class_weight]
    if unknown and without:  # else a fold may just lack a rare class
        raise SpecError(
            f"has a weight for {unknown[0]!r}, which is no label; labels without one are {without[:5]!r:.100}",
            "class_weight",
        )
    weights = [class_weight.get(label, 1.0) for label in labels.tolist()]
    if not all(isinstance(weight, int | float | np.number) and 0 < weight <= _MOST_WEIGHT for weight in weights):
        raise SpecError(
            f"must map labels to numbers above 0, at most 1e6, got {dict(class_weight)!r:.100}; leave rows out that "
            "are not to count",
            "class_weight",
        )
    return np.array(weights, dtype=np.float64)
