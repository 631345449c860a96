"""What a version cannot tell is refused for a file, by its manifest, in the words of an endpoint, by its model."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.errors import SafeguardAbsentError
from superpose.learning.calibration.asking import Asked, detailed
from superpose.learning.calibration.safeguards import Safeguards
from superpose.service.serving.asking import check_safeguards


@pytest.mark.parametrize(
    "asked",
    [Asked(prediction_set=True), Asked(abstain=True), Asked(abstain="set"), Asked(novelty=True)],
)
def test_a_file_is_refused_as_an_endpoint_is(asked: Asked) -> None:
    with pytest.raises(SafeguardAbsentError) as of_file:
        check_safeguards({"pipeline": {}}, asked)
    with pytest.raises(SafeguardAbsentError) as of_endpoint:
        detailed(Safeguards(), asked, np.array([[0.4, 0.6]]), ("no", "yes"), np.zeros((1, 2)))
    assert str(of_file.value) == str(of_endpoint.value)
    assert of_file.value.details == of_endpoint.value.details
