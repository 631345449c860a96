"""What the template's model keeps to say how far an answer can be trusted: prediction sets, abstaining, novelty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from superpose.datasets.picture_patients import groups_of_patients
from superpose.datasets.picture_sets import Pictures
from superpose.learning.calibration.conformal import fewest_rows
from superpose.learning.calibration.fitting import fit_band_novelty, halves
from superpose.learning.calibration.ranks import members_of
from superpose.learning.calibration.report import fit_safeguards
from superpose.learning.calibration.safeguards import Safeguards
from superpose.learning.calibration.spec import AbstainSpec, CalibrationSpec, ConformalSpec

__all__ = ["COVERAGES", "both_probabilities", "safeguards_of"]

COVERAGES = (0.99, 0.95, 0.9)
"""How often prediction sets may hold the true class, at least: the first for which there are twice the fewest
validation pictures, so that no single one decides. Below a network's accuracy no set would ever have both classes."""

_MOST_VALUES = 32_000_000
"""Pixels of training pictures that the novelty score is fitted on; of more pictures every second, third, ... is."""


def both_probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of both classes ``(n_pictures, 2)`` of logits over the threshold ``(n_pictures,)``."""
    found = expit(scores)
    return np.column_stack([1.0 - found, found])


def safeguards_of(train: Pictures, validation: Pictures, scores: NDArray[np.float64]) -> Safeguards:
    """Prediction sets, abstaining where they have both classes, and novelty, from validation pictures alone.

    Where patients are known each counts once. With fewer than 18 pictures, or patients, there are no sets, and no rule
    for abstaining.

    Args:
        train: the pictures that trained the network.
        validation: those that did not.
        scores: the network's logits over its threshold on those, ``(n_pictures,)``.

    Cost: a principal component analysis of at most 32 million training pixels.
    """
    groups = groups_of_patients(validation.owners())
    n = members_of(len(validation), groups)[1]
    coverage = next((one for one in COVERAGES if n >= 2 * fewest_rows(one)), None)
    rule = AbstainSpec() if coverage is None else AbstainSpec(by="set")
    spec = CalibrationSpec(conformal=ConformalSpec(coverage=coverage), abstain=rule)
    step = -(-train.pixels.size // _MOST_VALUES)
    owners = groups_of_patients(train.owners()[::step])
    return fit_safeguards(
        spec,
        probabilities=both_probabilities(scores),
        truth=validation.labels,
        novelty=fit_band_novelty(
            train.pixels[::step].astype(np.float64),
            validation.pixels.astype(np.float64),
            halves(train.labels[::step], 0, owners),
            groups,
        ),
        seed=0,
        groups=groups,
    )
