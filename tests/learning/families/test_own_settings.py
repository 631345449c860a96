"""Settings that only the circuit-centric classifier and data re-uploading have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from superpose.datasets.generated import generate
from superpose.errors import SpecError
from superpose.learning.families import CircuitCentricClassifier, DataReuploadingClassifier


def test_a_plane_among_many_columns_is_seen_with_a_balanced_constant() -> None:
    parts = generate("linearly_separable", 19, seed=301)
    accuracies = {
        constant: CircuitCentricClassifier(constant=constant, epochs=100, random_state=0)
        .fit(parts.train, parts.train_labels)
        .score(parts.test, parts.test_labels)
        for constant in (1.0, "balanced")
    }
    assert accuracies["balanced"] > accuracies[1.0] + 0.1  # 0.900 and 0.667


def test_balanced_is_as_long_as_a_standardised_row() -> None:
    rows = np.random.default_rng(3).normal(size=(40, 9))
    labels = rows[:, 0] > 0
    options = {"epochs": 3, "random_state": 0}
    said = [
        CircuitCentricClassifier(constant=constant, **options).fit(rows, labels).predict_proba(rows)
        for constant in ("balanced", 3.0, 1)
    ]
    np.testing.assert_array_equal(said[0], said[1])
    assert not np.allclose(said[0], said[2])


@pytest.mark.parametrize("constant", [0, -1.0, 1001, float("nan"), float("inf"), True, None, "large"])
def test_other_constants_are_refused(constant: Any) -> None:
    with pytest.raises(SpecError, match="constant"):
        CircuitCentricClassifier(constant=constant).fit(np.zeros((4, 2)), [0, 1, 0, 1])


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), True, "balanced"])
def test_so_are_scales_of_inputs_that_are_no_lengths(scale: Any) -> None:
    with pytest.raises(SpecError, match="input_scale"):
        DataReuploadingClassifier(input_scale=scale).fit(np.zeros((4, 2)), [0, 1, 0, 1])
