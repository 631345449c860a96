"""Default settings on curves that wind: draws of other seeds than the published comparison's benchmark uses."""

from __future__ import annotations

import pytest

from superpose.datasets.generated import split_parts, two_curves
from superpose.learning.families import FAMILIES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "floor"), [("dressed_circuit", 0.95), ("data_reuploading", 0.9), ("circuit_centric", 0.85)]
)
def test_defaults_follow_curves_that_wind(name: str, floor: float) -> None:
    rows, labels = two_curves(740, 10, degree=6, offset=1.0 / 12, seed=106)
    parts = split_parts(rows, labels, test_fraction=500 / 740, seed=106)
    model = FAMILIES[name].load()(random_state=106).fit(parts.train, parts.train_labels)
    accuracy = (model.predict(parts.test) == parts.test_labels).mean()
    assert accuracy > floor
