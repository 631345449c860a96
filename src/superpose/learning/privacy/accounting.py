"""How much noise an epsilon takes, and what epsilon a run has spent: Opacus's accountant of Renyi privacy.

Source: Mironov, Talwar and Zhang 2019, arXiv 1908.10530 (Renyi differential privacy of the sampled Gaussian mechanism);
Balle et al. 2020, arXiv 1905.09982 (from there to epsilon and delta).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

from superpose.errors import SpecError
from superpose.learning.privacy.spec import PrivacySpec

__all__ = ["PrivacyPlan", "plan_privacy"]

_TOLERANCE = 0.005
"""Share of epsilon that may be left unspent."""


@dataclass(frozen=True)
class PrivacyPlan:
    """What a private run does.

    Attributes:
        n_rows: training rows.
        sample_rate: probability with which each row is in a step.
        n_steps: steps in all; none is left out.
        noise_multiplier: standard deviation of the noise on the sum of gradients over ``max_gradient_norm``.
        max_gradient_norm: length to which each row's gradient is cut.
        epsilon: spent after ``n_steps``, at most what the spec allows.
        delta: as the spec has it.
    """

    n_rows: int
    sample_rate: float
    n_steps: int
    noise_multiplier: float
    max_gradient_norm: float
    epsilon: float
    delta: float

    def facts(self, largest_group: int = 1) -> dict[str, Any]:
        """The run as JSON values, for the evaluation and the model file.

        Args:
            largest_group: rows of the patient with the most training rows, where the split keeps patients together.
        """
        found: dict[str, Any] = {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "noise_multiplier": self.noise_multiplier,
            "max_gradient_norm": self.max_gradient_norm,
            "sample_rate": self.sample_rate,
            "n_steps": self.n_steps,
            "accountant": "rdp",
            "protects": "one training row, present or absent",
            "covers": "the trained weights",
            "does_not_cover": [
                "scaling, imputation and categories learnt from the training rows",
                "the drift baseline, calibration and novelty",
                "figures on validation and test rows",
            ],
        }
        if largest_group > 1:
            found["largest_group"] = largest_group
            found["epsilon_of_largest_group"] = self.epsilon * largest_group  # group privacy
        return found


def plan_privacy(spec: PrivacySpec, n_rows: int, batch_size: int, epochs: int) -> PrivacyPlan:
    """The noise that keeps a run within the spec's epsilon.

    Args:
        spec: with an epsilon.
        n_rows: training rows.
        batch_size: rows that a step has on average.
        epochs: passes over the rows.

    Raises:
        SpecError: no noise is enough.

    Cost: about 0.1 s.
    """
    if spec.epsilon is None:
        raise SpecError("is needed", "privacy.epsilon")
    from opacus.accountants import create_accountant
    from opacus.accountants.utils import get_noise_multiplier

    sample_rate = min(1.0, batch_size / n_rows)
    n_steps = math.ceil(n_rows / batch_size) * epochs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the best order is at the end of the list: the bound stays a bound
        try:
            noise = get_noise_multiplier(
                target_epsilon=spec.epsilon,
                target_delta=spec.delta,
                sample_rate=sample_rate,
                steps=n_steps,
                accountant="rdp",
                epsilon_tolerance=_TOLERANCE * spec.epsilon,
            )
        except ValueError:
            raise SpecError(
                f"is {spec.epsilon:g}, which no noise reaches in {n_steps} steps with delta {spec.delta:g}; raise it",
                "privacy.epsilon",
            ) from None
        accountant = create_accountant(mechanism="rdp")
        accountant.history = [(noise, sample_rate, n_steps)]
        epsilon = float(accountant.get_epsilon(delta=spec.delta))
    return PrivacyPlan(n_rows, sample_rate, n_steps, float(noise), spec.max_gradient_norm, epsilon, spec.delta)
