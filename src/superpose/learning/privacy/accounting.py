"""How much noise an epsilon takes, and what epsilon a run has spent: Opacus's accountant of Renyi privacy.

Source: Mironov, Talwar and Zhang 2019, arXiv 1908.10530 (Renyi differential privacy of the sampled Gaussian mechanism);
Balle et al. 2020, arXiv 1905.09982 (from there to epsilon and delta).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from superpose.errors import SpecError
from superpose.learning.privacy.spec import PrivacySpec

__all__ = ["PrivacyPlan", "group_epsilon", "plan_privacy", "with_sweep"]

_TOLERANCE = 0.005
"""Share of epsilon that may be left unspent."""

_LARGE_ORDERS = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Renyi orders beside Opacus's own, whose largest is 63: by those no noise reaches an epsilon of 0.1, and groups of
more rows than the largest order have no bound."""

_NO_PROMISE = 1_000.0
"""An epsilon from which on nothing is promised: the largest that a spec may have."""

_RAREST = -1e5
"""Logarithm of the least delta that is looked at for a group."""


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
                "figures on validation and test rows, and of attacks that tell training rows from them",
                "counts of rows, classes and missing values, and the digest of the data",
            ],
        }
        if largest_group > 1:
            found["largest_group"] = largest_group
            found["epsilon_of_largest_group"] = group_epsilon(self, largest_group)
            found["delta_of_largest_group"] = self.delta
        return found


def group_epsilon(plan: PrivacyPlan, n_rows: int) -> float | None:
    """The epsilon of so many rows together, present or absent, at the plan's own delta; None where it is above 1,000.

    What is ``(e, d)``-private for one row is ``(k e, d (exp(k e) - 1) / (exp(e) - 1))``-private for k: with ``d`` the
    plan's delta that would be no promise at all, so ``d`` is the largest one whose result for k rows is the plan's.

    Args:
        plan: of the run.
        n_rows: k, at least 1.

    Source: Vadhan 2017, "The complexity of differential privacy", lemma 2.2, its sum over rows written out; from Renyi
    orders to ``(e, d)`` Balle et al. 2020, theorem 21, as in Opacus.
    """
    from opacus.accountants import RDPAccountant
    from opacus.accountants.analysis.rdp import compute_rdp

    orders = np.array([*RDPAccountant.DEFAULT_ALPHAS, *_LARGE_ORDERS], dtype=np.float64)  # as `plan_privacy` has them
    noise = plan.noise_multiplier
    spent = np.asarray(
        compute_rdp(q=plan.sample_rate, noise_multiplier=noise, steps=plan.n_steps, orders=orders.tolist())
    )

    def epsilon(log_delta: float) -> float:
        found = spent - (log_delta + np.log(orders)) / (orders - 1) + np.log1p(-1 / orders)
        return max(float(np.nanmin(found)), 1e-12)

    def excess(log_delta: float) -> float:
        """Logarithm of the group's delta over the plan's: as ``log_delta`` falls it rises, then falls past 0 once."""
        one = epsilon(log_delta)
        return log_delta + _log_expm1(n_rows * one) - _log_expm1(one) - math.log(plan.delta)

    above, below = math.log(plan.delta), _RAREST
    if n_rows == 1:
        return epsilon(above)
    if excess(below) > 0.0:
        return None
    for _ in range(100):
        middle = 0.5 * (above + below)
        above, below = (middle, below) if excess(middle) > 0.0 else (above, middle)
    found = n_rows * epsilon(below)
    return found if found <= _NO_PROMISE else None


def _log_expm1(exponent: float) -> float:
    return exponent + math.log(-math.expm1(-exponent))


def with_sweep(facts: Mapping[str, Any], sweep: Mapping[str, Any], epsilon: float) -> dict[str, Any]:
    """Facts of a private run whose spec a sweep chose, with what the sweep's trainings on the same rows spent besides.

    By basic composition: each training of each trial spent up to the spec's epsilon and delta anew, whatever the run
    itself left unspent.

    Args:
        facts: see `PrivacyPlan.facts`.
        sweep: ``n_trials`` and ``folds`` of each.
        epsilon: that the spec allows, which no trial varies.
    """
    n_trainings = int(sweep["n_trials"]) * int(sweep["folds"])
    return {
        **facts,
        "sweep_trainings": n_trainings,
        "epsilon_with_sweep": n_trainings * epsilon + float(facts["epsilon"]),
        "delta_with_sweep": min(1.0, (n_trainings + 1) * float(facts["delta"])),
    }


def plan_privacy(spec: PrivacySpec, n_rows: int, batch_size: int, epochs: int) -> PrivacyPlan:
    """The noise that keeps a run within the spec's epsilon.

    Args:
        spec: with an epsilon.
        n_rows: training rows.
        batch_size: rows that a step has on average.
        epochs: passes over the rows.

    Raises:
        SpecError: no noise is enough.

    Cost: some 0.3 s.
    """
    if spec.epsilon is None:
        raise SpecError("is needed", "privacy.epsilon")
    from opacus.accountants import RDPAccountant
    from opacus.accountants.utils import get_noise_multiplier

    orders = [*RDPAccountant.DEFAULT_ALPHAS, *_LARGE_ORDERS]
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
                alphas=orders,
            )
        except ValueError:
            raise SpecError(
                f"is {spec.epsilon:g}, for which no noise is found in {n_steps} steps with delta {spec.delta:g}; raise "
                "it, or delta",
                "privacy.epsilon",
            ) from None
        accountant = RDPAccountant()
        accountant.history = [(noise, sample_rate, n_steps)]
        epsilon = float(accountant.get_epsilon(delta=spec.delta, alphas=orders))
    return PrivacyPlan(n_rows, sample_rate, n_steps, float(noise), spec.max_gradient_norm, epsilon, spec.delta)
