"""Model files of earlier releases: the networks they were, whatever a family's defaults are today."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from superpose.errors import ModelFormatError
from superpose.learning import Predictor
from superpose.learning.families import FAMILIES, CircuitCentricClassifier, load_family
from superpose.learning.families.base import unfitted_family

FILE = Path(__file__).parent / "golden" / "circuit_centric_without_readout.superpose"
"""Written when the family read one qubit and had no ``readout``: 40 rows of three normal columns, seed 5."""
SAID = [
    [0.8089650554078524, 0.19103494459214768],
    [0.8064205109781297, 0.19357948902187036],
    [0.8070716583797585, 0.19292834162024164],
    [0.8057597893880041, 0.19424021061199606],
]
"""What the release that wrote it said of the first four rows."""


def test_a_file_from_before_a_hyperparameter_is_the_model_that_it_was() -> None:
    rows = np.random.default_rng(5).normal(size=(40, 3))
    model = load_family(FILE)
    assert isinstance(model, CircuitCentricClassifier)
    assert model.readout == "first"
    assert len(model.quantum_blocks_[0].observables) == 1
    np.testing.assert_allclose(model.predict_proba(rows[:4]), SAID, rtol=0, atol=1e-9)
    np.testing.assert_allclose(Predictor.load(FILE).predict_proba(rows[:4]), SAID, rtol=0, atol=1e-9)


def test_what_a_file_states_counts_more_than_what_was_usual_before() -> None:
    assert unfitted_family("circuit_centric", {"readout": "all"}).get_params()["readout"] == "all"
    with pytest.raises(ModelFormatError, match="readout"):
        unfitted_family("circuit_centric", {"readout": "none"})


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_former_values_are_those_of_hyperparameters(name: str) -> None:
    family = FAMILIES[name].load()
    assert set(family.former) <= set(family().get_params())
    family(**family.former)._check_hyperparameters()
