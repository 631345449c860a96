"""Where the sign of an expectation, the label of a classifier that goes by it, is shot noise.

Of random parameters the sign that ``N`` shots of every measurement setting give differs from the exact one with the
probability ``Phi(-|m| / sqrt(v / N))``: ``m`` the expectation, ``v`` the exact variance of one shot. Parameters where
that is more than `superpose.explain.shot_noise.FLIPPING` are in the band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from superpose.circuits import Circuit, Observable
from superpose.explain.shot_covariances import shot_variances
from superpose.explain.shot_noise import FLIPPING, checked_shots
from superpose.learning.quantum_block import QuantumBlock

__all__ = ["SignNoise", "sign_noise"]


@dataclass(frozen=True)
class SignNoise:
    """What shots do to the sign of one expectation.

    Attributes:
        observable: place of the observable, from 0.
        shots: of each measurement setting.
        share_in_band: of random parameters, those whose sign flips more often than `FLIPPING`.
        expected_flips: mean probability that the sign flips.
    """

    observable: int
    shots: int
    share_in_band: float
    expected_flips: float


def sign_noise(
    circuit: Circuit, observables: Sequence[Observable], values: NDArray[np.float64], shots: int
) -> tuple[SignNoise, ...]:
    """For each observable, how often the sign of its expectation is shot noise.

    Args:
        circuit: of gates only.
        observables: what is measured.
        values: of all the circuit's parameters, ``(n_samples, n_params)``.
        shots: of each measurement setting, 1 to 10**9. The normal approximation is rough below some 30.

    Raises:
        ExplanationError: the number of shots is not whole or out of its range, or the observables have too many terms.

    Cost: expectations of ``n_terms**2 / 2`` Pauli strings of each observable for each set of values.
    """
    shots = checked_shots(shots)
    names = circuit.parameters
    block = QuantumBlock(circuit, names, len(names), "identity", tuple(observables))
    means, variances = shot_variances(block, values, np.empty(0))
    deviations = np.sqrt(np.clip(variances, 0.0, None) / shots)  # (n_samples, n_observables)
    certain = deviations <= 1e-12
    flips = np.where(certain, 0.0, ndtr(-np.abs(means) / np.where(certain, 1.0, deviations)))
    return tuple(
        SignNoise(place, shots, float(np.mean(column > FLIPPING)), float(column.mean()))
        for place, column in enumerate(flips.T)
    )
